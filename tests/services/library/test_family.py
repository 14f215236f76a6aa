"""Lineage goes up and down over generations; a difference names what differs and nothing else."""

from __future__ import annotations

from studio.services.library import Difference, Parent, Role
from studio.services.library.lineage import MOST, Edge
from tests.services.library.conftest import Stock


def test_three_generations(stock: Stock) -> None:
    (root,) = stock.add("root")
    (middle, twin) = stock.add("middle", takes=2, parents=(Parent(role=Role.SOURCE, take_id=root),))
    (leaf,) = stock.add(
        "leaf", parents=(Parent(role=Role.CODES, take_id=middle), Parent(role=Role.SETTINGS, take_id=root))
    )
    stock.library.marks.name(leaf, "The leaf")
    family = stock.library.lineage(middle)
    assert set(family.edges) == {Edge(root, middle, Role.SOURCE), Edge(middle, leaf, Role.CODES)}
    assert [one.name for one in family.relatives] == ["middle", "root", "The leaf"]
    assert family.made_from() == (Edge(root, middle, Role.SOURCE),)
    assert family.became() == (Edge(middle, leaf, Role.CODES),)
    assert {edge.child for edge in stock.library.lineage(root).edges} == {middle, twin, leaf}
    assert stock.library.lineage(leaf).relatives[0].index == 0


def test_adapters_and_files_have_names(stock: Stock) -> None:
    (take,) = stock.add(
        "sung", use_lora=True, adapters=[{"name": "jazz"}], parents=(Parent(role=Role.REFERENCE, name="hum.wav"),)
    )
    family = stock.library.lineage(take)
    assert {(edge.parent, edge.role) for edge in family.edges} == {
        ("adapter:jazz", Role.ADAPTER),
        ("reference:hum.wav", Role.REFERENCE),
    }
    assert {one.name for one in family.relatives if one.take_id is None} == {"jazz", "hum.wav"}


def test_another_persons_take_is_no_parent(stock: Stock) -> None:
    (theirs,) = stock.add(user=stock.stranger())
    (take,) = stock.add(
        "mine", parents=(Parent(role=Role.SOURCE, take_id=theirs), Parent(role=Role.SOURCE, take_id="no"))
    )
    assert stock.library.lineage(take).edges == ()


def test_a_large_family_is_cut_off(stock: Stock) -> None:
    (root,) = stock.add("root")
    for _ in range(MOST // 8 + 1):
        stock.add("child", takes=8, parents=(Parent(role=Role.SOURCE, take_id=root),))
    assert not stock.library.lineage(root).complete
    assert len(stock.library.lineage(root).edges) > MOST // 2


def test_difference_and_what_to_apply(stock: Stock) -> None:
    (left,) = stock.add("same", form={"bpm": 60, "shift": 3.0, "seed": "1"}, bpm=60)
    (right,) = stock.add("same", form={"bpm": 90, "shift": 3.0, "seed": "2"}, model="base", bpm=90)
    found = stock.library.difference(left, right)
    assert found.settings == (Difference("bpm", 60, 90), Difference("seed", "1", "2"))
    assert found.results == (Difference("model", "turbo", "base"),)
    assert found.apply_right() == {"bpm": 90}
    first, second = stock.add("twins", takes=2)
    assert stock.library.difference(first, second).apply_right() == {"seed": "1001", "use_random_seed": False}
    assert stock.library.difference(first, first).results == ()
