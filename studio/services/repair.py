"""Lyric repair: one sung line of a take, other words for it, and the span in which they are to be sung."""

from __future__ import annotations

from collections.abc import Sequence

from studio.engine.score.lrc import LyricLine, read_lrc
from studio.errors import InvalidRequest

FIELD = "repair"


def sung_lines(lrc: str, duration: float) -> list[LyricLine]:
    """Return every line that has a time, with its end: its own, or where the next one begins.

    `duration` (seconds) ends the last one. Lines without words and those that take no time are left out. Raises
    InvalidRequest for text that is no LRC.
    """
    found = read_lrc(lrc, second_is_end=True)
    starts = [*(line.start for line in found), duration][1:]
    lines = [
        LyricLine(start=line.start, end=max(line.start, min(line.end or following, duration)), text=line.text.strip())
        for line, following in zip(found, starts, strict=True)
        if line.start < duration
    ]
    return [line for line in lines if line.text and line.end is not None and line.end > line.start]


def repaired(lyrics: str, lines: Sequence[LyricLine], index: int, words: str) -> str:
    """Return `lyrics` with the line `lines[index]` replaced by `words`, all else as it was.

    A line that is sung several times is replaced where it is sung this time. Raises InvalidRequest for words that are
    empty, several lines, or those that stand there already, and when the lyrics don't hold the line.
    """
    words = words.strip()
    old = lines[index].text
    if not words or "\n" in words:
        raise InvalidRequest(FIELD, "be one line of words", words)
    if words == old:
        raise InvalidRequest(FIELD, "be other words than those that are sung there", words)
    which = sum(line.text == old for line in lines[:index])
    rows = lyrics.splitlines()
    places = [place for place, row in enumerate(rows) if row.strip() == old]
    if which >= len(places):
        raise InvalidRequest(FIELD, "be a line that the take's lyrics hold as its times do; the times were edited", old)
    rows[places[which]] = words
    return "\n".join(rows)
