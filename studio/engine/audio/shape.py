"""Levels of finished audio (engine.md 7)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NORMALIZATION_DB = -1.0  # dBFS of the highest peak
SILENCE = 1e-6  # a peak below this is silence and is not amplified

Audio = NDArray[np.float32]  # [channels, samples]


def level(audio: Audio) -> Audio:
    """Return `audio` `[channels, samples]` with its highest peak at -1 dBFS (0.891); silence is returned as it is.

    A peak above 1 is first scaled down to 1, as the original does; the gains multiply, so one is enough.
    """
    loudest = peak(audio)
    if loudest < SILENCE:
        return audio
    return audio * np.float32(10 ** (NORMALIZATION_DB / 20) / loudest)


def peak(audio: Audio) -> float:
    """Return the highest absolute sample over all channels; 0 when there is none."""
    # Two passes without a temporary copy: abs() of ten minutes of stereo would take another 230 MB.
    return max(float(audio.max()), -float(audio.min())) if audio.size else 0.0
