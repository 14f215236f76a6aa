"""An engine that keeps its parts in RAM, or its DiT in int8, makes the same music."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from studio.config import ROOT
from studio.engine.engine import Engine
from studio.engine.loaded import NAMES
from studio.engine.requests import TextToMusic
from studio.engine.setup import Quantization, Setup
from tests.engine.test_adapters import PREFIX, write

SONG = TextToMusic(caption="calm piano", lyrics="la la", seeds=(7,), duration=10.0)  # one take is all that CARD allows
CARD = Setup(device="cpu", max_vram_gb=6.0)  # a small card, simulated


def guarded(engine: Engine) -> Engine:
    """Fail as soon as any part works that is not on the device."""

    def guard(name: str, part: nn.Module) -> None:
        def check(*_: object) -> None:
            assert name in engine._loaded.residency.on_device(), f"{name} works while it is in RAM"

        for module in part.modules():
            module.register_forward_pre_hook(check)

    for name in NAMES:
        if (part := getattr(engine._loaded.parts, name)) is not None:
            guard(name, part)
    return engine


def test_a_small_card_offloads_everything_and_sounds_the_same(turbo_path: Path, engine: Engine) -> None:
    small = guarded(Engine.load(turbo_path, setup=replace(CARD, quantization=Quantization.NONE)))
    assert small.status()["offload_dit_to_cpu"]
    for wanted, got in zip(engine.generate(SONG), small.generate(SONG), strict=True):
        np.testing.assert_allclose(wanted.audio, got.audio, atol=1e-5)  # decoded in smaller tiles


def test_adapters_work_on_an_offloaded_int8_engine(turbo_path: Path, tmp_path: Path, engine: Engine) -> None:
    small = guarded(Engine.load(turbo_path, setup=CARD))
    assert small.status()["quantization"] == "int8"
    base = small.generate(SONG)[0].audio
    assert np.corrcoef(base.ravel(), engine.generate(SONG)[0].audio.ravel())[0, 1] > 0.9
    layer = f"{PREFIX}layers.0.self_attn.q_proj"
    weights = {f"{layer}.lora_A.weight": torch.randn(4, 32), f"{layer}.lora_B.weight": torch.randn(32, 4)}
    small.adapters.load(write(tmp_path / "voice", weights))
    assert not np.array_equal(small.generate(SONG)[0].audio, base)
    small.adapters.set_scale("voice", 0)
    assert np.array_equal(small.generate(SONG)[0].audio, base)
    small.adapters.unload("voice")
    assert np.array_equal(small.generate(SONG)[0].audio, base)


def test_the_bundled_model_can_be_offloaded_too() -> None:
    bundled = ROOT / "data" / "models" / "acestep-mini-turbo"  # its autoencoder has no weights to train
    whole, small = Engine.load(bundled), Engine.load(bundled, setup=replace(CARD, quantization=Quantization.NONE))
    assert small.status()["offload_dit_to_cpu"]
    np.testing.assert_allclose(whole.generate(SONG)[0].audio, small.generate(SONG)[0].audio, atol=1e-4)
