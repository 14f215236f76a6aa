"""What is known of a take beside its row, as pages get it: frozen, safe to keep and to pass on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from studio.engine.audio.checks import Check, Verdict
from studio.engine.audio.likeness import Verdict as Sameness
from studio.engine.score.lrc import LyricLine

__all__ = [
    "Change",
    "Check",
    "LyricLine",
    "LyricsView",
    "ReplayView",
    "Sameness",
    "ScoreView",
    "TakeDetails",
    "Verdict",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class LyricsView:
    """When the lines of a take are sung."""

    lrc: str  # as made or as edited
    cues: tuple[LyricLine, ...]  # subtitles of it
    heard: bool  # False: the times are only spread evenly
    score: float  # 0..1
    notes: tuple[str, ...]
    seconds: float  # finding them out took
    edited: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One part of the environment that is not what it was."""

    name: str
    then: object
    now: object


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayView:
    """How like a take is to itself made again."""

    verdict: Sameness
    snr: float | None  # dB
    known: bool  # whether the environment of the take was recorded
    changes: tuple[Change, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreView:
    """How well a take fits its words, the last time somebody asked; either part may be missing."""

    total: float | None  # 0..1, of the codes
    parts: Mapping[str, float]  # 0..1, by caption, lyrics and each fact
    followed: Mapping[str, float]  # how the lyrics are followed: by the take, by noise
    sensitivity: float
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeDetails:
    """Everything that is known of one take by now."""

    take_id: str
    peaks: tuple[int, ...] = ()  # 0..255 a column
    checks: tuple[Check, ...] = ()  # empty until it is measured
    verdict: Verdict | None = None  # the worst of the checks
    loudness: float | None = None  # LUFS
    lyrics: LyricsView | None = None
    environment: Mapping[str, object] = field(default_factory=dict)
    score: ScoreView | None = None
    replay: ReplayView | None = None  # the last one
