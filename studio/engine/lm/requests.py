"""What the language model can be asked for, each valid from birth; torch-free."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from studio.engine.lm.codes import check_codes
from studio.engine.lm.prompts import NO_INPUT
from studio.engine.requests import (
    LANGUAGES,
    MAX_BATCH,
    MAX_CAPTION,
    MAX_DURATION,
    MAX_LYRICS,
    MIN_DURATION,
    Metas,
)
from studio.engine.sampling import MAX_SEED
from studio.errors import InvalidRequest

UNKNOWN = "unknown"
MAX_CHUNK = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """How tokens are drawn; temperature 0 always takes the likeliest."""

    temperature: float = 0.85
    top_k: int = 0  # 0: all
    top_p: float = 0.9  # 1 and 0: all
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        _check_number("lm_temperature", self.temperature, 0.0, 2.0)
        _check_whole("lm_top_k", self.top_k, 0, 1000)
        _check_number("lm_top_p", self.top_p, 0.0, 1.0)
        _check_number("lm_repetition_penalty", self.repetition_penalty, 0.5, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """How strongly text or codes follow the prompt: 1 is no guidance; `negative_prompt` is what they move away from."""

    scale: float = 1.0
    negative_prompt: str = NO_INPUT

    def __post_init__(self) -> None:
        _check_number("lm_cfg_scale", self.scale, 1.0, 10.0)
        if len(self.negative_prompt) >= MAX_CAPTION:
            rule = f"be shorter than {MAX_CAPTION} characters"
            raise InvalidRequest("lm_negative_prompt", rule, len(self.negative_prompt))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What every request to the language model shares."""

    draw: Draw = field(default_factory=Draw)
    guidance: Guidance = field(default_factory=Guidance)
    max_duration: float = MAX_DURATION  # seconds the model may choose at most
    debug: bool = False  # keep a line for every token

    def __post_init__(self) -> None:
        _check_number("max_duration", self.max_duration, MIN_DURATION, MAX_DURATION)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest(Asked):
    """Facts and codes for one song, once for each seed; what the user gave is kept, the rest is chosen."""

    caption: str = ""
    lyrics: str = ""  # as the model reads them: "[Instrumental]" when nothing is sung
    metas: Metas = field(default_factory=Metas)
    duration: float | None = None  # seconds
    vocal_language: str = UNKNOWN
    seeds: tuple[int, ...]
    guidance: Guidance = field(default_factory=lambda: Guidance(scale=2.0))  # of the codes; facts are never guided
    choose_metas: bool = True  # off: facts are the user's own, however few
    rewrite_caption: bool = True
    choose_language: bool = True
    make_codes: bool = True
    chunk_size: int = 8  # takes at once
    parallel: bool = True  # off: one take after another

    def __post_init__(self) -> None:
        Asked.__post_init__(self)
        _check_texts(self.caption, self.lyrics)
        _check_facts(self.vocal_language, self.duration, self.max_duration)
        _check_whole("lm_batch_chunk_size", self.chunk_size, 1, MAX_CHUNK)
        if not 1 <= len(self.seeds) <= MAX_BATCH:
            raise InvalidRequest("batch_size", f"be from 1 to {MAX_BATCH}", len(self.seeds))
        for seed in self.seeds:
            _check_whole("seed", seed, 0, MAX_SEED)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRequest(Asked):
    """A whole song from a short wish (Simple mode)."""

    query: str = ""
    instrumental: bool = False
    vocal_language: str = UNKNOWN  # unknown lets the model choose
    seed: int = 0

    def __post_init__(self) -> None:
        Asked.__post_init__(self)
        _check_texts("", self.query)
        _check_facts(self.vocal_language, None, self.max_duration)
        _check_whole("seed", self.seed, 0, MAX_SEED)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatRequest(Asked):
    """A fuller caption and better-shaped lyrics; every value the user set is kept, the language too."""

    caption: str = ""
    lyrics: str = ""
    metas: Metas = field(default_factory=Metas)
    duration: float | None = None  # seconds
    vocal_language: str = UNKNOWN
    seed: int = 0

    def __post_init__(self) -> None:
        Asked.__post_init__(self)
        _check_texts(self.caption, self.lyrics)
        _check_facts(self.vocal_language, self.duration, self.max_duration)
        _check_whole("seed", self.seed, 0, MAX_SEED)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderstandRequest(Asked):
    """Caption, lyrics and facts of the music in audio codes."""

    codes: tuple[int, ...]
    seed: int = 0

    def __post_init__(self) -> None:
        Asked.__post_init__(self)
        check_codes(self.codes)
        _check_whole("seed", self.seed, 0, MAX_SEED)


TextRequest = CreateRequest | FormatRequest | UnderstandRequest


def settings_of(request: PlanRequest | TextRequest) -> Mapping[str, object]:
    """Return a request as one JSON-ready mapping, the form a take stores."""
    return asdict(request)


def _check_texts(caption: str, lyrics: str) -> None:
    if len(caption) >= MAX_CAPTION:
        raise InvalidRequest("caption", f"be shorter than {MAX_CAPTION} characters", len(caption))
    if len(lyrics) >= MAX_LYRICS:
        raise InvalidRequest("lyrics", f"be shorter than {MAX_LYRICS} characters", len(lyrics))


def _check_facts(language: str, duration: float | None, longest: float) -> None:
    if language not in LANGUAGES:
        raise InvalidRequest("vocal_language", "be a language code such as en or unknown", language)
    if duration is not None:
        _check_number("duration", duration, MIN_DURATION, longest)


def _check_number(name: str, value: object, least: float, most: float) -> None:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not fits or not least <= float(str(value)) <= most:
        raise InvalidRequest(name, f"be from {least:g} to {most:g}", value)


def _check_whole(name: str, value: object, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise InvalidRequest(name, f"be a whole number from {least} to {most}", value)
