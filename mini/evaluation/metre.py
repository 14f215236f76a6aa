"""Time signature by ear: after how many beats do the accents come back, and are beats split in two or three?

The estimator is told the tempo that was asked for, as a listener who taps along would be, and nothing else. Accents
are the rises of energy in five bands; the lowest weighs as much as all others. Their correlation with themselves is
read two, three and four beats later. A bar of three repeats after three beats better than after two or four; 6/8 has
its accents at thirds of the beat; 2/4 repeats after two beats nearly as well as after four.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mini.composer.kit import RATE

Values = NDArray[np.float64]

HOP = 240  # samples; accents every 10 ms
SIZE = 1024
SMOOTH = 4  # players are up to 15 ms early or late
EDGES = (30.0, 150.0, 400.0, 1500.0, 5000.0, 12000.0)  # Hz
SPLIT = 0.05  # by how much thirds must beat halves of the beat to be called 6/8
TWOS = 0.95  # share of the likeness four beats later that two beats later must reach to be called 2/4


def accents(audio: NDArray[np.float32]) -> Values:
    """Rises of energy every 10 ms, summed over bands, each scaled to its own spread, smoothed over 40 ms."""
    mono = audio.mean(0)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(mono, SIZE // 2), SIZE)[::HOP] * np.hanning(SIZE)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    hertz = np.fft.rfftfreq(SIZE, 1 / RATE)
    total = np.zeros(len(power))
    for number, (low, high) in enumerate(pairwise(EDGES)):
        level = np.sqrt(power[:, (hertz >= low) & (hertz < high)].sum(1))
        rise = np.diff(level, prepend=level[:1]).clip(0)
        total += (len(EDGES) - 2 if number == 0 else 1) * rise / (rise.std() + 1e-9)
    for _ in range(SMOOTH):
        total = np.convolve(total, [0.25, 0.5, 0.25], mode="same")
    return total


def likeness(strength: Values, seconds: float) -> float:
    """Correlation of accents with themselves that many seconds later, at the best of three neighbouring frames."""
    best = -1.0
    for lag in round(seconds * RATE / HOP) + np.arange(-1, 2):
        if 0 < lag < len(strength) - 2:
            best = max(best, float(np.corrcoef(strength[lag:], strength[:-lag])[0, 1]))
    return best


def metre(audio: NDArray[np.float32], bpm: float) -> int:
    """Beats in a bar of a piece `[2, samples]` whose beat is `bpm` a minute: 2, 3, 4, or 6 for 6/8 felt in two."""
    strength, beat = accents(audio), 60 / bpm
    if likeness(strength, beat / 3) + likeness(strength, 2 * beat / 3) > 2 * (likeness(strength, beat / 2) + SPLIT):
        return 6
    two, three, four = (likeness(strength, count * beat) for count in (2, 3, 4))
    if three > max(two, four):
        return 3
    return 2 if two > TWOS * four else 4
