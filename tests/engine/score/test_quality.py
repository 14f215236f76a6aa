"""The lyric score against the original's, and its parts on maps anyone can read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from studio.engine.score.align import Floats, cheapest_path
from studio.engine.score.quality import coverage, energies, lyric_quality, monotonicity

if TYPE_CHECKING:
    from tests.engine.score.conftest import ScoreRecording


def test_score_energy_and_path_equal_the_originals(scoring: ScoreRecording) -> None:
    maps = scoring.maps()
    energy = energies(maps)
    np.testing.assert_allclose(energy, scoring.tensors["score_energy"].numpy(), atol=1e-6, rtol=0)
    path = cheapest_path(-(energy**2))
    assert np.array_equal(np.stack([path.tokens, path.frames], axis=1), scoring.tensors["score_path"].numpy())
    sung = [bool(flag) for flag in scoring.tensors["score_type_mask"]]
    assert lyric_quality(maps, sung).score == scoring.facts["score"]["lyrics_score"]


def bands(order: list[int], width: int = 20) -> Floats:
    """One map in which token i is looked at during band order[i] alone."""
    maps = np.zeros((1, len(order), len(order) * width), np.float32)
    for token, place in enumerate(order):
        maps[0, token, place * width : (place + 1) * width] = 1.0
    return maps


def test_a_perfect_map_scores_nearly_one() -> None:
    quality = lyric_quality(bands([0, 1, 2, 3]), [True] * 4)
    assert (quality.coverage, quality.monotonicity) == (1.0, 1.0)
    # The path turns three corners over a cell without energy: equal costs don't go by the diagonal.
    assert quality.confidence == pytest.approx(80 / 83)
    assert quality.score == round(80 / 83, 4)


def test_swapped_words_cost_order() -> None:
    assert lyric_quality(bands([0, 2, 1, 3]), [True] * 4).monotonicity == pytest.approx(2 / 3)


def test_a_step_back_of_nine_frames_is_still_in_order() -> None:
    rows = np.zeros((2, 40), np.float32)
    rows[0, 20] = rows[1, 11] = 1.0
    assert monotonicity(rows) == 1.0
    assert monotonicity(rows[:, ::-1]) == 1.0
    rows[1] = np.roll(rows[1], -1)
    assert monotonicity(rows) == 0.0


def test_unseen_words_cost_coverage() -> None:
    maps = bands([0, 1, 2, 3])
    maps[0, 2] = 0.05
    quality = lyric_quality(maps, [True] * 4)
    assert quality.coverage == 0.75
    assert quality.score < 0.6


def test_tags_count_neither_as_seen_nor_in_order() -> None:
    maps = bands([3, 0, 1, 2])  # a tag that looks at the end
    assert lyric_quality(maps, [False, True, True, True]).monotonicity == 1.0
    assert lyric_quality(maps, [True] * 4).monotonicity == pytest.approx(2 / 3)


def test_only_tags_leave_nothing_to_miss() -> None:
    quality = lyric_quality(bands([0, 1]), [False, False])
    assert (quality.coverage, quality.monotonicity) == (1.0, 1.0)


def test_a_flat_map_scores_nothing() -> None:
    flat = np.full((2, 3, 10), 0.3, np.float32)
    assert not energies(flat).any()
    assert lyric_quality(flat, [True] * 3).score == 0.0


def test_energy_just_at_the_limit_does_not_count() -> None:
    rows = np.array([[0.1, 0.0], [0.2, 0.0]], np.float32)
    assert coverage(np.round(rows, 1) - np.float32(1e-8)) == 0.5
