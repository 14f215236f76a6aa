"""How songs become tensors, and what came of it. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from studio.errors import InvalidRequest

Progress = Callable[[int, int, str], None]  # done, total, file name; may raise to stop between songs


class Crop(StrEnum):
    """Which part of a song that is too long is kept."""

    START = "start"
    MIDDLE = "middle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What came of preparing a dataset."""

    written: int
    skipped: int  # there already, from the same audio, texts and model
    faults: tuple[str, ...]  # one line a song that has no tensors
    notes: tuple[str, ...] = ()  # one line a song that was cut


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What is kept of songs."""

    max_duration: float = 240.0  # seconds
    crop: Crop = Crop.START
    again: bool = False  # encode what is there already once more

    def __post_init__(self) -> None:
        if not 1 <= self.max_duration <= 600:
            raise InvalidRequest("max_duration", "be from 1 to 600", self.max_duration)
