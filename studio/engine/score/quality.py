"""How well a take follows its lyrics, from the same attention maps (engine.md 9.6)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from studio.engine.score.align import Floats, Path, cheapest_path
from studio.engine.score.results import LyricQuality

_SEEN = 0.1  # energy above which a token counts as looked at
_HEARD = 0.01  # energy below which a frame has no part in a token's place
_SLACK_FRAMES = 9.0  # how far back the next token may lie and still be in order: 0.72 s


def lyric_quality(maps: Floats, sung: Sequence[bool]) -> LyricQuality:
    """Return the quality of attention maps `[K, tokens, frames]`; `sung` says which tokens are outside brackets."""
    energy = energies(maps)
    rows = energy[np.array(sung, dtype=bool)]
    covered = coverage(rows)
    ordered = monotonicity(rows)
    sure = confidence(energy, cheapest_path(-(energy**2)))
    score = min(1.0, max(0.0, covered**2 * ordered**2 * sure))
    return LyricQuality(coverage=covered, monotonicity=ordered, confidence=sure, score=round(score, 4))


def energies(maps: Floats) -> Floats:
    """Return the mean map `[tokens, frames]` stretched to 0..1; a flat one is zero everywhere."""
    mean = maps.mean(axis=0)
    low, high = mean.min(), mean.max()
    flat = high - low <= 1e-9
    stretched: Floats = np.zeros_like(mean) if flat else (mean - low) / (high - low)
    return stretched


def coverage(rows: Floats) -> float:
    """Return the share of `rows` `[tokens, frames]` with a frame above 0.1; 1 for no rows."""
    return float((rows.max(axis=1) > _SEEN).mean()) if len(rows) else 1.0


def monotonicity(rows: Floats) -> float:
    """Return the share of neighbouring `rows` `[tokens, frames]` whose centres come in order; 1 for fewer than two."""
    if len(rows) < 2:
        return 1.0
    places = _centres(rows)
    return float((places[1:] >= places[:-1] - _SLACK_FRAMES).mean())


def _centres(rows: Floats) -> NDArray[np.float64]:
    """The frame each row's energy is centred on; 0 for a row without any."""
    heard = np.where(rows > _HEARD, rows, 0.0).astype(np.float64)
    weights = heard.sum(axis=1)
    moments = heard @ np.arange(rows.shape[1])
    centres: NDArray[np.float64] = np.divide(moments, weights, out=np.zeros_like(weights), where=weights > 0)
    return centres


def confidence(energy: Floats, path: Path) -> float:
    """Return the mean energy along `path`."""
    return float(energy[path.tokens, path.frames].mean(dtype=np.float64))
