"""Puts what was made anew back into the recording it belongs to (engine.md 5.8)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from studio.engine.audio.shape import SILENCE, Audio

MAX_GAIN_DB = 3.0  # of matched_level; a larger difference is meant by the model
CONTEXT_SECONDS = 5.0  # on each side of a region
Stretch = tuple[int, int]  # first sample of a region and the one after its last


def splice(source: Audio, generated: Audio, regions: Sequence[Stretch], ramp: int) -> Audio:
    """Return `source` `[channels, S]` with the samples of `regions`, in order and apart, taken from `generated`.

    Up to `ramp` samples on each side of a region pass from one to the other along a line, the inner points of
    `linspace(0, 1, n + 2)`; between two regions no more than up to the middle. Every sample outside the regions and
    their ramps is the source's, bit for bit. `generated` covers at least the regions and what it has of the ramps;
    samples after the source's end are dropped.

    A gain on the whole result would break that promise. So bring `generated` into scale first (`matched_level`, then
    `within_full_scale`, which also keeps the ramps in scale), and neither `level` nor `fade` what this returns.
    """
    channels, samples = source.shape
    have = min(samples, generated.shape[1])
    for start, end in regions:
        if generated.shape[0] != channels or not 0 <= start <= end <= have or ramp < 0:
            raise ValueError(f"no range {start}..{end} with ramps of {ramp} in {source.shape} and {generated.shape}")
    joined = source.copy()
    for (start, end), (before, after) in zip(regions, ramps(regions, ramp, have), strict=True):
        if start == end:
            continue
        joined[:, start:end] = generated[:, start:end]
        for side, falls in ((before, False), (after, True)):
            share = np.linspace(0, 1, side.stop - side.start + 2, dtype=np.float32)[1:-1]
            share = share[::-1] if falls else share
            joined[:, side] = share * generated[:, side] + (1 - share) * source[:, side]
    return joined


def ramps(regions: Sequence[Stretch], ramp: int, samples: int) -> list[tuple[slice, slice]]:
    """Return the samples before and after each region over which it fades, in audio of `samples`."""
    middles = [(end + start) // 2 for (_first, end), (start, _last) in pairwise(regions)]
    lowest, highest = [0, *middles], [*middles, samples]
    return [
        (slice(max(low, start - ramp), start), slice(end, min(end + ramp, high)))
        for (start, end), low, high in zip(regions, lowest, highest, strict=True)
    ]


def matched_level(source: Audio, generated: Audio, regions: Sequence[Stretch], sample_rate: int) -> Audio:
    """Return `generated` as loud as `source` is around `regions`, so that a splice doesn't jump.

    Both hold the same music outside the regions: once recorded, once through the autoencoder. The gain is the ratio of
    their root mean squares over five seconds on each side, at most 3 dB up or down, and 1 where either is silent.
    """
    sides = _sides(regions, round(CONTEXT_SECONDS * sample_rate))
    samples = min(source.shape[1], generated.shape[1])
    wanted, have = (
        np.sqrt(sum(float(np.square(audio[:, :samples][:, side], dtype=np.float64).sum()) for side in sides))
        for audio in (source, generated)
    )
    if min(wanted, have) < SILENCE:
        return generated
    most = 10 ** (MAX_GAIN_DB / 20)
    return generated * np.float32(np.clip(wanted / have, 1 / most, most))


def _sides(regions: Sequence[Stretch], context: int) -> list[slice]:
    """What is at most `context` samples from a region and in none, each sample once."""
    sides, reached = [], 0
    for number, (start, end) in enumerate(regions):
        following = regions[number + 1][0] if number + 1 < len(regions) else end + context
        sides += [slice(max(reached, start - context), start), slice(end, min(end + context, following))]
        reached = sides[-1].stop
    return sides
