"""Whether everything around a repainted span stayed as it was, measured on finished samples. Imports no torch."""

from __future__ import annotations

import numpy as np

from studio.engine.audio.likeness import Likeness, Verdict, likeness
from studio.engine.audio.shape import Audio
from studio.engine.audio.span import Span


def outside(source: Audio, result: Audio, span: Span, ramp: int) -> Likeness | None:
    """Compare `result` with `source` `[channels, samples]` wherever the source was to be kept.

    That is the source without the range of `span` and the `ramp` samples on each side of it, in which both are mixed.
    None when nothing was to be kept. A result that lacks a part of what was to be kept is different.
    """
    if result.shape != (source.shape[0], span.samples):
        return Likeness(Verdict.DIFFERENT, None)
    first, last = max(0, span.start - ramp - span.front), max(0, span.end + ramp - span.front)
    shifted = result[:, span.front :]
    total = source.shape[1]
    kept = [part for part in (slice(0, min(first, total)), slice(last, total)) if part.stop > part.start]
    if not kept or span.empty:
        return None
    return likeness(
        np.concatenate([source[:, part] for part in kept], axis=1),
        np.concatenate([shifted[:, part] for part in kept], axis=1),
    )
