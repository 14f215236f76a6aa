"""Asking for words and codes: a song from a wish, a better text, codes as text, audio as codes, a take's score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

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
    """The codes of a piece of audio: a file's path, or the key of a file in the artifact store as text."""

    source: Path | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How well a take's codes fit its stored caption, lyrics and facts; lower sensitivity reacts more strongly."""

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
    score: float | None = None  # 0 to 1
    scores: Mapping[str, float] = field(default_factory=dict)  # by part: caption, lyrics, bpm, keyscale, …
    notes: tuple[str, ...] = ()  # what the user should know, such as "the text was cut after 2560 tokens"
    effective: Mapping[str, object] = field(default_factory=dict)  # seed, model and backend used, and everything else


class Writing:
    """Submits asks to the worker and reads what came of them; follow the job with `generation.job(job_id)`."""

    def submit(self, ask: Ask) -> str:
        """Store a job and return its id.

        Raises InvalidRequest naming field, rule and value, ModelNotReady with the reason when the language model (for
        ToCodes: the checkpoint) is not loaded, NotFound for a take or file that is not there. Nothing is stored then.
        """
        raise NotImplementedError

    def result(self, job_id: str) -> Written | None:
        """Return what came of a job, None while it isn't done or when it failed; raises NotFound."""
        raise NotImplementedError
