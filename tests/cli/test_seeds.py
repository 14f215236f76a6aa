"""Seeds of the command line: given ones first, random ones after, never one ignored."""

from __future__ import annotations

import pytest

from studio.cli.asking import seeds_from
from studio.engine.sampling import MAX_SEED
from studio.errors import InvalidRequest


def test_given_seeds_are_kept_in_order() -> None:
    assert seeds_from("7", None) == (7,)
    assert seeds_from(" 3, 1 ,2", None) == (3, 1, 2)
    assert seeds_from("5,5", 2) == (5, 5)


def test_missing_seeds_are_drawn() -> None:
    drawn = seeds_from("7", 4)
    assert drawn[0] == 7
    assert len(set(drawn)) == 4
    assert all(0 <= seed <= MAX_SEED for seed in drawn)
    assert seeds_from("", None) != seeds_from("", None)


def test_minus_one_draws_one() -> None:
    first, second, third = seeds_from("1,-1,3", None)
    assert (first, third) == (1, 3)
    assert second not in (-1, 1, 3)


@pytest.mark.parametrize(("text", "batch"), [("x", None), ("1.5", None), ("1 2", None), (",", None), ("1,2", 1)])
def test_what_can_not_be_followed_is_refused(text: str, batch: int | None) -> None:
    with pytest.raises(InvalidRequest, match="seeds must"):
        seeds_from(text, batch)
