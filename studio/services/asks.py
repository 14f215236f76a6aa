"""What the language model can be asked for from a page, and what came of it, as plain values."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict, cast

from studio.engine.lm.requests import CreateRequest, Draw, FormatRequest, UnderstandRequest
from studio.engine.prompts import sung_lyrics
from studio.engine.requests import INSTRUMENTAL, MAX_DURATION, MIN_DURATION, Metas, parse_key_scale
from studio.engine.sampling import MAX_SEED
from studio.jobs.writing import Stored
from studio.services import reading
from studio.services.forms import AUTO
from studio.services.views import ModelView

UNKNOWN = "unknown"  # the language that leaves the choice to the language model


@dataclass(frozen=True, slots=True, kw_only=True)
class LmSampling:
    """How the language model draws words; guidance and negative prompt play no part in them."""

    temperature: float = 0.85
    top_k: int = 0  # 0: off
    top_p: float = 0.9  # 1 and 0: off
    repetition_penalty: float = 1.0
    seed: int | None = None  # None draws one; the result's `effective` says which
    debug: bool = False  # keep a line for every token


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSample:
    """A whole song from a wish in plain words; an empty one lets the model invent a song."""

    description: str = ""
    instrumental: bool = False
    language: str = UNKNOWN
    sampling: LmSampling = field(default_factory=LmSampling)


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A fuller caption and better-shaped lyrics; every fact the user set is kept, None is filled in."""

    caption: str = ""
    lyrics: str = ""
    bpm: int | None = None
    key_scale: str | None = None  # "A minor", "Am"; empty counts as None
    time_signature: str | None = None  # 2, 3, 4 or 6; empty counts as None
    duration: float | None = None  # seconds; -1 counts as None
    language: str = UNKNOWN
    sampling: LmSampling = field(default_factory=LmSampling)


@dataclass(frozen=True, slots=True, kw_only=True)
class Understand:
    """Caption, lyrics and facts of the music in codes; empty codes let the model invent a song."""

    codes: str  # the text of the codes box: <|audio_code_1|><|audio_code_2|>…
    sampling: LmSampling = field(default_factory=LmSampling)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToCodes:
    """The codes of a piece of audio: the key of an upload."""

    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How well a take fits its stored caption, lyrics and facts; lower sensitivity reacts more strongly."""

    take_id: str
    sensitivity: float = 0.5  # 0.01 to 1


Ask = CreateSample | Format | Understand | ToCodes | Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What came of an ask; a field is None when the ask gives none of it or the model said nothing of it."""

    caption: str | None = None
    lyrics: str | None = None
    bpm: int | None = None
    key_scale: str | None = None
    time_signature: str | None = None
    duration: float | None = None  # seconds
    language: str | None = None
    instrumental: bool | None = None
    codes: str | None = None  # text for the codes box
    score: float | None = None  # 0 to 1, of the codes; None also for a score of a take without codes
    scores: Mapping[str, float] = field(default_factory=dict)  # by part: caption, lyrics, bpm, keyscale, …
    lyric_scores: Mapping[str, float] = field(default_factory=dict)  # how lyrics are followed: by the take, by noise
    notes: tuple[str, ...] = ()  # what the user should know, such as "the text was cut after 2560 tokens"
    effective: Mapping[str, object] = field(default_factory=dict)  # seed, model and backend used, and everything else


class _Shared(TypedDict):
    """What every request for words has."""

    draw: Draw
    max_duration: float
    debug: bool
    seed: int


def words_request(
    ask: CreateSample | Format | Understand, longest: float
) -> CreateRequest | FormatRequest | UnderstandRequest:
    """Return the request of an ask; `longest` is the most seconds the model may choose. Raises InvalidRequest."""
    if isinstance(ask, Understand):
        shared = _shared(ask.sampling, longest)
        codes = reading.codes(ask.codes)
        return UnderstandRequest(codes=codes, **shared) if codes else CreateRequest(**shared)
    return song_request(ask, longest)


def song_request(ask: CreateSample | Format, longest: float, seed: int | None = None) -> CreateRequest | FormatRequest:
    """Return the same for words that are to be sung, drawn from `seed` where the ask gives none."""
    shared = _shared(ask.sampling, longest, seed)
    if isinstance(ask, CreateSample):
        return CreateRequest(
            query=ask.description, instrumental=ask.instrumental, vocal_language=ask.language, **shared
        )
    return FormatRequest(
        caption=ask.caption,
        lyrics=ask.lyrics,
        metas=Metas(
            bpm=ask.bpm,
            key_scale=parse_key_scale(ask.key_scale) if ask.key_scale else None,
            time_signature=ask.time_signature or None,
        ),
        duration=None if ask.duration in (None, AUTO) else ask.duration,
        vocal_language=ask.language,
        **shared,
    )


def longest_song(model: ModelView | None) -> float:
    """Return the seconds a song may last with a checkpoint, or with any for None."""
    return MAX_DURATION if model is None else min(max(model.max_duration, MIN_DURATION), MAX_DURATION)


def written_from(effective: Mapping[str, object]) -> Written:
    """Read what came of an ask from what its job stored."""
    stored = Stored(effective)
    lyrics, bpm, flag = stored.text("lyrics"), stored.number("bpm"), effective.get("instrumental")
    if flag is None and lyrics is not None and sung_lyrics(lyrics, False) == INSTRUMENTAL:
        flag = True
    lyric_scores = cast(dict[str, dict[str, float]], effective.get("lyric_scores", {}))
    missing = cast(list[str], effective.get("score_notes", []))
    return Written(
        caption=stored.text("caption"),
        lyrics=lyrics,
        bpm=None if bpm is None else int(bpm),
        key_scale=stored.text("keyscale"),
        time_signature=stored.text("timesignature"),
        duration=stored.number("duration"),
        language=stored.text("vocal_language"),
        instrumental=flag if isinstance(flag, bool) else None,
        codes=stored.text("audio_codes"),
        score=stored.number("score"),
        scores=cast(dict[str, float], effective.get("scores", {})),
        lyric_scores={name: one["score"] for name, one in lyric_scores.items()},
        notes=tuple(dict.fromkeys((*cast(list[str], effective.get("lm_notes", [])), *missing))),
        effective=effective,
    )


def _shared(sampling: LmSampling, longest: float, seed: int | None = None) -> _Shared:
    draw = Draw(
        temperature=sampling.temperature,
        top_k=sampling.top_k,
        top_p=sampling.top_p,
        repetition_penalty=sampling.repetition_penalty,
    )
    chosen = seed if sampling.seed is None else sampling.seed
    drawn = secrets.randbelow(MAX_SEED + 1) if chosen is None else chosen
    return {"draw": draw, "max_duration": longest, "debug": sampling.debug, "seed": drawn}
