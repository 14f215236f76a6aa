"""Draws follow the distribution they claim to, in the canonical order."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from studio.engine.lm.requests import Draw
from studio.engine.lm.sampling import draw_tokens, penalise, uniform
from studio.errors import BackendError

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0, 1.0])
EVEN = [(index + 0.5) / 10_000 for index in range(10_000)]


def shares(draw: Draw) -> list[float]:
    """How often each column comes when chance is spread evenly: no luck involved."""
    picks = draw_tokens(LOGITS.expand(len(EVEN), -1), draw, EVEN)
    return [picks.count(column) / len(EVEN) for column in range(len(LOGITS))]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_shares_are_the_softmax(temperature: float) -> None:
    expected = (LOGITS / temperature).softmax(-1).tolist()
    assert shares(Draw(temperature=temperature, top_p=1.0)) == pytest.approx(expected, abs=2e-4)
    assert shares(Draw(temperature=temperature, top_p=0.0)) == pytest.approx(expected, abs=2e-4)


def test_top_k_keeps_the_likeliest() -> None:
    expected = torch.tensor([2.0, 1.0, -torch.inf, -torch.inf, 1.0]).softmax(-1).tolist()
    assert shares(Draw(temperature=1.0, top_k=3, top_p=1.0)) == pytest.approx(expected, abs=2e-4)
    assert shares(Draw(temperature=1.0, top_k=1, top_p=1.0)) == [1.0, 0.0, 0.0, 0.0, 0.0]


def test_top_p_keeps_the_smallest_set_that_holds_it() -> None:
    weights = LOGITS.softmax(-1)  # .52 .19 .07 .03 .19
    assert shares(Draw(temperature=1.0, top_p=0.5)) == [1.0, 0.0, 0.0, 0.0, 0.0]
    kept = [0, 1, 4]
    expected = [float(weights[i] / weights[kept].sum()) if i in kept else 0.0 for i in range(5)]
    assert shares(Draw(temperature=1.0, top_p=0.85)) == pytest.approx(expected, abs=2e-4)


def test_top_p_comes_after_temperature() -> None:
    """Hot, the second column is needed to hold 0.5; cold, it is not (lm.md 4.1)."""
    assert shares(Draw(temperature=2.0, top_p=0.5))[1] > 0
    assert shares(Draw(temperature=1.0, top_p=0.5))[1] == 0


def test_a_flat_row_of_many_columns_is_cut_where_a_sort_would_cut_it() -> None:
    logits = torch.linspace(0, 1, 5000)[None]
    weights = logits[0].softmax(-1).sort(descending=True).values
    kept = int((weights.cumsum(-1) - weights < 0.9).sum())
    least = draw_tokens(logits, Draw(temperature=1.0, top_p=0.9), [0.0])[0]
    assert abs(5000 - kept - least) <= 1


def test_greedy_takes_the_lowest_of_equals() -> None:
    assert draw_tokens(torch.tensor([[0.0, 3.0, 3.0]]), Draw(temperature=0.0), []) == [1]


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 4))
def test_a_column_without_weight_is_never_drawn(chance: float, only: int) -> None:
    logits = torch.full((1, 5), -torch.inf)
    logits[0, only] = 0.0
    assert draw_tokens(logits, Draw(), [chance]) == [only]


def test_the_greatest_chance_still_falls_on_a_column() -> None:
    logits = torch.zeros(1, 7)
    logits[0, 5:] = -torch.inf
    assert draw_tokens(logits, Draw(top_p=1.0), [1 - 2**-53]) == [4]


def test_the_penalty_lowers_written_columns_whatever_their_sign() -> None:
    logits = torch.tensor([[2.0, -2.0, 3.0]])
    assert penalise(logits, torch.tensor([[True, True, False]]), 2.0).tolist() == [[1.0, -4.0, 3.0]]


def test_chance_depends_on_seed_stream_and_step_only() -> None:
    assert uniform(1, "codes", 2) == uniform(1, "codes", 2) == 0.015069199734799366
    others = {uniform(1, "codes", 3), uniform(2, "codes", 2), uniform(1, "facts", 2), uniform(12, "codes", 2)}
    assert len(others | {uniform(1, "codes", 2)}) == 5
    drawn = [uniform(7, "codes", step) for step in range(4000)]
    assert abs(sum(drawn) / 4000 - 0.5) < 0.02
    assert min(drawn) >= 0
    assert max(drawn) < 1


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_logits_that_are_no_numbers_are_an_error(temperature: float, broken: float) -> None:
    logits = torch.tensor([[0.0, 1.0], [broken, 0.0]])
    with pytest.raises(BackendError, match="is not a number"):
        draw_tokens(logits, Draw(temperature=temperature), [0.5, 0.5])
