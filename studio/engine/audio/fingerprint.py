"""Tells whether two recordings are the same one, whatever file, level or few seconds at its start: no torch.

The sign of how the energy of neighbouring bands changes from frame to frame (Haitsma & Kalker 2002, "A highly robust
audio fingerprinting system") survives lossy files, filters and gain; what is compared is the share of equal bits.
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from studio.engine.audio.shape import Audio

Words = NDArray[np.uint32]
RATE = 5512  # Hz
WINDOW, HOP = 2048, 256  # samples: frames of 0.37 s that overlap so much that a shift of half a hop changes few bits
BANDS = np.geomspace(300, 2000, 34)  # Hz; 33 bands give 32 bits
MOST_SECONDS = 60.0
SAME = 0.72  # share of equal bits; strangers stay near 0.5
SHIFT = 43  # frames, two seconds either way
PROBE = 215  # frames that are compared, ten seconds
_LEAST = 20  # frames to compare, a second


def fingerprint(audio: Audio, rate: int) -> Words:
    """Return one word every 46 ms of the first minute of `audio` `[channels, samples]` at `rate` Hz."""
    mono = soxr.resample(audio[:, : round(MOST_SECONDS * rate)].mean(axis=0), rate, RATE)
    if mono.size < WINDOW + HOP:
        return np.zeros(0, np.uint32)
    frames = np.lib.stride_tricks.sliding_window_view(mono, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1)) ** 2
    edges = np.searchsorted(np.fft.rfftfreq(WINDOW, 1 / RATE), BANDS)
    sums = np.concatenate([np.zeros((len(power), 1)), np.cumsum(power, axis=1)], axis=1)
    bands = sums[:, edges[1:]] - sums[:, edges[:-1]]
    between = bands[:, :-1] - bands[:, 1:]
    bits = (between[1:] - between[:-1]) > 0
    return np.ascontiguousarray(np.packbits(bits, axis=1)).view(">u4")[:, 0].astype(np.uint32)


def sameness(first: Words, second: Words) -> float:
    """Return the share (0..1) of equal bits of the middle of one and what fits it best in the other.

    The other may begin up to two seconds sooner or later. 0 when one is too short or its middle silent.
    """
    shorter = min(first.size, second.size)
    shift = min(SHIFT, (shorter - _LEAST) // 2)
    if shift < 1:
        return 0.0
    length = min(PROBE, shorter - 2 * shift)
    start = (shorter - length) // 2
    probe = first[start : start + length]
    if 2 * np.count_nonzero(probe) < length:  # bits of digital silence are all 0
        return 0.0
    around = second[start - shift : start + shift + length]
    different = np.bitwise_count(np.lib.stride_tricks.sliding_window_view(around, length) ^ probe).sum(axis=1)
    return 1 - float(different.min()) / (32 * length)


def same_recordings(prints: dict[str, Words]) -> dict[str, list[str]]:
    """Return, by name, the others that are the same recording; names without any are left out."""
    found: dict[str, list[str]] = {}
    names = sorted(prints)
    for place, name in enumerate(names):
        for other in names[place + 1 :]:
            if sameness(prints[name], prints[other]) >= SAME:
                found.setdefault(name, []).append(other)
                found.setdefault(other, []).append(name)
    return found
