"""Requests that work on a source: cover and repaint on every checkpoint, stems on base ones."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

from studio.engine.audio.span import Seconds
from studio.engine.requests import Request, Task, Track
from studio.engine.sampling import is_number
from studio.errors import InvalidRequest


class RepaintMode(StrEnum):
    """How firmly the outside of a repainted span holds the inside to the source (engine.md 5.8)."""

    CONSERVATIVE = "conservative"
    BALANCED = "balanced"
    AGGRESSIVE = "aggressive"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRequest(Request):
    """What the tasks on a source share; the result is as long as the source."""

    source: Path

    def __post_init__(self) -> None:
        Request.__post_init__(self)
        if not str(self.source).strip() or self.source == Path():
            raise InvalidRequest("src_audio", "not be empty", str(self.source))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover(SourceRequest):
    """The source's melody and structure in the caption's style."""

    task: ClassVar[Task] = Task.COVER

    strength: float = 1.0  # share of the steps that follow the source
    noise_strength: float = 0.0  # 0 starts from noise, 1 almost from the source itself
    quantized: bool | None = None  # hear the source through its 5 Hz codes (True) or its latents; None: codes if it can

    def __post_init__(self) -> None:
        SourceRequest.__post_init__(self)
        _check_caption(self.caption)
        _check_share("audio_cover_strength", self.strength)
        _check_share("cover_noise_strength", self.noise_strength)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaint(SourceRequest):
    """Regenerate one region of the source or several; everything outside them is returned sample for sample.

    Except for a crossfade of up to 50 ms just outside each end of a region, as `mode` and `repaint_strength` give it;
    between two regions each has at most half of what lies between them.
    """

    task: ClassVar[Task] = Task.REPAINT

    start: float = 0.0  # seconds; negative extends before the source
    end: float | None = None  # seconds; None = end of the source, more extends it
    more: tuple[Seconds, ...] = ()  # further regions, each after the one before it
    mode: RepaintMode = RepaintMode.BALANCED
    repaint_strength: float = 0.5  # balanced: 0 as conservative, 1 as aggressive

    def __post_init__(self) -> None:
        SourceRequest.__post_init__(self)
        _check_caption(self.caption)
        _check_span(self.start, self.end)
        _check_more(self.regions)
        _check_share("repaint_strength", self.repaint_strength)

    @property
    def regions(self) -> tuple[Seconds, ...]:
        """Every region in order."""
        return ((self.start, self.end), *self.more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lego(SourceRequest):
    """One new track in the context of the source; the caption describes that track alone."""

    task: ClassVar[Task] = Task.LEGO

    track: Track
    start: float = 0.0
    end: float | None = None

    def __post_init__(self) -> None:
        SourceRequest.__post_init__(self)
        _check_caption(self.caption)
        _check_span(self.start, self.end)

    @property
    def regions(self) -> tuple[Seconds, ...]:
        """The one region."""
        return ((self.start, self.end),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract(SourceRequest):
    """One track of the source alone."""

    task: ClassVar[Task] = Task.EXTRACT

    track: Track


@dataclass(frozen=True, slots=True, kw_only=True)
class Complete(SourceRequest):
    """The source with the missing tracks arranged around it."""

    task: ClassVar[Task] = Task.COMPLETE

    tracks: tuple[Track, ...]

    def __post_init__(self) -> None:
        SourceRequest.__post_init__(self)
        _check_caption(self.caption)
        if not self.tracks or len(set(self.tracks)) != len(self.tracks):
            raise InvalidRequest("complete_track_classes", "name at least one track, each once", list(self.tracks))


def _check_caption(caption: str) -> None:
    if not caption.strip():
        raise InvalidRequest("caption", "not be empty", caption)


def _check_share(name: str, value: object) -> None:
    if not is_number(value) or not 0 <= value <= 1:
        raise InvalidRequest(name, "be from 0 to 1", value)


def _check_span(start: object, end: object) -> None:
    """Product.md E-07, E-08."""
    if not is_number(start):
        raise InvalidRequest("repainting_start", "be a number of seconds", start)
    if end is None:
        return
    if not is_number(end) or end < 0:
        raise InvalidRequest("repainting_end", "be 0 seconds or more, or empty for the end of the source", end)
    if end <= start:
        raise InvalidRequest("repainting_end", f"be after repainting_start {start:g}", end)


def _check_more(regions: tuple[Seconds, ...]) -> None:
    """Every region after the first begins after the one before it has ended."""
    for (_start, before), (start, end) in pairwise(regions):
        if not is_number(start) or (end is not None and not is_number(end)):
            raise InvalidRequest("repainting_more", "hold pairs of seconds", [start, end])
        if before is None:
            raise InvalidRequest("repainting_more", "not follow a region that lasts to the end of the source", [start])
        if start <= before:
            raise InvalidRequest("repainting_more", f"begin after {before:g}, where the region before ends", start)
        if end is not None and end <= start:
            raise InvalidRequest("repainting_more", f"end after its start {start:g}", end)
