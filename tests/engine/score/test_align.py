"""Sharpened maps, path and spans against the original's and against plain re-statements of the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.engine.score.align import cheapest_path, even_path, sharpen, token_spans

if TYPE_CHECKING:
    from tests.engine.score.conftest import ScoreRecording


def test_sharpened_map_equals_the_originals(scoring: ScoreRecording) -> None:
    np.testing.assert_allclose(sharpen(scoring.maps()), scoring.tensors["calc_matrix"].numpy(), atol=1e-5, rtol=0)


def test_token_times_equal_the_originals(scoring: ScoreRecording) -> None:
    sharp = sharpen(scoring.maps())
    spans = token_spans(cheapest_path(-sharp), len(sharp), scoring.facts["duration"], sharp.shape[1])
    assert spans == [(start, end) for _id, _text, start, end in scoring.facts["tokens"]]


@pytest.mark.parametrize("shape", [(3, 6, 10), (2, 7, 8), (1, 1, 5), (1, 5, 1)])
def test_medians_lie_between_the_middle_two(shape: tuple[int, ...]) -> None:
    maps = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    kept = maps.softmax(2) * maps.softmax(1)
    for axis in (2, 1):
        kept = (kept - 2 * kept.quantile(0.5, dim=axis, keepdim=True)).relu()
    kept = kept**2
    expected = ((kept - kept.mean()) / (kept.std(correction=0) + 1e-9)).mean(0)
    np.testing.assert_allclose(sharpen(maps.numpy()), expected.numpy(), atol=1e-4, rtol=0)


def plain_path(cost: Any) -> list[tuple[int, int]]:
    """The rules of engine.md 9.4, a cell at a time."""
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0
    came = np.zeros((rows + 1, columns + 1), int)
    came[0, :], came[:, 0] = 2, 1
    for i in range(1, rows + 1):
        for j in range(1, columns + 1):
            diagonal, up, left = total[i - 1, j - 1], total[i - 1, j], total[i, j - 1]
            came[i, j] = 0 if diagonal < min(up, left) else 1 if up < min(diagonal, left) else 2
            total[i, j] = (diagonal, up, left)[came[i, j]] + cost[i - 1, j - 1]
    i, j, path = rows, columns, []
    while i or j:
        path.append((i - 1, j - 1))
        i, j = i - (came[i, j] != 2), j - (came[i, j] != 1)
    return path[::-1]


@st.composite
def costs(draw: st.DrawFn) -> Any:
    """Few different values, so that most cells tie."""
    rows, columns = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    values = draw(st.lists(st.integers(-2, 1), min_size=rows * columns, max_size=rows * columns))
    return np.array(values, np.float32).reshape(rows, columns)


@settings(max_examples=300, deadline=None)
@given(costs())
def test_ties_are_broken_as_by_the_original(cost: Any) -> None:
    path = cheapest_path(cost)
    assert list(zip(path.tokens.tolist(), path.frames.tolist(), strict=True)) == plain_path(cost)


def test_path_of_a_long_song_follows_its_diagonal() -> None:
    tokens, frames = 500, 3000
    cost = np.zeros((tokens, frames), np.float32)
    cost[np.arange(frames) * tokens // frames, np.arange(frames)] = -1.0
    spans = token_spans(cheapest_path(cost), tokens, 240.0, frames)
    starts = np.array(spans)[:, 0]
    np.testing.assert_allclose(starts, np.arange(tokens) * 0.48, atol=0.081)
    assert all(end >= start for start, end in spans)


@given(st.integers(1, 50), st.integers(1, 50))
def test_an_even_path_visits_every_token_and_frame(tokens: int, frames: int) -> None:
    path = even_path(tokens, frames)
    assert sorted(set(path.tokens.tolist())) == list(range(tokens))
    assert sorted(set(path.frames.tolist())) == list(range(frames))


def test_more_tokens_than_frames_share_frames() -> None:
    spans = token_spans(cheapest_path(np.zeros((5, 2), np.float32)), 5, 1.0, 2)
    assert len(spans) == 5
    assert spans == sorted(spans)
    assert spans[-1][1] == 0.5
