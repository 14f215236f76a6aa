"""An adapter of ours in other hands: peft on a model with the original's names, and diffusers' own LoRA loader."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import nn

from studio.engine.lora.adapters import Adapters
from tests.engine.conftest import build_pipeline
from tests.engine.lora.test_kinds import SETTINGS, written
from tests.engine.test_quantize import build, error, velocity


class Attention(nn.Module):
    """The projections of the original's attention."""

    def __init__(self, dit: nn.Module, path: str) -> None:
        super().__init__()
        for name, own in (("q_proj", "to_q"), ("k_proj", "to_k"), ("v_proj", "to_v"), ("o_proj", "to_out.0")):
            setattr(self, name, dit.get_submodule(f"{path}.{own}"))


class Originals(nn.Module):
    """The decoder as the original names its layers, on the weights of ours."""

    def __init__(self, dit: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        for number, layer in enumerate(dit.layers):
            block = nn.Module()
            block.self_attn = Attention(dit, f"layers.{number}.self_attn")
            block.cross_attn = Attention(dit, f"layers.{number}.cross_attn")
            block.mlp = layer.mlp
            self.layers.append(block)


@pytest.mark.parametrize("kind", SETTINGS)
def test_peft_reads_it_into_the_originals_names_at_the_same_strength(tmp_path: Path, kind: str) -> None:
    folder = written(kind, tmp_path / "voice")
    theirs = PeftModel.from_pretrained(Originals(build()), folder).merge_and_unload()
    ours = build()
    adapters = Adapters(ours)
    adapters.load(folder)
    adapters.fuse()
    wanted, bare = Originals(ours).state_dict(), Originals(build()).state_dict()
    changed = [name for name in wanted if not torch.equal(wanted[name], bare[name])]
    assert len(changed) == len([name for name in wanted if name.split(".")[-2] in SETTINGS[kind].targets])
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(value, wanted[name], atol=1e-4, rtol=1e-4)


def test_diffusers_loads_it_at_the_same_strength(tmp_path: Path) -> None:
    """It reads no config and takes alpha for the rank; that is why the strength is in the factors."""
    folder = written("lora", tmp_path / "voice")
    ours, theirs = build(), build()
    base = velocity(ours)
    Adapters(ours).load(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = build_pipeline(turbo=True)
        pipeline.register_modules(transformer=theirs)
        pipeline.load_lora_weights(str(folder), weight_name="adapter_model.safetensors", adapter_name="voice")
    assert error(velocity(theirs), base) > 0.1
    torch.testing.assert_close(velocity(theirs), velocity(ours), atol=1e-4, rtol=1e-4)
    pipeline.set_adapters(["voice"], [0.5])
    Adapters(half := build()).load(folder, scale=0.5)
    torch.testing.assert_close(velocity(theirs), velocity(half), atol=1e-4, rtol=1e-4)
    pipeline.unload_lora_weights()
    torch.testing.assert_close(velocity(theirs), base, atol=1e-5, rtol=1e-5)


def test_lycoris_formula_of_a_lokr_file(tmp_path: Path) -> None:
    """W + kron(w1, w2a w2b) * alpha / dim by hand, from the names and numbers of the original's file alone."""
    folder = written("lokr in parts", tmp_path / "voice")
    ours, bare = build(), build()
    adapters = Adapters(ours)
    adapters.load(folder)
    adapters.fuse()
    tensors = load_file(folder / "lokr_weights.safetensors")
    key = "lycoris_layers_1_cross_attn_k_proj"
    first, second = (
        tensors[f"{key}.{name}"]
        if f"{key}.{name}" in tensors
        else tensors[f"{key}.{name}_a"] @ tensors[f"{key}.{name}_b"]
        for name in ("lokr_w1", "lokr_w2")
    )
    change = torch.kron(first, second) * tensors[f"{key}.alpha"] / SETTINGS["lokr in parts"].rank
    own = "layers.1.cross_attn.to_k"
    wanted = bare.get_submodule(own).weight + change
    torch.testing.assert_close(ours.get_submodule(own).weight, wanted, atol=1e-5, rtol=1e-5)
