"""From attention maps to times: makes them sharp and finds the path of the lyrics through them (engine.md 9.3, 9.4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_DIAGONAL, _UP, _LEFT = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Path:
    """Steps through tokens x frames from the first corner to the last; neither index ever falls."""

    tokens: NDArray[np.int64]  # [steps]
    frames: NDArray[np.int64]  # [steps]


def sharpen(maps: Floats) -> Floats:
    """Return one map `[tokens, frames]` from K maps of attention probabilities `[K, tokens, frames]` (engine.md 9.3).

    Each map keeps what stands out along both axes; then all are brought to mean 0 and deviation 1 together. The result
    is zero everywhere when nothing stands out.
    """
    peaks = np.empty_like(maps)
    for index, one in enumerate(maps):  # one at a time: a long song has hundreds of megabytes of them
        kept = _softmax(one, 1) * _softmax(one, 0)
        for axis in (1, 0):
            kept = np.maximum(kept - 2 * np.median(kept, axis=axis, keepdims=True), 0)
        peaks[index] = kept * kept
    mean, deviation = peaks.mean(dtype=np.float64), peaks.std(dtype=np.float64)
    sharp: Floats = ((peaks.mean(axis=0, dtype=np.float64) - mean) / (deviation + 1e-9)).astype(np.float32)
    return sharp


def _softmax(values: Floats, axis: int) -> Floats:
    powers = np.exp(values - values.max(axis=axis, keepdims=True))
    shares: Floats = powers / powers.sum(axis=axis, keepdims=True)
    return shares


def cheapest_path(cost: NDArray[np.floating]) -> Path:
    """Return the path of least total cost through `[tokens, frames]` by dynamic time warping (engine.md 9.4).

    A cell is reached by the diagonal if that is strictly cheaper than both other ways, else from the token before if
    that is, else from the frame before; equal costs are common in a sharpened map, so this rule shows in the times.
    """
    steps = _cheapest_steps(cost)
    token, frame = cost.shape[0] - 1, cost.shape[1] - 1
    tokens, frames = [token], [frame]
    while token or frame:
        step = _LEFT if token == 0 else _UP if frame == 0 else steps[token + frame, token]
        token -= step != _LEFT
        frame -= step != _UP
        tokens.append(token)
        frames.append(frame)
    return Path(np.array(tokens[::-1]), np.array(frames[::-1]))


def even_path(tokens: int, frames: int) -> Path:
    """Return the path that gives every token the same share of the frames, for maps in which nothing stands out."""
    steps = np.arange(max(tokens, frames))
    return Path(steps * tokens // len(steps), steps * frames // len(steps))


def _cheapest_steps(cost: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return how each cell is reached, `[token + frame, token]`; sums are float64.

    Cells of one anti-diagonal don't depend on each other, so each is one vector operation: a song of four minutes takes
    a fraction of a second where a loop over cells takes seconds.
    """
    rows, columns = cost.shape
    diagonals = _skewed(cost)
    steps = np.empty((rows + columns - 1, rows), np.uint8)
    before_last, last = np.full(rows + 1, np.inf), np.full(rows + 1, np.inf)  # index 0 is the border above token 0
    before_last[0] = 0.0
    for number, costs in enumerate(diagonals):
        diagonal, up, left = before_last[:-1], last[:-1], last[1:]
        by_diagonal = (diagonal < up) & (diagonal < left)
        by_up = (up < diagonal) & (up < left)
        steps[number] = np.where(by_diagonal, _DIAGONAL, np.where(by_up, _UP, _LEFT))
        reached = np.full(rows + 1, np.inf)
        reached[1:] = np.where(by_diagonal, diagonal, np.where(by_up, up, left)) + costs
        before_last, last = last, reached
    return steps


def _skewed(cost: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the anti-diagonals `[token + frame, token]` of `cost`, infinite where there is no cell."""
    rows, columns = cost.shape
    padded = np.full((rows, rows + columns), np.inf)
    padded[:, :columns] = cost
    row, item = padded.strides
    view = as_strided(padded, (rows + columns - 1, rows), (item, row - item), writeable=False)
    return np.ascontiguousarray(view)


def token_spans(path: Path, count: int, seconds: float, frames: int) -> list[tuple[float, float]]:
    """Return start and end in seconds of `count` tokens: the first and the last frame the path stays on each.

    `frames` DiT frames last `seconds`.
    """
    second = seconds / frames
    numbers = np.arange(count)
    first = path.frames[np.searchsorted(path.tokens, numbers, side="left")]
    last = path.frames[np.searchsorted(path.tokens, numbers, side="right") - 1]
    return [(float(start) * second, float(end) * second) for start, end in zip(first, last, strict=True)]
