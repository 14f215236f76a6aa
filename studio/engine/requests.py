"""What the engine can be asked for: one frozen class a task, each valid from birth."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from studio.errors import InvalidRequest

MIN_BPM, MAX_BPM = 30, 300
MIN_DURATION, MAX_DURATION = 10.0, 600.0  # seconds
MAX_BATCH = 8
MAX_CAPTION, MAX_LYRICS = 512, 4096  # characters, exclusive
MAX_SEED = 2**32 - 1
INSTRUMENTAL = "[Instrumental]"
TIME_SIGNATURES = ("2", "3", "4", "6")
KEY_SCALES = tuple(
    f"{note}{accidental} {mode}"
    for note in "ABCDEFG"
    for accidental in ("", "#", "b", "♯", "♭")
    for mode in ("major", "minor")
)
LANGUAGES = tuple(
    (
        "ar az bg bn ca cs da de el en es fa fi fr he hi hr ht hu id is it ja ko la lt ms ne nl no pa "
        "pl pt ro ru sa sk sr sv sw ta te th tl tr uk ur vi yue zh unknown"
    ).split()
)
_SHORT_KEY = re.compile(r"([A-Ga-g])([#b♯♭]?)\s*(major|minor|maj|min|m)?", re.IGNORECASE)


class Task(StrEnum):
    """What a request makes."""

    TEXT2MUSIC = "text2music"


class AudioFormat(StrEnum):
    """File formats a take can be written in."""

    MP3 = "mp3"
    FLAC = "flac"
    WAV = "wav"


def parse_key_scale(text: str) -> str:
    """Return `text` as "Note major" or "Note minor"; short forms such as "Am" and "F# min" are understood.

    Raises InvalidRequest when it is no key.
    """
    match = _SHORT_KEY.fullmatch(text.strip())
    if match is None:
        raise InvalidRequest("key_scale", 'be a key such as "C major", "F# minor" or "Am"', text)
    note, accidental, mode = match.groups()
    minor = mode is not None and mode != "M" and mode.lower() in ("minor", "min", "m")
    return f"{note.upper()}{accidental.lower()} {'minor' if minor else 'major'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metas:
    """Musical facts that condition the model; None lets the model choose."""

    bpm: int | None = None
    key_scale: str | None = None
    time_signature: str | None = None

    def __post_init__(self) -> None:
        if self.bpm is not None and (type(self.bpm) is not int or not MIN_BPM <= self.bpm <= MAX_BPM):
            raise InvalidRequest("bpm", f"be a whole number from {MIN_BPM} to {MAX_BPM} or empty", self.bpm)
        if self.key_scale is not None and self.key_scale not in KEY_SCALES:
            raise InvalidRequest("key_scale", 'be a key such as "C major" or "F# minor"', self.key_scale)
        if self.time_signature is not None and self.time_signature not in TIME_SIGNATURES:
            raise InvalidRequest("time_signature", "be one of 2, 3, 4, 6", self.time_signature)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the flow from noise to latents is integrated; None takes the checkpoint's default."""

    steps: int | None = None
    shift: float | None = None

    def __post_init__(self) -> None:
        if self.steps is not None and (type(self.steps) is not int or not 1 <= self.steps <= 200):
            raise InvalidRequest("steps", "be a whole number from 1 to 200", self.steps)
        if self.shift is not None and not (_is_number(self.shift) and 1.0 <= self.shift <= 5.0):
            raise InvalidRequest("shift", "be from 1.0 to 5.0", self.shift)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What every task shares; the number of seeds is the number of takes."""

    task: ClassVar[Task]

    caption: str = ""
    lyrics: str = ""
    instrumental: bool = False
    vocal_language: str = "unknown"
    metas: Metas = field(default_factory=Metas)
    sampling: Sampling = field(default_factory=Sampling)
    seeds: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.caption) >= MAX_CAPTION:
            raise InvalidRequest("caption", f"be shorter than {MAX_CAPTION} characters", len(self.caption))
        if len(self.lyrics) >= MAX_LYRICS:
            raise InvalidRequest("lyrics", f"be shorter than {MAX_LYRICS} characters", len(self.lyrics))
        if self.vocal_language not in LANGUAGES:
            raise InvalidRequest("vocal_language", "be a language code such as en or unknown", self.vocal_language)
        if not 1 <= len(self.seeds) <= MAX_BATCH:
            raise InvalidRequest("batch_size", f"be from 1 to {MAX_BATCH}", len(self.seeds))
        for seed in self.seeds:
            if type(seed) is not int or not 0 <= seed <= MAX_SEED:
                raise InvalidRequest("seed", f"be a whole number from 0 to {MAX_SEED}", seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextToMusic(Request):
    """A song from a caption, lyrics or both."""

    task: ClassVar[Task] = Task.TEXT2MUSIC

    duration: float | None = None  # seconds; None takes the checkpoint's default

    def __post_init__(self) -> None:
        # Named base: zero-argument super() breaks in a slots dataclass, which is built twice.
        Request.__post_init__(self)
        if not self.caption.strip() and (self.instrumental or not self.lyrics.strip()):
            rule = "not be empty when there are no lyrics to sing"
            raise InvalidRequest("caption", rule, self.caption)
        if self.duration is not None and not (
            _is_number(self.duration) and MIN_DURATION <= self.duration <= MAX_DURATION
        ):
            rule = f"be from {MIN_DURATION:g} to {MAX_DURATION:g} seconds or empty"
            raise InvalidRequest("duration", rule, self.duration)


def settings_of(request: TextToMusic) -> Mapping[str, object]:
    """Return the request as one flat JSON-ready mapping, the form every take stores."""
    return {
        "task_type": request.task.value,
        "caption": request.caption,
        "lyrics": request.lyrics,
        "instrumental": request.instrumental,
        "vocal_language": request.vocal_language,
        "bpm": request.metas.bpm,
        "keyscale": request.metas.key_scale,
        "timesignature": request.metas.time_signature,
        "duration": request.duration,
        "inference_steps": request.sampling.steps,
        "shift": request.sampling.shift,
        "seeds": list(request.seeds),
        "batch_size": len(request.seeds),
    }


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
