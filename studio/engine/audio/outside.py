"""Whether everything around repainted regions stayed as it was, measured on finished samples. Imports no torch."""

from __future__ import annotations

import numpy as np

from studio.engine.audio.likeness import Likeness, Verdict, likeness
from studio.engine.audio.shape import Audio
from studio.engine.audio.span import Span
from studio.engine.audio.splice import ramps


def outside(source: Audio, result: Audio, span: Span, ramp: int) -> Likeness | None:
    """Compare `result` with `source` `[channels, samples]` wherever the source was to be kept.

    That is the source without the regions of `span` and the `ramp` samples on each side of them, in which both are
    mixed. None when nothing was to be kept. A result that lacks a part of what was to be kept is different.
    """
    if result.shape != (source.shape[0], span.samples):
        return Likeness(Verdict.DIFFERENT, None)
    kept = _kept(span, ramp, source.shape[1])
    if not kept or span.empty:
        return None
    shifted = result[:, span.front :]
    return likeness(
        np.concatenate([source[:, part] for part in kept], axis=1),
        np.concatenate([shifted[:, part] for part in kept], axis=1),
    )


def _kept(span: Span, ramp: int, total: int) -> list[slice]:
    """What no region and no ramp touches, counted on a source of `total` samples."""
    touched = ramps(span.stretches, ramp, span.samples)
    starts = [0, *(after.stop - span.front for _before, after in touched)]
    stops = [*(before.start - span.front for before, _after in touched), total]
    parts = [slice(max(0, start), min(stop, total)) for start, stop in zip(starts, stops, strict=True)]
    return [part for part in parts if part.stop > part.start]
