"""Several recordings as one: each with its gain, none of them past full scale. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from studio.engine.audio.io import read_audio
from studio.engine.audio.measure import true_peak
from studio.engine.audio.shape import Audio

CEILING = -1.0  # dBTP; what is louder is turned down as a whole


@dataclass(frozen=True, slots=True)
class Mixed:
    """A sum and what had to be done to it."""

    audio: Audio  # [channels, samples]
    turned_down: float = 0.0  # dB, 0 when it fitted


def read_like(path: Path, rate: int, channels: int) -> Audio:
    """Read a file as `[channels, samples]` at `rate` Hz: one channel is played on all, of more the first are kept.

    Raises AudioError for a file that can't be read.
    """
    audio, own = read_audio(path)
    audio = np.repeat(audio, channels, axis=0) if audio.shape[0] == 1 else audio[:channels]
    if audio.shape[0] < channels:
        audio = np.concatenate([audio, audio[-1:].repeat(channels - audio.shape[0], axis=0)])
    if own == rate:
        return audio
    resampled: Audio = soxr.resample(audio.T, own, rate).T.astype(np.float32)
    return resampled


def mix(parts: Sequence[tuple[Audio, float]], rate: int) -> Mixed:
    """Add recordings `[channels, samples]` of one rate (Hz), each turned up or down by its decibels.

    The longest decides the length. A sum whose true peak is above CEILING is turned down as a whole, for a limiter
    would change the balance that was mixed.
    """
    length = max(audio.shape[1] for audio, _gain in parts)
    total = np.zeros((parts[0][0].shape[0], length), dtype=np.float32)
    for audio, decibels in parts:
        total[:, : audio.shape[1]] += audio * np.float32(10 ** (decibels / 20))
    peak = true_peak(total, rate)
    if peak is None or peak <= CEILING:
        return Mixed(total)
    down = peak - CEILING
    return Mixed(total * np.float32(10 ** (-down / 20)), down)


def residual(whole: Audio, parts: Sequence[Audio]) -> float | None:
    """Return in dB how strong `whole` minus the sum of `parts` is beside `whole`; -inf when nothing is left over.

    None when `whole` is silent. Parts that are longer are cut, shorter ones end in silence.
    """
    left = whole.astype(np.float64)
    for part in parts:
        samples = min(left.shape[1], part.shape[1])
        left[:, :samples] -= part[:, :samples]
    signal, rest = (float(np.square(audio, dtype=np.float64).sum()) for audio in (whole, left))
    if signal <= 0:
        return None
    return 10 * math.log10(rest / signal) if rest > 0 else -math.inf
