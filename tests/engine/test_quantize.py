"""Int8 weights: smaller, nearly the same velocity, and never silently left out."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import Tensor

from studio.engine.dit import Velocity
from studio.engine.loader import quiet
from studio.engine.quantize import is_quantized, quantize, weight_bytes
from studio.errors import InvalidRequest

with quiet():
    from diffusers import AceStepTransformer1DModel


def build(width: int = 64) -> AceStepTransformer1DModel:
    torch.manual_seed(0)
    return (
        AceStepTransformer1DModel(
            hidden_size=width,
            intermediate_size=2 * width,
            num_attention_heads=width // 16,
            num_key_value_heads=width // 32,
            head_dim=16,
            sliding_window=16,
            num_hidden_layers=3,
            in_channels=24,
            audio_acoustic_hidden_dim=8,
            is_turbo=True,
        )
        .eval()
        .requires_grad_(False)
    )


@torch.inference_mode()
def velocity(dit: AceStepTransformer1DModel, level: float = 0.7) -> Tensor:
    """Guided, on 100 frames: long enough for the windowed layers to use theirs."""
    draw = torch.Generator().manual_seed(1)
    width, dtype = dit.config.hidden_size, dit.proj_in_conv.weight.dtype
    states = torch.randn(2, 12, width, generator=draw).to(dtype)
    context, null = (
        torch.randn(2, 100, 16, generator=draw).to(dtype),
        torch.randn(1, 1, width, generator=draw).to(dtype),
    )
    latents = torch.randn(2, 100, 8, generator=draw)
    prompted, other = Velocity(dit, states, context, null)(latents, level, unprompted=True)
    assert other is not None
    return torch.cat([prompted, other])


def error(got: Tensor, wanted: Tensor) -> float:
    """The distance relative to what is wanted."""
    return float((got - wanted).norm() / wanted.norm())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 0.02), (torch.bfloat16, 0.03)])
def test_int8_gives_nearly_the_same_velocity(dtype: torch.dtype, tolerance: float) -> None:
    dit = build().to(dtype)
    before = velocity(dit)
    quantize(dit)
    after = velocity(dit)
    assert after.isfinite().all()
    assert 0 < error(after, before) < tolerance


def test_the_weights_take_a_third_and_the_figures_say_so() -> None:
    dit = build(128)
    before = weight_bytes(dit)
    assert before == sum(parameter.nbytes for parameter in dit.parameters())
    done = quantize(dit)
    assert (done.before, done.after) == (before, weight_bytes(dit))
    assert done.after < before / 3
    linear = sum(isinstance(module, torch.nn.Linear) for module in dit.modules())
    assert done.layers == linear == 3 * 11 + 7  # attention twice and the MLP in each layer, times and conditions


def test_a_model_knows_whether_it_is_int8() -> None:
    dit = build()
    assert not is_quantized(dit)
    quantize(dit)
    assert is_quantized(dit)
    with pytest.raises(InvalidRequest, match="quantization must be asked for once"):
        quantize(dit)


def test_quantising_leaves_the_process_as_it_was() -> None:
    before = torch.get_float32_matmul_precision()
    quantize(build())
    assert torch.get_float32_matmul_precision() == before


def test_without_torchao_it_says_so_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    dit = build()
    monkeypatch.setitem(sys.modules, "torchao.quantization", None)
    with pytest.raises(InvalidRequest, match="be none without the package torchao"):
        quantize(dit)
    assert not is_quantized(dit)


def test_a_device_without_int8_kernels_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="quantization must be none on meta, got 'int8'"):
        quantize(build().to("meta"))
