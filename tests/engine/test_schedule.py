"""Noise levels against the tables of engine.md 6.2 and the formula of 6.3."""

from __future__ import annotations

import pytest

from studio.engine.model_spec import FAMILIES, Family
from studio.engine.schedule import noise_levels, untrained

TABLES = {
    1.0: (1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0),
    2.0: (
        1,
        0.9333333333333333,
        0.8571428571428571,
        0.7692307692307693,
        0.6666666666666666,
        0.5454545454545454,
        0.4,
        0.2222222222222222,
        0,
    ),
    3.0: (1, 0.9545454545454546, 0.9, 0.8333333333333334, 0.75, 0.6428571428571429, 0.5, 0.3, 0),
}


@pytest.mark.parametrize("shift", TABLES)
def test_turbo_tables_come_out_exactly(shift: float) -> None:
    assert noise_levels(8, shift) == TABLES[shift]


def test_base_levels() -> None:
    assert noise_levels(4, 1.0) == (1, 0.75, 0.5, 0.25, 0)
    assert noise_levels(4, 3.0) == pytest.approx((1, 0.9, 0.75, 0.5, 0))


@pytest.mark.parametrize("steps", [1, 7, 200])
def test_levels_fall_from_one_to_zero(steps: int) -> None:
    levels = noise_levels(steps, 5.0)
    assert len(levels) == steps + 1
    assert (levels[0], levels[-1]) == (1, 0)
    assert list(levels) == sorted(levels, reverse=True)


def test_only_turbo_has_a_trained_range() -> None:
    assert untrained(8, 2.0, FAMILIES[Family.TURBO]) == []
    assert len(untrained(9, 2.2, FAMILIES[Family.TURBO])) == 2
    assert untrained(9, 2.2, FAMILIES[Family.BASE]) == []
