"""How like two pieces of audio are: the same samples, nearly the same, or another piece. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from studio.engine.audio.shape import Audio

NEAR = 20.0  # dB; a difference a hundredth as strong as the music is the same music with other rounding


class Verdict(StrEnum):
    """What a comparison came to."""

    IDENTICAL = "identical"
    NEAR = "near"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Likeness:
    """A verdict with the strength of the first piece over the difference."""

    verdict: Verdict
    snr: float | None  # dB; None when identical or when the shapes differ, for there is no difference to measure


def likeness(first: Audio, second: Audio) -> Likeness:
    """Compare two pieces [channels, samples] of the same rate sample by sample."""
    if first.shape != second.shape:
        return Likeness(Verdict.DIFFERENT, None)
    if np.array_equal(first, second):
        return Likeness(Verdict.IDENTICAL, None)
    signal = float(np.square(first, dtype=np.float64).sum())
    noise = float(np.square(first.astype(np.float64) - second).sum())
    snr = 10 * math.log10(signal / noise) if signal > 0 else -math.inf
    return Likeness(Verdict.NEAR if snr >= NEAR else Verdict.DIFFERENT, round(snr, 1) if signal > 0 else None)
