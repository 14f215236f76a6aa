"""Figures with their intervals: shares, areas under the curve, medians; pure arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

REDRAWS = 400  # bootstrap samples; the ends of a 95 % interval then rest on ten of them
NOTHING = "–"


def auc(values: Sequence[float], labels: Sequence[bool]) -> float:
    """Chance that a piece with the label scores above one without it, ties counted half; NaN without both kinds."""
    scores, marked = np.asarray(values, float), np.asarray(labels, bool)
    above = scores[marked][:, None] - scores[~marked][None, :]
    return float(np.mean((above > 0) + 0.5 * (above == 0))) if above.size else float("nan")


def above(high: Sequence[float], low: Sequence[float]) -> float:
    """Chance that one of `high` is above one of `low`."""
    return auc([*high, *low], [True] * len(high) + [False] * len(low))


def interval(figure: Callable[[NDArray[np.int64]], float], count: int) -> tuple[float, float]:
    """95 % bootstrap interval of a figure of `count` pieces, given as the function of the chosen row numbers.

    Redraws for which the figure can't be told (NaN) are left out.
    """
    rng = np.random.default_rng(0)
    redrawn = [figure(rng.integers(0, count, count)) for _ in range(REDRAWS)]
    told = [value for value in redrawn if np.isfinite(value)]
    return (float(np.percentile(told, 2.5)), float(np.percentile(told, 97.5))) if told else (float("nan"),) * 2


def wilson(hits: int, count: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927)."""
    p, z = hits / count, 1.96
    centre = (p + z * z / 2 / count) / (1 + z * z / count)
    half = z * np.sqrt(p * (1 - p) / count + z * z / 4 / count**2) / (1 + z * z / count)
    return float(centre - half), float(centre + half)


def share_cell(hits: Sequence[bool]) -> str:
    """A share as percent with its interval, "–" of nothing."""
    if not len(hits):
        return NOTHING
    low, high = wilson(int(np.sum(hits)), len(hits))
    return f"{100 * float(np.mean(hits)):.0f} % ({100 * low:.0f}–{100 * high:.0f})"


def number_cell(value: float, ends: tuple[float, float], digits: int = 2, unit: str = "") -> str:
    """A number with its interval, "–" where it can't be told."""
    if not np.isfinite(value):
        return NOTHING
    return f"{value:.{digits}f}{unit} ({ends[0]:.{digits}f}–{ends[1]:.{digits}f})"


def auc_cell(values: Sequence[float], labels: Sequence[bool]) -> str:
    """An area under the curve; pieces are drawn again with their labels."""
    scores, marked = np.asarray(values, float), np.asarray(labels, bool)
    return number_cell(auc(values, labels), interval(lambda rows: auc(scores[rows], marked[rows]), len(scores)))


def above_cell(high: Sequence[float], low: Sequence[float]) -> str:
    """The chance that one of `high` is above one of `low`; both are drawn again together, row by row."""
    ups, downs = np.asarray(high, float), np.asarray(low, float)
    if len(ups) != len(downs):
        raise ValueError(f"as many high as low values are needed, got {len(ups)} and {len(downs)}")
    return number_cell(above(high, low), interval(lambda rows: above(ups[rows], downs[rows]), len(ups)))


def median_cell(values: Sequence[float], digits: int = 1, unit: str = "") -> str:
    """A median with its interval."""
    numbers = np.asarray(values, float)
    if not len(numbers):
        return NOTHING
    return number_cell(
        float(np.median(numbers)), interval(lambda rows: float(np.median(numbers[rows])), len(numbers)), digits, unit
    )


def mean_auc_cell(scores: Values, labels: NDArray[np.bool_]) -> str:
    """The mean over columns of the areas under their curves, for scores and labels `[pieces, columns]`."""

    def mean(rows: NDArray[np.int64]) -> float:
        each = [auc(scores[rows, column], labels[rows, column]) for column in range(scores.shape[1])]
        told = [value for value in each if np.isfinite(value)]
        return float(np.mean(told)) if told else float("nan")

    return number_cell(mean(np.arange(len(scores))), interval(mean, len(scores)))
