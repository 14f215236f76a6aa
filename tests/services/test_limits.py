"""What model and device allow, with and without a language model beside the DiT (product.md 2.12)."""

from __future__ import annotations

from studio.jobs.presence import LM
from studio.services.limits import Limits, limits_of
from studio.services.views import ModelView, StatusView, WorkerState

MODEL = ModelView(name="m", family="turbo", steps=8, max_steps=20, shift=3.0, duration=30.0)


def status(**loaded: object) -> StatusView:
    return StatusView(state=WorkerState.READY, model=MODEL, loaded=loaded)


def test_a_language_model_lowers_what_the_tier_allows() -> None:
    card = {"tier": "4", "max_duration": 600.0, "max_batch": 4, "memory_gb": {"total": 10.0, "free": 6.0}}
    assert limits_of(status(**card)) == Limits(duration=600, batch=4, tier="4")
    assert limits_of(status(**card, **{LM: {"state": "loading"}})) == Limits(duration=600, batch=4, tier="4")
    assert limits_of(status(**card, **{LM: {"state": "ready"}})) == Limits(duration=480, batch=2, tier="4")


def test_a_cpu_keeps_the_absolute_limits() -> None:
    cpu = {"tier": "cpu", "max_duration": 600.0, "max_batch": 8, "memory_gb": {"total": 15.0, "free": 9.0}}
    assert limits_of(status(**cpu, **{LM: {"state": "ready"}})) == Limits(duration=600, batch=8, tier="cpu")


def test_without_a_model_only_the_absolute_limits_hold() -> None:
    assert limits_of(StatusView(state=WorkerState.EMPTY)) == Limits(duration=600, batch=8)
