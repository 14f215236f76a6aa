"""The tempo grid of the mini model.

The model is shown the time through a bank of clocks (see `clock_bank`): cosine and sine of each of 29 beat frequencies
that cover one octave. A song's beat, moved by octaves into that range, is always exactly one of them, so a tempo is at
most 1.2 % off what was asked, and stays in step however long the song is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CLOCKS = 29
LOWEST_HZ = 1.44  # beats at 86.4 bpm
FRAME_RATE = 25.0
CHANNELS = 64
BANK_FRAMES = 15000  # ten minutes


def clock_hz() -> NDArray[np.float64]:
    """Beat frequencies of the bank, in Hz, over one octave."""
    return LOWEST_HZ * 2 ** (np.arange(CLOCKS) / CLOCKS)


def snap(bpm: float) -> tuple[float, int, int]:
    """Nearest playable tempo: beats a minute, index of its clock, and beats a turn of that clock as a power of two."""
    steps = round(float(np.log2(bpm / 60 / LOWEST_HZ)) * CLOCKS)
    fold, clock = divmod(steps, CLOCKS)
    return 60 * LOWEST_HZ * 2 ** (steps / CLOCKS), clock, fold


def clock_bank(frames: int = BANK_FRAMES) -> NDArray[np.float32]:
    """The context the model reads instead of silence, `[frames, 64]`: clocks, slow waves and a start mark."""
    seconds = np.arange(frames) / FRAME_RATE
    phases = 2 * np.pi * seconds[:, None] * clock_hz()
    slow = [np.cos(2 * np.pi * seconds / period) for period in (7.0, 19.0, 53.0, 149.0)]
    marks = [np.exp(-seconds / 2.0), np.ones_like(seconds)]
    bank = np.concatenate([np.cos(phases), np.sin(phases), np.stack(slow + marks, axis=1)], axis=1)
    return (2 * bank).astype(np.float32)
