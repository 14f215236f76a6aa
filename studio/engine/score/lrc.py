"""Lyric lines with times as text: LRC, and WebVTT for players (engine.md 9.5, product.md 2.6). Needs no torch."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from studio.errors import InvalidRequest

MERGE_SECONDS = 2.0  # lines that start closer together than this share a subtitle
_LAST_SECONDS = 5.0  # how long the last subtitle stays when the audio's length is unknown
_LEAST_SECONDS = 3.0  # how long a subtitle stays whose end is not after its start

_NEWLINE = re.compile(r"\r\n|\r|\n")
_STAMP = re.compile(r"\[(\d{1,4}):(\d{1,2}(?:\.\d{1,3})?)\]")
_LIKE_A_STAMP = re.compile(r"\[-?\d+(?::|\.\d)[^\]]*\]?")
_OFFSET = re.compile(r"\[\s*offset\s*:\s*(.*?)\s*\]", re.IGNORECASE)
_WHOLE = re.compile(r"[+-]?\d{1,9}")
_VTT_TIME = r"(?:(\d{1,4}):)?([0-5]\d):([0-5]\d\.\d{3})"
_VTT_TIMES = re.compile(rf"{_VTT_TIME}\s*-->\s*{_VTT_TIME}(?:\s.*)?")
_VTT_TAG = re.compile(r"<[^>]*>")
_VTT_OTHER_BLOCKS = ("NOTE", "STYLE", "REGION")


@dataclass(frozen=True, slots=True)
class LyricLine:
    """One line of lyrics and when it is sung, in seconds; `end` None means not known."""

    start: float
    end: float | None
    text: str  # a merged subtitle has several lines

    def __post_init__(self) -> None:
        """Refuse times that are no times."""
        if not 0 <= self.start < math.inf:
            raise InvalidRequest("start", "be a number of seconds from 0", self.start)
        if self.end is not None and not self.start <= self.end < math.inf:
            raise InvalidRequest("end", f"be a number of seconds from start, {self.start:g}", self.end)


def write_lrc(lines: Iterable[LyricLine]) -> str:
    """Return `[MM:SS.xx]text` for each line, in the order given, without headers or a newline at the end."""
    return "\n".join(
        f"{_stamp(line.start)}{_guarded(text)}" for line in lines for text in _NEWLINE.split(line.text) if text.strip()
    )


def read_lrc(text: str, *, second_is_end: bool = False) -> list[LyricLine]:
    """Return the lines of an LRC text by start.

    Several times in front of a text repeat it; with `second_is_end` a second one is the line's end instead. A time
    without text ends the line before it. Headers and lines without a time are left out, `[offset:ms]` is obeyed: a
    positive one makes everything earlier. Raises InvalidRequest naming the line whose time can't be read.
    """
    offset = 0.0
    entries: list[tuple[float, float | None, str]] = []
    for number, line in _numbered(text):
        times, words = _split_stamps(line, number)
        if not times and (tag := _OFFSET.fullmatch(line)):
            offset = _milliseconds(tag[1], number) / 1000
        elif second_is_end and len(times) == 2 and words:
            entries.append((times[0], max(times), words))
        else:
            entries += [(time, None, words) for time in times]
    lines: list[LyricLine] = []
    for start, end, words in sorted(entries, key=lambda entry: entry[0]):
        moved = _moved(start, offset)
        if words:
            lines.append(LyricLine(moved, end if end is None else _moved(end, offset), words))
        elif lines and lines[-1].end is None:
            lines[-1] = replace(lines[-1], end=moved)
    return lines


def cues(lines: Iterable[LyricLine], total: float | None = None) -> list[LyricLine]:
    """Return subtitles: lines that start less than two seconds after a subtitle's start join it.

    A subtitle ends at its own end if it has one, else where the next begins; the last one at `total`, the length of the
    audio in seconds, or after five seconds when that is None.
    """
    merged: list[LyricLine] = []
    for line in sorted((line for line in lines if line.text.strip()), key=lambda line: line.start):
        if merged and line.start - merged[-1].start < MERGE_SECONDS:
            merged[-1] = LyricLine(merged[-1].start, line.end, f"{merged[-1].text}\n{line.text}")
        else:
            merged.append(line)
    nexts = [*(cue.start for cue in merged[1:]), total]
    return [replace(cue, end=_cue_end(cue, following)) for cue, following in zip(merged, nexts, strict=False)]


def write_vtt(subtitles: Iterable[LyricLine]) -> str:
    """Return a WebVTT file of `subtitles`; raise InvalidRequest for one without an end (see `cues`)."""
    blocks = ["WEBVTT"]
    for cue in subtitles:
        if cue.end is None:
            raise InvalidRequest("end", "be known for a subtitle", None)
        shown = (html.escape(text, quote=False) for text in _NEWLINE.split(cue.text) if text.strip())
        blocks.append("\n".join([f"{_vtt_time(cue.start)} --> {_vtt_time(cue.end)}", *shown]))
    return "\n\n".join(blocks) + "\n"


def read_vtt(text: str) -> list[LyricLine]:
    """Return the cues of a WebVTT file in their order, without identifiers, settings and markup.

    Raises InvalidRequest naming the line where the file breaks the format.
    """
    lines = list(_numbered(text))
    first = lines[0][1]
    if first != "WEBVTT" and not first.startswith(("WEBVTT ", "WEBVTT\t")):
        raise InvalidRequest("vtt", "begin with WEBVTT in line 1", first)
    found = []
    for block in _blocks(lines[1:]):
        if block[0][1].split()[0] in _VTT_OTHER_BLOCKS or _is_header(block, lines):
            continue
        cue = _read_cue(block)
        if cue.text:
            found.append(cue)
    return found


def _numbered(text: str) -> Iterator[tuple[int, str]]:
    """Yield every line with its number from 1, stripped; a byte order mark is no part of the first one."""
    for number, line in enumerate(_NEWLINE.split(text.removeprefix("\ufeff")), start=1):
        yield number, line.strip()


def _split_stamps(line: str, number: int) -> tuple[list[float], str]:
    """Return the times in front of a line, in seconds, and its text."""
    times = []
    while stamp := _STAMP.match(line):
        if float(stamp[2]) > 60:  # 60.00 itself is what the original writes for 59.996 and more
            raise _bad_stamp(stamp[0], number)
        times.append(round(60 * int(stamp[1]) + float(stamp[2]), 3))
        line = line[stamp.end() :]
    if wrong := _LIKE_A_STAMP.match(line):
        raise _bad_stamp(wrong[0], number)
    return times, line.strip()


def _bad_stamp(stamp: str, number: int) -> InvalidRequest:
    return InvalidRequest("lrc", f"have times such as [01:23.45], with at most 60 seconds, in line {number}", stamp)


def _milliseconds(value: str, number: int) -> int:
    if not _WHOLE.fullmatch(value):
        raise InvalidRequest("lrc", f"have a whole number of milliseconds as offset in line {number}", value)
    return int(value)


def _moved(time: float, offset: float) -> float:
    return max(0.0, round(time - offset, 3))


def _stamp(seconds: float) -> str:
    """Return `[MM:SS.xx]`; what the original prints as 60.00 seconds, which players refuse, is the next minute."""
    minutes, rest = divmod(seconds, 60)
    shown = f"{rest:05.2f}"
    return f"[{int(minutes) + 1:02d}:00.00]" if shown == "60.00" else f"[{int(minutes):02d}:{shown}]"


def _guarded(text: str) -> str:
    """A text that itself begins like a time gets a space, so that it is not read as one."""
    text = text.strip()
    return f" {text}" if _LIKE_A_STAMP.match(text) else text


def _cue_end(cue: LyricLine, following: float | None) -> float:
    end = cue.end if cue.end is not None else following
    if end is None:
        end = cue.start + _LAST_SECONDS
    return end if end > cue.start else cue.start + _LEAST_SECONDS


def _vtt_time(seconds: float) -> str:
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1000:02d}.{milliseconds % 1000:03d}"


def _blocks(lines: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Yield runs of lines without a blank one between them."""
    block: list[tuple[int, str]] = []
    for number, line in lines:
        if line:
            block.append((number, line))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _is_header(block: Sequence[tuple[int, str]], lines: Sequence[tuple[int, str]]) -> bool:
    """Lines directly under WEBVTT are about the file."""
    return block[0][0] == lines[0][0] + 1 and not any("-->" in line for _, line in block)


def _read_cue(block: Sequence[tuple[int, str]]) -> LyricLine:
    named = "-->" not in block[0][1] and len(block) > 1
    number, timing = block[named]
    times = _VTT_TIMES.fullmatch(timing)
    if times is None:
        raise InvalidRequest("vtt", f"have times such as 00:01:02.500 --> 00:01:04.000 in line {number}", timing)
    start, end = (
        round(3600 * int(hours or 0) + 60 * int(minutes) + float(seconds), 3)
        for hours, minutes, seconds in (times.groups()[:3], times.groups()[3:])
    )
    if end < start:
        raise InvalidRequest("vtt", f"end its cue after the start in line {number}", timing)
    shown = (html.unescape(_VTT_TAG.sub("", line)) for _, line in block[named + 1 :])
    return LyricLine(start, end, "\n".join(shown).strip())
