"""What listening to a take's lyrics gives. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from studio.engine.score.lrc import LyricLine, write_lrc


@dataclass(frozen=True, slots=True, kw_only=True)
class LyricToken:
    """One token of the lyrics and when it is sung, in seconds."""

    id: int
    text: str  # what it adds to the text; empty while a character is incomplete
    start: float
    end: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LyricQuality:
    """How well a take follows its lyrics, all from 0 to 1 (engine.md 9.6)."""

    coverage: float  # share of sung tokens the DiT looks at somewhere
    monotonicity: float  # share of neighbouring sung tokens that come in order
    confidence: float  # how sharply it looks at them along the alignment
    score: float  # coverage² · monotonicity² · confidence, 4 decimals


@dataclass(frozen=True, slots=True, kw_only=True)
class LyricScores:
    """Two qualities of one take."""

    noise: LyricQuality  # from pure noise, the original's lm_score: what the conditions alone promise
    take: LyricQuality  # from the lightly noised take, the original's dit_score


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """When each line and each token of the lyrics is sung."""

    lines: tuple[LyricLine, ...]  # in order; section tags such as [verse] are lines too
    tokens: tuple[LyricToken, ...]
    quality: LyricQuality  # of the take, as in LyricScores
    heard: bool  # False: the model's attention follows no lyrics, so the times are just spread evenly; `notes` says so
    notes: tuple[str, ...] = ()  # what a user should know about how it was found

    @property
    def score(self) -> float:
        """How well the take follows its lyrics, 0 to 1."""
        return self.quality.score

    @property
    def lrc(self) -> str:
        """The lines as LRC text."""
        return write_lrc(self.lines)
