"""Titles, stars, tags and collections keep what a person says, and refuse what makes no sense."""

from __future__ import annotations

import pytest

from studio.errors import InvalidRequest, NotFound
from studio.services.library import Query
from tests.services.library.conftest import Stock


def test_a_take_shows_what_was_done_with_it(stock: Stock) -> None:
    (take,) = stock.add()
    album = stock.library.collections.create("Album")
    stock.library.marks.name(take, "  Two \n words ")
    stock.library.marks.rate(take, 5)
    stock.library.marks.favour(take, True)
    stock.library.tags.replace(take, ["Rock", "rock", "late"])
    stock.library.collections.add(album, [take, take])
    shown = stock.library.take(take)
    assert (shown.title, shown.rating, shown.favourite) == ("Two words", 5, True)
    assert (shown.tags, shown.collections) == (("late", "rock"), (album,))
    stock.library.marks.rate(take, 0)
    stock.library.collections.remove(album, [take])
    assert (stock.library.take(take).rating, stock.library.take(take).collections) == (0, ())


def test_tags_count_takes_and_adding_twice_is_once(stock: Stock) -> None:
    takes = stock.add(takes=2)
    stock.library.tags.add(takes, "Rock")
    stock.library.tags.add(takes[:1], "rock")
    assert stock.library.tags.all() == {"rock": 2}
    stock.library.trash.put(takes[:1])
    assert stock.library.tags.all() == {"rock": 1}


def test_collections_have_names_of_their_own(stock: Stock) -> None:
    takes = stock.add(takes=2)
    album, live = stock.library.collections.create("album"), stock.library.collections.create("Live")
    stock.library.collections.add(album, takes)
    with pytest.raises(InvalidRequest, match="Album"):
        stock.library.collections.create("Album")
    with pytest.raises(InvalidRequest):
        stock.library.collections.rename(live, "album")
    stock.library.collections.rename(album, "Album")
    assert [(one.name, one.takes) for one in stock.library.collections.all()] == [("Album", 2), ("Live", 0)]
    stock.library.collections.delete(album)
    assert stock.library.search(Query()).total == 2


def test_what_makes_no_sense_is_refused(stock: Stock) -> None:
    (take,) = stock.add()
    for wrong in (
        lambda: stock.library.marks.rate(take, 6),
        lambda: stock.library.marks.name(take, "x" * 201),
        lambda: stock.library.tags.add([take], "  "),
        lambda: stock.library.collections.create("x" * 101),
    ):
        with pytest.raises(InvalidRequest):
            wrong()


def test_another_persons_take_is_not_there(stock: Stock) -> None:
    (theirs,) = stock.add(user=stock.stranger())
    album = stock.library.collections.create("Album")
    for call in (
        lambda: stock.library.take(theirs),
        lambda: stock.library.marks.rate(theirs, 1),
        lambda: stock.library.tags.add([theirs], "x"),
        lambda: stock.library.collections.add(album, [theirs]),
        lambda: stock.library.trash.put([theirs]),
        lambda: stock.library.lineage(theirs),
        lambda: stock.library.difference(theirs, theirs),
    ):
        with pytest.raises(NotFound):
            call()
