"""Every job is made with the adapters it asked for, whatever was put on the model before or meanwhile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from studio.engine.lora.wanted import AdapterSet, Wanted
from studio.engine.run import Run
from studio.jobs.presence import Presence
from studio.jobs.resident import Resident
from studio.jobs.spec import Adapt, Generate, Replay
from studio.storage.models import Worker
from studio.storage.states import JobState
from tests.jobs.fakes import FakeEngine, Garage, load, song
from tests.jobs.shop import Shop
from tests.jobs.test_scoring import serve, unmeasured

__all__ = ["unmeasured"]


@pytest.fixture
def voice(tmp_path: Path) -> AdapterSet:
    (tmp_path / "voice").mkdir()
    return AdapterSet(adapters=(Wanted(name="voice", path=str(tmp_path / "voice"), sha256="5a", scale=0.5),), on=True)


def sung(seed: int, adapters: AdapterSet) -> Generate:
    return replace(song(seed), adapters=adapters)


def test_a_job_wears_what_it_asked_for_and_the_model_tells_what_was_put_on_it(shop: Shop, voice: AdapterSet) -> None:
    engine, louder = FakeEngine(), replace(voice, adapters=(replace(voice.adapters[0], scale=1.0),))
    jobs = serve(shop, engine, load(), Adapt(model="fake", adapters=louder), sung(1, voice), song(2), sung(3, louder))
    assert [job.state for job in jobs] == [JobState.DONE] * 5
    takes = {take.seed: take for take in shop.takes()}
    for seed, worn in ((1, voice), (2, AdapterSet()), (3, louder)):
        for settings in (takes[seed].requested, takes[seed].effective):
            assert {name: settings[name] for name in ("use_lora", "adapters")} == worn.told()
    (again,) = serve(shop, engine, Replay(batch_id=takes[1].batch_id))
    assert again.state == JobState.DONE
    assert engine.adapters.worn[-1] == voice


def test_an_adapter_that_is_gone_fails_its_job_with_the_reason(shop: Shop, voice: AdapterSet, tmp_path: Path) -> None:
    (tmp_path / "voice").rmdir()
    failed, made = serve(shop, FakeEngine(), sung(1, voice), song(2))
    assert (failed.state, failed.error) == (JobState.FAILED, f"there is no adapter at {tmp_path / 'voice'}")
    assert made.state == JobState.DONE
    assert [take.seed for take in shop.takes()] == [2]


def test_a_job_changes_nothing_of_what_the_model_tells_and_another_model_has_none(
    shop: Shop, voice: AdapterSet
) -> None:
    presence = Presence(shop.database, shop.clock)
    resident = Resident(shop.settings, presence, Garage())

    def told() -> object:
        with shop.database.read() as session:
            return session.get_one(Worker, presence.id).loaded["adapters"]

    resident.adapt("fake", voice, Run())
    resident.dressed("fake", AdapterSet(), Run())
    presence.beat()
    assert told() == voice.as_row()["adapters"]
    resident.require("other", Run())
    assert told() == []
