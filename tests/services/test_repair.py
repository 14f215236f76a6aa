"""One line of lyrics, its span and other words for it."""

from __future__ import annotations

import pytest

from studio.errors import InvalidRequest
from studio.services.repair import repaired, sung_lines

LRC = "[00:01.00]rain on the roof\n[00:03.50]light in the room\n[00:05.00]rain on the roof\n[00:08.00]\n"
LYRICS = "[verse]\nrain on the roof\n  light in the room\n\n[chorus]\nrain on the roof"


def test_a_line_ends_where_the_next_begins() -> None:
    lines = [(line.start, line.end, line.text) for line in sung_lines(LRC, 10.0)]
    assert lines == [(1.0, 3.5, "rain on the roof"), (3.5, 5.0, "light in the room"), (5.0, 8.0, "rain on the roof")]
    assert sung_lines("[00:01.00]last", 4.0)[0].end == 4.0
    assert sung_lines("[00:09.00]too late", 4.0) == []


def test_the_line_is_replaced_where_it_is_sung() -> None:
    lines = sung_lines(LRC, 10.0)
    assert (
        repaired(LYRICS, lines, 2, " snow on the hill ") == LYRICS.removesuffix("rain on the roof") + "snow on the hill"
    )
    assert repaired(LYRICS, lines, 1, "dark in the hall").splitlines()[2] == "dark in the hall"
    assert repaired(LYRICS, lines, 0, "snow").splitlines()[1:] == ["snow", *LYRICS.splitlines()[2:]]


@pytest.mark.parametrize("words", ["", "  ", "two\nlines", "rain on the roof"])
def test_words_that_are_none_or_the_same_are_refused(words: str) -> None:
    with pytest.raises(InvalidRequest, match="repair"):
        repaired(LYRICS, sung_lines(LRC, 10.0), 0, words)


def test_times_that_say_other_words_than_the_lyrics_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="times were edited"):
        repaired("something else", sung_lines(LRC, 10.0), 0, "snow")
