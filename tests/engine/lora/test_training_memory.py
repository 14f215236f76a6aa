"""The estimate of a training's memory against what real steps keep."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from diffusers import AceStepTransformer1DModel
from torch import Tensor

from studio.engine.lora.config import Optimizer, TrainSettings
from studio.engine.lora.examples import Batch
from studio.engine.lora.layers import AdapterKind
from studio.engine.lora.memory import Shape, activations, estimate, parameters
from studio.engine.lora.network import Trainable
from tests.engine.lora.test_kinds import SETTINGS

PLAIN = TrainSettings(rank=4, alpha=8)
SIZES = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 2}
OTHERS = {"hidden_size": 96, "intermediate_size": 320, "num_attention_heads": 8, "num_key_value_heads": 4}
EVERYWHERE = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def build(sizes: dict[str, int], layers: int = 3) -> AceStepTransformer1DModel:
    torch.manual_seed(0)
    return AceStepTransformer1DModel(
        **sizes, head_dim=16, sliding_window=16, num_hidden_layers=layers, in_channels=24, audio_acoustic_hidden_dim=8
    ).requires_grad_(False)


def batch_of(count: int, frames: int, texts: int, width: int) -> Batch:
    return Batch(
        latents=torch.randn(count, frames, 8),
        context=torch.randn(count, frames, 16),
        real=torch.ones(count, frames, dtype=torch.bool),
        states=torch.randn(count, texts, width),
        heard=torch.ones(count, texts, dtype=torch.bool),
    )


def kept(dit: AceStepTransformer1DModel, settings: TrainSettings, frames: int, texts: int) -> int:
    """Bytes of the tensors that the way back needs, the model's own apart; the highest with checkpointing, too."""
    network = Trainable(dit, settings)
    network.use(training=True)
    count = settings.batch_size
    batch = batch_of(count, frames, texts, dit.config.hidden_size)
    own = {parameter.data_ptr() for parameter in dit.parameters()}
    found: dict[int, int] = {}
    holding: list[Tensor] = []  # so that no place in memory is used twice

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            found[storage.data_ptr()] = storage.nbytes()
            holding.append(tensor.detach())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        network.velocity(batch.latents, torch.rand(count), batch, batch.states)
    return sum(found.values())


@pytest.mark.parametrize(
    ("settings", "sizes", "frames", "texts"),
    [
        (PLAIN, SIZES, 400, 50),
        (PLAIN, OTHERS, 900, 120),
        (replace(PLAIN, dropout=0.0), SIZES, 400, 50),
        (replace(PLAIN, dropout=0.0, rank=32), OTHERS, 300, 20),
        (replace(PLAIN, targets=EVERYWHERE, batch_size=3), SIZES, 400, 50),
        (replace(PLAIN, weight_decompose=True), OTHERS, 400, 50),
        (replace(PLAIN, adapter=AdapterKind.LOKR, dropout=0.0), OTHERS, 400, 50),
        (replace(PLAIN, adapter=AdapterKind.LOHA, dropout=0.0), SIZES, 400, 50),
    ],
)
def test_activations_are_as_estimated(settings: TrainSettings, sizes: dict[str, int], frames: int, texts: int) -> None:
    measured = kept(build(sizes), settings, frames, texts)
    shape = Shape.of(sizes | {"head_dim": 16, "num_hidden_layers": 3})
    wanted = settings.batch_size * activations(shape, settings, frames, texts, number_bytes=4)
    assert measured == pytest.approx(wanted, rel=0.15)


@pytest.mark.parametrize("kind", SETTINGS)
def test_the_adapters_numbers_are_counted_exactly(kind: str) -> None:
    settings = SETTINGS[kind]
    network = Trainable(build(OTHERS), settings)
    shape = Shape.of(OTHERS | {"head_dim": 16, "num_hidden_layers": 3})
    assert parameters(shape, settings) == sum(weight.numel() for weight in network.weights.values())


def test_the_published_models_default_has_the_known_size_and_choices_save_memory() -> None:
    """688,128 numbers a rank (training.md 0)."""
    full = Shape(width=2048, inner=6144, queries=2048, keys=1024, head=128, layers=24)
    settings = TrainSettings()
    assert parameters(full, settings) == 688_128 * 64

    def total(**other: object) -> float:
        changed = replace(settings, **other)  # type: ignore[arg-type]
        return estimate(full, changed, weights=3.1e9, frames=3000, texts=800, number_bytes=2, cuda=True).total

    assert total(checkpointing=True) < total(crop_frames=1500) < total() < total(batch_size=2)
    assert total(optimizer=Optimizer.ADAMW8BIT) < total() < total(ema=0.9)
    assert 4e9 < total(checkpointing=True) < 12e9
