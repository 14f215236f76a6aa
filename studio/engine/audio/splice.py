"""Puts what was made anew back into the recording it belongs to (engine.md 5.8)."""

from __future__ import annotations

import numpy as np

from studio.engine.audio.shape import SILENCE, Audio

MAX_GAIN_DB = 3.0  # of matched_level; a larger difference is meant by the model
CONTEXT_SECONDS = 5.0  # on each side of the range


def splice(source: Audio, generated: Audio, start: int, end: int, ramp: int) -> Audio:
    """Return `source` `[channels, S]` with the samples from `start` to `end` (exclusive) taken from `generated`.

    Up to `ramp` samples on each side of the range pass from one to the other along a line, the inner points of
    `linspace(0, 1, n + 2)`; every sample outside the range and its ramps is the source's, bit for bit. `generated`
    covers at least the range and what it has of the ramps; samples after the source's end are dropped.

    A gain on the whole result would break that promise. So bring `generated` into scale first (`matched_level`, then
    `within_full_scale`, which also keeps the ramps in scale), and neither `level` nor `fade` what this returns.
    """
    channels, samples = source.shape
    if generated.shape[0] != channels or not 0 <= start <= end <= min(samples, generated.shape[1]) or ramp < 0:
        raise ValueError(f"no range {start}..{end} with ramps of {ramp} in {source.shape} and {generated.shape}")
    joined = source.copy()
    if start == end:
        return joined
    joined[:, start:end] = generated[:, start:end]
    before = slice(max(0, start - ramp), start)
    after = slice(end, min(end + ramp, samples, generated.shape[1]))
    for side, falls in ((before, False), (after, True)):
        share = np.linspace(0, 1, side.stop - side.start + 2, dtype=np.float32)[1:-1]
        share = share[::-1] if falls else share
        joined[:, side] = share * generated[:, side] + (1 - share) * source[:, side]
    return joined


def matched_level(source: Audio, generated: Audio, start: int, end: int, sample_rate: int) -> Audio:
    """Return `generated` as loud as `source` is around the range, so that a splice doesn't jump.

    Both hold the same music outside the range: once recorded, once through the autoencoder. The gain is the ratio of
    their root mean squares over five seconds on each side, at most 3 dB up or down, and 1 where either is silent.
    """
    context = round(CONTEXT_SECONDS * sample_rate)
    sides = (slice(max(0, start - context), start), slice(end, end + context))
    samples = min(source.shape[1], generated.shape[1])
    wanted, have = (
        np.sqrt(sum(float(np.square(audio[:, :samples][:, side], dtype=np.float64).sum()) for side in sides))
        for audio in (source, generated)
    )
    if min(wanted, have) < SILENCE:
        return generated
    most = 10 ** (MAX_GAIN_DB / 20)
    return generated * np.float32(np.clip(wanted / have, 1 / most, most))
