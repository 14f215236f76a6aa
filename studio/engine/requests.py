"""What the engine can be asked for: one frozen class a task, each valid from birth."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from studio.engine.sampling import MAX_SEED, Guidance, Sampling, is_number
from studio.errors import InvalidRequest

MIN_BPM, MAX_BPM = 30, 300
MIN_DURATION, MAX_DURATION = 10.0, 600.0  # seconds
MAX_BATCH = 8
MAX_CAPTION, MAX_LYRICS = 512, 4096  # characters, exclusive
MAX_CODE = 63999  # the largest 5 Hz code
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
    COVER = "cover"
    REPAINT = "repaint"
    LEGO = "lego"
    EXTRACT = "extract"
    COMPLETE = "complete"


class Track(StrEnum):
    """The instruments the base checkpoints know by name."""

    WOODWINDS = "woodwinds"
    BRASS = "brass"
    FX = "fx"
    SYNTH = "synth"
    STRINGS = "strings"
    PERCUSSION = "percussion"
    KEYBOARD = "keyboard"
    GUITAR = "guitar"
    BASS = "bass"
    DRUMS = "drums"
    BACKING_VOCALS = "backing_vocals"
    VOCALS = "vocals"


class AudioFormat(StrEnum):
    """File formats a take can be written in."""

    MP3 = "mp3"
    FLAC = "flac"
    WAV = "wav"
    OPUS = "opus"  # in Ogg pages
    AAC = "aac"  # a bare stream (ADTS)


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
class Output:
    """What happens to the finished latents and audio (engine.md 6.7, 7)."""

    normalize: bool = True
    peak: float = -1.0  # dBFS of the highest peak
    fade_in: float = 0.0  # seconds
    fade_out: float = 0.0
    latent_shift: float = 0.0  # added to the latents before they are decoded
    latent_rescale: float = 1.0  # multiplied with them first

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("normalization_db", self.peak, -10.0, 0.0),
            ("fade_in", self.fade_in, 0.0, 60.0),
            ("fade_out", self.fade_out, 0.0, 60.0),
            ("latent_shift", self.latent_shift, -0.2, 0.2),
            ("latent_rescale", self.latent_rescale, 0.5, 1.5),
        ):
            _check_range(name, value, least, most)


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
    guidance: Guidance = field(default_factory=Guidance)
    output: Output = field(default_factory=Output)
    reference: Path | None = None  # audio whose timbre the take follows
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
        retake = self.sampling.retake
        if retake is not None and len(retake.seeds) != len(self.seeds):
            raise InvalidRequest("retake_seed", f"be {len(self.seeds)}, one a take", len(retake.seeds))


@dataclass(frozen=True, slots=True, kw_only=True)
class TextToMusic(Request):
    """A song from a caption, lyrics or both; with audio codes, one that follows their melody and structure."""

    task: ClassVar[Task] = Task.TEXT2MUSIC

    duration: float | None = None  # seconds; None takes the checkpoint's default
    audio_codes: tuple[int, ...] = ()  # 5 Hz codes; their number then decides the length
    cover_strength: float = 1.0  # share of the steps that follow the codes

    def __post_init__(self) -> None:
        # Named base: zero-argument super() breaks in a slots dataclass, which is built twice.
        Request.__post_init__(self)
        if not self.caption.strip() and (self.instrumental or not self.lyrics.strip()):
            rule = "not be empty when there are no lyrics to sing"
            raise InvalidRequest("caption", rule, self.caption)
        if self.duration is not None and not (
            is_number(self.duration) and MIN_DURATION <= self.duration <= MAX_DURATION
        ):
            rule = f"be from {MIN_DURATION:g} to {MAX_DURATION:g} seconds or empty"
            raise InvalidRequest("duration", rule, self.duration)
        for code in self.audio_codes:
            if type(code) is not int or not 0 <= code <= MAX_CODE:
                raise InvalidRequest("audio_codes", f"be whole numbers from 0 to {MAX_CODE}", code)
        _check_range("audio_cover_strength", self.cover_strength, 0.0, 1.0)


def _check_range(name: str, value: object, least: float, most: float) -> None:
    if not is_number(value) or not least <= value <= most:
        raise InvalidRequest(name, f"be from {least:g} to {most:g}", value)
