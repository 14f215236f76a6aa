"""Every job is made with the adapters it asked for, whatever was put on the model before or meanwhile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from studio.config import Settings
from studio.engine.audio.io import read_audio
from studio.engine.lora.formats import adapter_hash, inspect_adapter
from studio.engine.lora.wanted import AdapterSet, Wanted
from studio.engine.requests import AudioFormat, TextToMusic
from studio.engine.run import Run
from studio.engine.sampling import Sampling
from studio.engine.setup import Setup
from studio.jobs.presence import Presence
from studio.jobs.resident import MusicEngine, Resident, load_engine
from studio.jobs.spec import Adapt, Generate, Replay
from studio.storage.models import Worker
from studio.storage.states import JobState
from tests.engine.conftest import save
from tests.engine.test_adapters import PREFIX, write
from tests.jobs.fakes import FakeEngine, Garage, HandClock, load, make_settings, open_database, song
from tests.jobs.shop import Shop, serving
from tests.jobs.test_scoring import serve, unmeasured
from tests.jobs.test_worker import ENDED
from tests.services.conftest import until

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


def test_a_song_after_unloading_is_the_song_before_loading_and_the_model_is_loaded_once(tmp_path: Path) -> None:
    save(tmp_path / "models" / "tiny", turbo=True)
    layer, draw = f"{PREFIX}layers.0.self_attn.q_proj", torch.Generator().manual_seed(1)
    weights = {f"{layer}.lora_A.weight": torch.randn(4, 32, generator=draw)}
    weights[f"{layer}.lora_B.weight"] = torch.randn(32, 4, generator=draw)
    found = inspect_adapter(write(tmp_path / "voice", weights))
    voice = AdapterSet(adapters=(Wanted(name="voice", path=str(found.path), sha256=adapter_hash(found)),), on=True)
    settings = make_settings(tmp_path, device="cpu")
    shop, loads = Shop(settings, open_database(settings), HandClock()), list[str]()

    def load_once(model: str, setup: Setup, given: Settings, run: Run) -> MusicEngine:
        loads.append(model)
        return load_engine(model, setup, given, run)

    short = TextToMusic(caption="calm piano", seeds=(7,), duration=10.0, sampling=Sampling(steps=2))
    bare = Generate(model="tiny", audio_format=AudioFormat.WAV, request=short)
    on, off = Adapt(model="tiny", adapters=voice), Adapt(model="tiny", adapters=AdapterSet())
    jobs = [shop.submit(job) for job in (bare, on, replace(bare, adapters=voice), bare, off, bare)]
    with serving(shop.worker(load_once)):
        until(lambda: all(shop.job(job_id).state in ENDED for job_id in jobs))
    assert [shop.job(job_id).error for job_id in jobs] == [""] * len(jobs)
    files = {take.batch_id: shop.artifacts.path(take.key) for take in shop.takes()}
    before, with_it, meanwhile, after = (
        read_audio(files[shop.job(job_id).batch_id])[0] for job_id in jobs if shop.job(job_id).batch_id
    )
    assert np.array_equal(before, after)
    assert np.array_equal(before, meanwhile)
    assert np.abs(before - with_it).max() > 0.001
    assert loads == ["tiny"]
    shop.database.close()
