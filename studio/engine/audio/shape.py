"""Levels and fades of finished audio (engine.md 7)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NORMALIZATION_DB = -1.0  # dBFS of the highest peak
SILENCE = 1e-6  # a peak below this is silence and is not amplified

Audio = NDArray[np.float32]  # [channels, samples]


def level(audio: Audio, decibels: float = NORMALIZATION_DB) -> Audio:
    """Return `audio` `[channels, samples]` with its highest peak at `decibels` dBFS; silence is returned as it is.

    A peak above 1 is first scaled down to 1, as the original does; the gains multiply, so one is enough
    (engine.md 7.3).
    """
    loudest = peak(audio)
    if loudest < SILENCE:
        return audio
    return audio * np.float32(10 ** (decibels / 20) / loudest)


def within_full_scale(audio: Audio) -> Audio:
    """Return `audio` divided by its peak when that is above 1, else as it is (engine.md 7.1)."""
    loudest = peak(audio)
    return audio / np.float32(loudest) if loudest > 1 else audio


def fade(audio: Audio, sample_rate: int, seconds_in: float, seconds_out: float) -> Audio:
    """Return `audio` `[channels, samples]` rising from silence and falling to silence along lines (engine.md 7.4).

    Fades are done after levelling. Each is at most as long as the audio; fades that meet multiply. Negative seconds
    count as none.
    """
    samples = audio.shape[1]
    rising, falling = (min(max(0, round(seconds * sample_rate)), samples) for seconds in (seconds_in, seconds_out))
    if not rising and not falling:
        return audio
    faded = audio.copy()
    faded[:, :rising] *= np.linspace(0, 1, rising, dtype=np.float32)
    faded[:, samples - falling :] *= np.linspace(1, 0, falling, dtype=np.float32)
    return faded


def peak(audio: Audio) -> float:
    """Return the highest absolute sample over all channels; 0 when there is none."""
    # Two passes without a temporary copy: abs() of ten minutes of stereo would take another 230 MB.
    return max(float(audio.max()), -float(audio.min())) if audio.size else 0.0


def is_silent(audio: Audio) -> bool:
    """Whether no sample can be told from silence; the model then gets its own silence (engine.md 4.1)."""
    return peak(audio) < SILENCE
