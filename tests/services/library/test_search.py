"""A search finds by words and facets, page by page, and never another person's takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from studio.errors import InvalidRequest
from studio.services.library import Order, Query
from studio.services.library.search import Search
from studio.storage.models import Entry
from tests.services.library.conftest import Stock


def found(stock: Stock, query: Query) -> list[str]:
    return [take.id for take in stock.library.search(query).takes]


@pytest.mark.parametrize(
    ("text", "hits"),
    [
        ("piano", True),
        ("PIA", True),
        ("ete", True),
        ("lo-fi", True),
        ("lofi", False),
        ('"calm piano"', True),
        ('"piano calm"', False),
        ('"pian"', False),
        ("piano -drums", True),
        ("piano -rain", False),
        ("-drums", True),
        ("-piano", False),
        ("strasse", True),
        ("春天", True),
        ("天春", False),
        ("piano missing", False),
        ("' \" * : ( ) & | ! <->", True),
        ("piano OR drums", False),
        ("12e4567", False),
    ],
)
def test_words(stock: Stock, text: str, hits: bool) -> None:
    (take,) = stock.add("Calm piano, lo-fi été", lyrics="[verse]\nRain on the Straße\n春天的歌")
    assert found(stock, Query(text=text)) == ([take] if hits else [])


def test_title_and_tags_are_found_and_forgotten(stock: Stock) -> None:
    (take,) = stock.add("a song")
    stock.library.marks.name(take, "Moonlight")
    stock.library.tags.add([take], "late night")
    assert found(stock, Query(text="moon night")) == [take]
    stock.library.marks.name(take, "")
    assert found(stock, Query(text="moon")) == []
    stock.library.tags.remove([take], "Late night")
    assert found(stock, Query(text="night")) == []


def test_instrumental_is_no_lyric(stock: Stock) -> None:
    stock.add("a song", lyrics="[Instrumental]")
    assert found(stock, Query(text="instrumental")) == []


def test_facets_narrow_together(stock: Stock) -> None:
    slow = stock.add("slow", bpm=60, keyscale="A minor", model="base", task_type="cover")
    fast = stock.add("fast", bpm=140, use_lora=True, adapters=[{"name": "jazz"}, {"name": "live"}])
    stock.library.marks.rate(fast[0], 4)
    stock.library.marks.favour(slow[0], True)
    stock.library.tags.add(slow, "rain")
    album = stock.library.collections.create("Album")
    stock.library.collections.add(album, fast)
    noon = stock.clock()
    for query, expected in (
        (Query(tasks=("cover",)), slow),
        (Query(models=("turbo", "base")), [*fast, *slow]),
        (Query(adapters=("jazz + live",)), fast),
        (Query(adapters=("",)), slow),
        (Query(keys=("A minor",)), slow),
        (Query(bpm=(61, None)), fast),
        (Query(bpm=(None, 60)), slow),
        (Query(rating=4), fast),
        (Query(rating=5), []),
        (Query(favourites=True), slow),
        (Query(tags=("rain",)), slow),
        (Query(tags=("rain", "snow")), []),
        (Query(collection=album), fast),
        (Query(since=noon), fast),
        (Query(until=noon), slow),
        (Query(since=noon + timedelta(seconds=1)), []),
        (Query(models=("base",), rating=4), []),
        (Query(text="slow", models=("turbo",)), []),
    ):
        assert found(stock, query) == expected, query


def test_orders(stock: Stock) -> None:
    (first,), (second,), (third,) = stock.add("rain"), stock.add("sun"), stock.add("sun", lyrics="rain rain")
    stock.library.marks.rate(second, 5)
    assert found(stock, Query()) == [third, second, first]
    assert found(stock, Query(order=Order.OLDEST)) == [first, second, third]
    assert found(stock, Query(order=Order.BEST_RATED)) == [second, third, first]
    stock.library.marks.name(first, "Rain")
    assert found(stock, Query(text="rain", order=Order.BEST_MATCH)) == [first, third]
    assert found(stock, Query(text="-sun", order=Order.BEST_MATCH)) == [first]


def test_pages_cover_everything_once_while_takes_are_added(stock: Stock) -> None:
    made = [stock.add(f"song {number}")[0] for number in range(7)]
    search = Search(stock.database, None)
    page = search.page(Query(text="song"), size=3)
    seen = [take.id for take in page.takes]
    assert (page.number, page.pages, page.total) == (1, 3, 7)
    for number in (2, 3):
        stock.add("song of later")
        page = search.page(Query(text="song"), number, size=3, anchor=page.anchor)
        seen += [take.id for take in page.takes]
    assert seen == made[::-1]
    assert search.page(Query(text="song"), 99, size=3).number == 3
    assert search.page(Query(text="nothing"), 5).pages == 1


def test_facet_counts_lift_their_own_choice(stock: Stock) -> None:
    stock.add("one", model="a", bpm=60, takes=2)
    (rated,) = stock.add("two", model="b", bpm=90)
    stock.library.marks.rate(rated, 3)
    stock.library.tags.add([rated], "x")
    facets = stock.library.facets(Query(models=("b",)))
    assert facets.models == {"a": 2, "b": 1}
    assert facets.rating == {"3": 1}
    assert facets.tags == {"x": 1}
    assert facets.bpm == (90, 90)
    assert stock.library.facets(Query(bpm=(80, None))).bpm == (60, 90)
    assert stock.library.facets(Query(text="one")).models == {"a": 2}
    assert facets.users == {}


def test_another_persons_takes_are_not_found(stock: Stock) -> None:
    mine, theirs = stock.add("shared words"), stock.add("shared words", user=stock.stranger())
    stock.library.marks.rate(mine[0], 1)
    for query in (Query(), Query(text="shared"), Query(text="-nothing"), Query(order=Order.BEST_RATED)):
        assert found(stock, query) == mine
    everybody = Search(stock.database, None)
    assert [take.id for take in everybody.page(Query(text="shared")).takes] == [*theirs, *mine]
    assert [take.id for take in everybody.page(Query(users=("stranger",))).takes] == theirs
    assert everybody.facets(Query()).users.keys() >= {"stranger"}


def test_nothing_is_asked_for_until_something_is() -> None:
    assert not Query().narrows
    assert not Query(order=Order.OLDEST, trashed=True).narrows
    assert replace(Query(), favourites=True).narrows


def test_takes_are_found_by_what_was_heard_in_them(stock: Stock) -> None:
    right, wrong, quiet, new = (stock.add(name)[0] for name in ("right", "wrong", "quiet", "new"))
    for take, heard, loudness in ((right, "pppp", -14.0), (wrong, "ocop", -9.0), (quiet, "nnpo", None)):
        with stock.database.write() as session:
            row = session.scalars(select(Entry).where(Entry.take_id == take)).one()
            row.heard, row.loudness = heard, loudness
    assert found(stock, Query(heard=("bpm:pass",))) == [right]
    assert found(stock, Query(heard=("bpm:pass", "bpm:off"))) == [wrong, right]
    assert found(stock, Query(heard=("bpm:pass", "clipping:off"))) == []
    assert found(stock, Query(heard=("silence:off",))) == [quiet]
    assert found(stock, Query(heard=("unmeasured",))) == [new]
    assert found(stock, Query(loudness=(-16.0, None))) == [wrong, right]
    assert found(stock, Query(loudness=(-16.0, -10.0))) == [right]
    with pytest.raises(InvalidRequest, match="heard must be any of"):
        stock.library.search(Query(heard=("bpm:perhaps",)))
    heard = stock.library.facets(Query(heard=("bpm:pass",))).heard  # its own choice is lifted
    assert heard["unmeasured"] == heard["bpm:pass"] == heard["keyscale:check"] == 1
    assert heard["clipping:pass"] == 2
