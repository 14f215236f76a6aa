"""How a checkpoint is kept: what is chosen takes effect, what can't be is refused, and both are said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from studio.engine.engine import Engine
from studio.engine.memory import DeviceMemory
from studio.engine.requests import TextToMusic
from studio.engine.run import Run
from studio.engine.sampling import Sampling
from studio.engine.setup import Attention, Quantization, Setup
from studio.errors import InvalidRequest, OutOfMemory

REQUEST = TextToMusic(caption="calm piano", seeds=(7,), duration=10.0, sampling=Sampling(steps=2))
CPU = Setup(device="cpu", dtype="float32")


def test_the_status_names_everything_that_is_loaded(engine: Engine) -> None:
    status = engine.status()
    assert status["model"] == "tiny-turbo"
    assert status["quantization"] == "none"
    assert status["tier"] == "cpu"
    assert set(status["parts"]) >= {"transformer", "condition_encoder", "text_encoder", "vae", "audio_tokenizer"}


def test_a_small_device_is_played_and_gets_its_tiers_defaults(turbo_path: Path, engine: Engine) -> None:
    small = Engine.load(turbo_path, setup=replace(CPU, max_vram_gb=4.0))
    status = small.status()
    assert (status["tier"], status["max_batch"]) == ("1", 1)
    assert status["offload_to_cpu"] and status["offload_dit_to_cpu"]
    assert status["quantization"] == "int8"
    take = small.generate(REQUEST)[0]
    assert take.effective["quantization"] == "int8"
    whole = engine.generate(REQUEST)[0].audio
    assert np.corrcoef(take.audio.ravel(), whole.ravel())[0, 1] > 0.95


def test_offloading_changes_nothing_but_the_places(turbo_path: Path, engine: Engine) -> None:
    setup = replace(CPU, max_vram_gb=8.0, offload=True, offload_dit=True, quantization=Quantization.NONE)
    kept = Engine.load(turbo_path, setup=setup)
    take, wanted = (one.generate(REQUEST)[0] for one in (kept, engine))
    np.testing.assert_allclose(take.audio, wanted.audio, atol=1e-5)  # decoded in smaller tiles
    assert (take.effective["offload_to_cpu"], wanted.effective["offload_to_cpu"]) == (True, False)
    assert kept._loaded.residency.on_device() == frozenset()


def test_more_takes_than_fit_are_refused_with_numbers_and_the_next_run_works(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowded = DeviceMemory(kind="cpu", total=16.0, free=1.51)
    monkeypatch.setattr("studio.engine.loaded.memory_of", lambda _device, _limit=None, held=0.0: crowded)
    with pytest.raises(OutOfMemory, match=r"8 takes of 600 seconds need about .* GB .* try a smaller batch than 8"):
        engine.generate(replace(REQUEST, seeds=tuple(range(8)), duration=600.0))
    assert engine.generate(REQUEST)


def test_limits_of_the_tier_hold_and_a_request_within_them_works(turbo_path: Path) -> None:
    small = Engine.load(turbo_path, setup=replace(CPU, max_vram_gb=4.0))
    with pytest.raises(InvalidRequest, match=r"batch_size must be at most 1 on devices of tier 1 .*, got 2"):
        small.generate(replace(REQUEST, seeds=(1, 2)))
    with pytest.raises(InvalidRequest, match=r"duration must be at most 360 on devices of tier 1 .*, got 400"):
        small.generate(replace(REQUEST, duration=400.0))
    assert small.generate(REQUEST)


def test_a_played_size_sets_how_much_is_encoded_at_once(turbo_path: Path) -> None:
    sizes = {limit: Engine.load(turbo_path, setup=replace(CPU, max_vram_gb=limit)) for limit in (8.0, 24.0)}
    rate = sizes[8.0].spec.sound.sample_rate / sizes[8.0].spec.sound.hop_length
    assert {limit: one._tiling(Run()).frames / rate for limit, one in sizes.items()} == {8.0: 15.0, 24.0: 30.0}


@pytest.mark.parametrize(
    ("setup", "message"),
    [
        (replace(CPU, attention=Attention.FLASH), "attention must be sdpa without a CUDA device"),
        (replace(CPU, offload=True), "offload must be off on cpu"),
        (replace(CPU, max_vram_gb=4.0, offload=False, offload_dit=True), "offload_dit must be off while"),
        (replace(CPU, max_vram_gb=-1.0), "max_vram_gb must be above 0"),
        (Setup(device="cuda:9"), "device must be on this machine"),
    ],
)
def test_what_this_machine_cant_do_is_refused(turbo_path: Path, setup: Setup, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        Engine.load(turbo_path, setup=setup)
