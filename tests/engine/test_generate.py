"""Text to takes on a tiny random checkpoint."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from studio.engine.dit import Velocity
from studio.engine.engine import Engine
from studio.engine.requests import Metas, TextToMusic
from studio.engine.run import Phase, Run
from studio.engine.sampling import Sampling
from studio.errors import Cancelled, InvalidRequest, ModelNotReady, OutOfMemory, SilentOutput

REQUEST = TextToMusic(caption="calm piano", seeds=(7,), duration=10.0)


def test_one_take_for_each_seed(engine: Engine) -> None:
    takes = engine.generate(replace(REQUEST, seeds=(3, 4)))
    assert [take.seed for take in takes] == [3, 4]
    assert not np.allclose(takes[0].audio, takes[1].audio, atol=1e-2)


def test_the_same_seed_gives_the_same_samples(engine: Engine) -> None:
    first, second = (engine.generate(REQUEST)[0].audio for _ in range(2))
    assert np.array_equal(first, second)


def test_a_take_does_not_depend_on_its_batch(engine: Engine) -> None:
    seeds = tuple(range(11, 19))
    batch = engine.generate(replace(REQUEST, seeds=seeds))
    for index in (0, 4, 7):
        alone = engine.generate(replace(REQUEST, seeds=(seeds[index],)))[0]
        np.testing.assert_allclose(batch[index].audio, alone.audio, atol=2e-5)


def test_the_caption_and_the_metas_change_the_sound(engine: Engine) -> None:
    plain = engine.generate(REQUEST)[0].audio
    for other in (replace(REQUEST, caption="loud drums"), replace(REQUEST, metas=Metas(bpm=90))):
        assert not np.allclose(plain, engine.generate(other)[0].audio, atol=1e-3)


@pytest.mark.parametrize(("asked", "samples"), [(10.0, 24000), (10.06, 24144), (12.3, 12.28 * 2400)])
def test_length_is_as_asked_or_the_last_whole_frame_before(engine: Engine, asked: float, samples: float) -> None:
    take = engine.generate(replace(REQUEST, duration=asked, sampling=Sampling(steps=1)))[0]
    assert take.audio.shape == (2, round(samples))
    assert abs(take.duration - asked) < 0.1


def test_the_loudest_peak_is_one_decibel_below_full_scale(engine: Engine) -> None:
    assert np.abs(engine.generate(REQUEST)[0].audio).max() == pytest.approx(0.891, abs=1e-3)


def test_progress_names_the_phases_in_order(engine: Engine) -> None:
    heard: list[tuple[Phase, int, int]] = []
    request = replace(REQUEST, seeds=(1, 2), duration=24.0, sampling=Sampling(steps=3))
    engine.generate(request, Run(lambda *step: heard.append(step)))
    tiles = 7  # 600 frames, cores of 96
    assert heard == [
        (Phase.PREPARING, 0, 1),
        *((Phase.DIFFUSION, step, 3) for step in range(3)),
        *((Phase.DECODING, tile, 2 * tiles) for tile in range(2 * tiles)),
    ]


def test_cancel_at_step_two_never_runs_step_three(engine: Engine) -> None:
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    run = Run(cancelled=lambda: calls == 2)
    hook = engine._loaded.parts.transformer.proj_out_conv.register_forward_hook(count)
    try:
        with pytest.raises(Cancelled, match="diffusion at 2 of 8"):
            engine.generate(REQUEST, run)
    finally:
        hook.remove()
    assert calls == 2


def test_effective_settings_leave_nothing_open(engine: Engine) -> None:
    take = engine.generate(TextToMusic(lyrics="la la", instrumental=True, caption="x", seeds=(5,)))[0]
    assert take.requested["duration"] is None
    assert take.requested["lyrics"] == "la la"
    filled = dict(take.effective)
    assert json.loads(json.dumps(filled)) == filled
    expected = {
        "lyrics": "[Instrumental]",
        "duration": 10.0,
        "inference_steps": 8,
        "shift": 3.0,
        "guidance_scale": 1.0,
        "instruction": "Fill the audio semantic mask based on the given conditions:",
        "model": "tiny-turbo",
        "family": "turbo",
        "device": "cpu",
        "dtype": "float32",
        "sample_rate": 2400,
        "normalization_db": -1.0,
        "notes": [],
    }
    assert {key: filled[key] for key in expected} == expected
    assert set(take.requested) <= set(filled)


def test_choices_outside_the_trained_range_are_noted(engine: Engine) -> None:
    take = engine.generate(replace(REQUEST, sampling=Sampling(steps=3, shift=2.5)))[0]
    assert take.effective["notes"] == [
        "3 steps are outside the trained range of this checkpoint (8)",
        "shift 2.5 is outside the trained range of this checkpoint (1, 2, 3)",
    ]


def test_lyrics_beyond_the_token_limit_are_noted(engine: Engine) -> None:
    request = replace(REQUEST, lyrics="zq " * 1300, sampling=Sampling(steps=1))
    assert engine.generate(request)[0].effective["notes"][-1] == "lyrics were cut to the first 2048 tokens"


def test_too_many_steps_are_refused_before_anything_runs(engine: Engine) -> None:
    with pytest.raises(InvalidRequest, match="steps must be at most 20 on turbo checkpoints, got 21"):
        engine.generate(replace(REQUEST, sampling=Sampling(steps=21)))


def test_bfloat16_sounds_nearly_the_same(engine: Engine, turbo_path: Path) -> None:
    half = Engine.load(turbo_path, device="cpu", dtype="bfloat16").generate(REQUEST)[0]
    assert half.effective["dtype"] == "bfloat16"
    assert np.corrcoef(half.audio.ravel(), engine.generate(REQUEST)[0].audio.ravel())[0, 1] > 0.95


def test_timings_add_up(engine: Engine) -> None:
    timings = engine.generate(REQUEST)[0].timings
    assert list(timings) == ["encode", "denoise", "decode", "total"]
    assert math.isclose(timings["encode"] + timings["denoise"] + timings["decode"], timings["total"])


def test_base_checkpoints_are_guided(base_engine: Engine) -> None:
    seen: list[int] = []
    hook = base_engine._loaded.parts.transformer.proj_out_conv.register_forward_pre_hook(
        lambda _module, inputs: seen.append(inputs[0].shape[0])
    )
    take = base_engine.generate(replace(REQUEST, sampling=Sampling(steps=2)))[0]
    hook.remove()
    assert take.effective["guidance_scale"] == 7.0
    assert seen == [2, 2]
    assert base_engine.spec.defaults.steps == 32


@pytest.mark.parametrize("factor", [math.nan, 1.0])
def test_a_result_without_sound_is_an_error(engine: Engine, factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    # A velocity equal to the noise ends at zero after a single step.
    monkeypatch.setattr(Velocity, "__call__", lambda _self, latents, _level, *, unprompted: (latents * factor, None))
    with pytest.raises(SilentOutput, match="not numbers" if math.isnan(factor) else "zero everywhere"):
        engine.generate(replace(REQUEST, sampling=Sampling(steps=1)))


def test_out_of_memory_names_what_to_try_and_the_next_request_works(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patch:
        patch.setattr("studio.engine.engine.denoise", full)
        with pytest.raises(OutOfMemory, match="too little memory; try int8 quantisation, a smaller decoding tile"):
            engine.generate(REQUEST)
    assert engine.generate(REQUEST)


def test_an_unloaded_engine_says_so(turbo_path: Path) -> None:
    engine = Engine.load(turbo_path, device="cpu")
    engine.unload()
    engine.unload()
    with pytest.raises(ModelNotReady):
        engine.generate(REQUEST)
