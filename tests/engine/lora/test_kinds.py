"""LoRA, DoRA, LoKr and LoHa on a tiny DiT: trained, written, read back, weighed, stacked and taken off."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from studio.engine.lora.adapters import Adapters
from studio.engine.lora.config import TrainSettings
from studio.engine.lora.formats import inspect_adapter
from studio.engine.lora.layers import AdapterKind
from studio.engine.lora.network import Trainable
from studio.engine.lora.portable import learnt
from studio.engine.quantize import quantize
from studio.errors import CheckpointError
from tests.engine.test_quantize import build, error, velocity

SETTINGS = {
    "lora": TrainSettings(rank=4, alpha=12),
    "dora": TrainSettings(rank=4, alpha=12, weight_decompose=True),
    "lokr": TrainSettings(adapter=AdapterKind.LOKR, rank=64, alpha=128, dropout=0.0),
    "lokr in parts": TrainSettings(
        adapter=AdapterKind.LOKR, rank=2, alpha=6, factor=8, decompose_both=True, dropout=0.0
    ),
    "loha": TrainSettings(adapter=AdapterKind.LOHA, rank=4, alpha=12, dropout=0.0, targets=("q_proj", "down_proj")),
}
every = pytest.mark.parametrize("kind", SETTINGS)
both = pytest.mark.parametrize("int8", [False, True], ids=["float32", "int8"])


def trained(kind: str, seed: int = 0) -> tuple[Trainable, torch.nn.Module]:
    """A DiT with an adapter whose numbers are drawn, as if it had been trained."""
    dit = build()
    network = Trainable(dit, SETTINGS[kind])
    draw = torch.Generator().manual_seed(seed)
    for name, weight in network.weights.items():
        drawn = (0.1 if kind == "dora" else 0.3) * torch.randn(weight.shape, generator=draw)
        weight.data = weight.data + drawn.abs() if "magnitude" in name else drawn
    network.use(training=False)
    return network, dit


def written(kind: str, folder: Path, seed: int = 0) -> Path:
    network, _ = trained(kind, seed)
    network.save(folder, network.weights, "tiny-turbo")
    return folder


@every
def test_a_fresh_adapter_changes_nothing_and_counts_as_not_learnt(kind: str) -> None:
    dit = build()
    base = velocity(dit)
    network = Trainable(dit, SETTINGS[kind])
    network.use(training=False)
    assert not learnt(network.weights)
    torch.testing.assert_close(velocity(dit), base, atol=1e-5, rtol=1e-5)
    assert learnt(trained(kind)[0].weights)


@every
def test_what_was_trained_is_what_is_loaded(tmp_path: Path, kind: str) -> None:
    """The strength alpha / rank is 2 or 3; it is in the factors, and the config tells 1."""
    network, dit = trained(kind)
    network.save(tmp_path / "voice", network.weights, "tiny-turbo")
    loaded = build()
    base, adapters = velocity(loaded), Adapters(loaded)
    adapters.load(tmp_path / "voice")
    assert error(velocity(dit), base) > 0.1
    torch.testing.assert_close(velocity(loaded), velocity(dit), atol=1e-3, rtol=1e-3)
    assert all(layer.alpha == layer.rank for layer in inspect_adapter(tmp_path / "voice").layers.values())


@every
@both
def test_scales_switches_and_unloading_are_exact(tmp_path: Path, kind: str, int8: bool) -> None:
    dit = build()
    if int8:
        quantize(dit)
    base, names = velocity(dit), [name for name, _ in dit.named_modules()]
    adapters = Adapters(dit)
    adapters.load(written(kind, tmp_path / "voice"))
    full = velocity(dit)
    adapters.set_scale("voice", 0.5)
    half = velocity(dit)
    assert 0 < error(half, base) < error(full, base)
    adapters.set_scale("voice", 0)
    assert torch.equal(velocity(dit), base)
    adapters.set_scale("voice", 1)
    adapters.use(False)
    assert torch.equal(velocity(dit), base)
    adapters.use(True)
    assert torch.equal(velocity(dit), full)
    adapters.unload("voice")
    assert torch.equal(velocity(dit), base)
    assert [name for name, _ in dit.named_modules()] == names


@pytest.mark.parametrize("order", list(itertools.permutations(("lora", "lokr", "loha"))))
def test_kinds_stand_on_one_layer_and_leave_in_any_order(tmp_path: Path, order: tuple[str, ...]) -> None:
    dit = build()
    base, adapters = velocity(dit), Adapters(dit)
    alone = {}
    for kind in order:
        adapters.load(written(kind, tmp_path / kind))
        alone[kind] = velocity(dit)
        adapters.unload(kind)
    for kind in ("lora", "lokr", "loha"):
        adapters.load(tmp_path / kind, scale=0.5)
    adapters.load(tmp_path / "lora", "again", scale=0.5)
    mixed = velocity(dit)
    for kind in order:
        adapters.unload(kind)
    adapters.set_scale("again", 1)
    assert torch.equal(velocity(dit), alone["lora"])
    adapters.unload("again")
    assert torch.equal(velocity(dit), base)
    for kind in order:
        adapters.load(tmp_path / kind, scale=0.5)
    adapters.load(tmp_path / "lora", "again", scale=0.5)
    torch.testing.assert_close(velocity(dit), mixed, atol=1e-3, rtol=1e-3)
    adapters.fuse()
    torch.testing.assert_close(velocity(dit), mixed, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("kind", ["lokr", "lokr in parts"])
def test_the_originals_lokr_file_gives_the_same(tmp_path: Path, kind: str) -> None:
    folder = written(kind, tmp_path / "voice")
    (tmp_path / "theirs").mkdir()
    theirs = (folder / "lokr_weights.safetensors").rename(tmp_path / "theirs" / "lokr_weights.safetensors")
    with safe_open(theirs, framework="numpy") as file:
        assert file.metadata()["algo"] == "lokr"
    assert "lycoris_layers_0_self_attn_q_proj.alpha" in load_file(theirs)
    assert inspect_adapter(theirs).kind is AdapterKind.LOKR
    results = []
    for path in (folder, tmp_path / "theirs"):
        dit = build()
        Adapters(dit).load(path)
        results.append(velocity(dit))
    assert torch.equal(*results)


@pytest.mark.parametrize(
    ("config", "extra", "message"),
    [
        ({"weight_decompose": True}, (), "weight_decompose is on, and peft has no weight-decomposed LoKr"),
        ({"linear_dim": 0}, (), "linear_dim must be a number above 0, got 0"),
        ({"factor": 0}, (), "factor must be -1 or a whole number above 0, got 0"),
        ({}, ("dora_scale",), "has a dora_scale, and peft has no weight-decomposed LoKr"),
        ({"factor": 2}, (), r"can't be used on this model: size mismatch for layers.0.self_attn.to_q[^\n]*$"),
    ],
)
def test_a_lokr_that_peft_can_not_play_is_refused_with_the_reason(
    tmp_path: Path, config: dict[str, object], extra: tuple[str, ...], message: str
) -> None:
    file = written("lokr", tmp_path / "voice") / "lokr_weights.safetensors"
    (file.parent / "adapter_config.json").unlink()
    with safe_open(file, framework="numpy") as opened:
        header = opened.metadata()
    tensors = load_file(file) | {f"lycoris_layers_0_self_attn_q_proj.{part}": torch.ones(1, 64) for part in extra}
    header["lokr_config"] = json.dumps(json.loads(header["lokr_config"]) | config)
    save_file(tensors, file, metadata=header)
    dit = build()
    base = velocity(dit)
    with pytest.raises(CheckpointError, match=message):
        Adapters(dit).load(file.parent)
    assert torch.equal(velocity(dit), base)


def test_a_lokr_file_without_its_settings_says_what_is_missing(tmp_path: Path) -> None:
    save_file({"lycoris_layers_0_cross_attn_k_proj.lokr_w1": torch.ones(2, 2)}, tmp_path / "lokr_weights.safetensors")
    with pytest.raises(CheckpointError, match="its header must hold lokr_config"):
        inspect_adapter(tmp_path)


def test_a_wrong_part_is_named(tmp_path: Path) -> None:
    folder = written("loha", tmp_path / "voice")
    weights = load_file(folder / "adapter_model.safetensors")
    weights.pop("base_model.model.layers.0.mlp.down_proj.hada_w2_b")
    save_file(weights, folder / "adapter_model.safetensors")
    with pytest.raises(CheckpointError, match=r"layers.0.mlp.down_proj must have .*'hada_w2_b'.*, got"):
        inspect_adapter(folder)


def test_dropout_leaves_out_outputs_while_training_only() -> None:
    dit = build()
    network = Trainable(dit, replace(SETTINGS["lokr"], dropout=0.5))
    for weight in network.weights.values():
        weight.data = torch.full_like(weight.data, 0.1)
    network.use(training=True)
    assert not torch.equal(velocity(dit), velocity(dit))
    network.use(training=False)
    assert torch.equal(velocity(dit), velocity(dit))
