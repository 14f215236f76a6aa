"""The original layout: loaded as it lies, equal to the diffusers layout, every damage named, no code of it run."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.engine.checkpoint import Layout, find_checkpoints, resolve, verify
from studio.engine.convert import network_configs
from studio.engine.engine import Engine
from studio.engine.loader import load_original_models
from studio.engine.model_spec import Family, original_spec
from studio.engine.requests import Sampling, TextToMusic
from studio.engine.run import Phase, Run
from studio.errors import Cancelled, CheckpointError
from tests.engine.originals import (
    SHARED,
    build,
    build_wide,
    copy_tree,
    original_config,
    original_state,
    write_diffusers,
    write_dit,
    write_shared,
    write_tree,
)

REQUEST = TextToMusic(
    caption="a quiet waltz", lyrics="[verse]\nla", seeds=(7, 8), duration=10.0, sampling=Sampling(steps=2)
)
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("originals") / "checkpoints", build(turbo=True), "acestep-v15-turbo")


@pytest.fixture
def dit(original: Path, tmp_path: Path) -> Path:
    """A DiT folder a test may damage, with its siblings."""
    return copy_tree(original, tmp_path / "checkpoints")


def edit(path: Path, **changes: object) -> None:
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value != "absent"}))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def change_weights(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    state = load_file(path)
    change(state)
    save_file(state, path)


@pytest.mark.parametrize(("wide", "shards"), [(False, 1), (True, 3)])
def test_both_layouts_make_the_same_samples(tmp_path: Path, wide: bool, shards: int) -> None:
    pipeline = build_wide() if wide else build(turbo=True)
    first = Engine.load(write_tree(tmp_path / "checkpoints", pipeline, "acestep-v15-any", shards), device="cpu")
    second = Engine.load(write_diffusers(tmp_path / "diffusers", pipeline), device="cpu")
    assert first.spec.wide is second.spec.wide is wide
    for mine, theirs in zip(first.generate(REQUEST), second.generate(REQUEST), strict=True):
        assert np.ptp(mine.audio) > 0
        np.testing.assert_allclose(
            mine.audio, theirs.audio, atol=1e-5
        )  # where a tensor lies decides how sums are rounded
    assert not list(tmp_path.rglob("executed")), "code of a checkpoint was run"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_weight_and_buffer_is_the_one_of_the_diffusers_layout(tmp_path: Path, dtype: str) -> None:
    pipeline = build_wide()
    first = Engine.load(write_tree(tmp_path / "checkpoints", pipeline, "xl"), device="cpu", dtype=dtype)._loaded.parts
    second = Engine.load(write_diffusers(tmp_path / "diffusers", pipeline), device="cpu", dtype=dtype)._loaded.parts
    for part in (
        "transformer",
        "condition_encoder",
        "audio_tokenizer",
        "audio_token_detokenizer",
        "vae",
        "text_encoder",
    ):
        mine, theirs = getattr(first, part), getattr(second, part)
        for kind in ("named_parameters", "named_buffers"):
            found, expected = dict(getattr(mine, kind)()), dict(getattr(theirs, kind)())
            assert found.keys() == expected.keys()
            for name, tensor in expected.items():
                assert found[name].dtype == tensor.dtype, name
                assert torch.equal(found[name], tensor), name
        assert not mine.training
        assert not any(parameter.requires_grad for parameter in mine.parameters())


def test_weights_in_bfloat16_load_as_float32_and_as_they_are(original: Path) -> None:
    config = json.loads((original / "config.json").read_text())
    state = {name: tensor.bfloat16() for name, tensor in load_file(original / WEIGHTS).items()}
    kept = load_original_models(config, state)
    assert {tensor.dtype for model in kept for tensor in model.parameters()} == {torch.bfloat16}
    assert kept.transformer.norm_out.weight.data_ptr() == state["decoder.norm_out.weight"].data_ptr()  # no second copy
    converted = load_original_models(config, state, dtype=torch.float32)
    assert {tensor.dtype for model in converted for tensor in model.parameters()} == {torch.float32}


def test_silence_comes_from_its_own_file_turned_around(original: Path) -> None:
    stored = torch.load(original / "silence_latent.pt", weights_only=True)
    held = Engine.load(original, device="cpu")._loaded.parts.condition_encoder.silence_latent
    assert held.shape == (1, 15000, 8)
    assert torch.equal(held, stored.transpose(1, 2))


def test_listing_shows_both_layouts_and_what_is_broken(dit: Path, turbo_path: Path) -> None:
    broken = write_dit(dit.parent / "acestep-v15-base", build(turbo=False), is_turbo=False, model_version="v9")
    (dit.parent / "acestep-5Hz-lm-1.7B").mkdir()
    (dit.parent / "acestep-5Hz-lm-1.7B" / "config.json").write_text('{"model_type": "qwen3"}')
    found = {info.name: info for info in find_checkpoints([dit.parent, turbo_path.parent])}
    assert sorted(found) == ["acestep-v15-base", "acestep-v15-turbo", "tiny-turbo"]  # not vae, Qwen3 or a planner
    assert found["acestep-v15-turbo"].spec == original_spec(dit, dit.parent / "vae")
    assert found["tiny-turbo"].spec is not None
    assert found["acestep-v15-base"].spec is None
    assert found["acestep-v15-base"].problem.startswith(f"{broken / 'config.json'}: model_version 'v9'")


def test_shared_folders_are_found_beside_the_folder_its_target_and_in_other_directories(
    dit: Path, tmp_path: Path
) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    os.symlink(dit, linked / "by-link")
    assert resolve("by-link", [linked]).vae == dit.parent / "vae"
    assert resolve("by-link", [linked]).spec.name == "by-link"
    apart = tmp_path / "apart" / "mine"
    apart.parent.mkdir()
    dit.rename(apart)
    with pytest.raises(CheckpointError, match=r"mine needs the folder vae beside it, which is missing; looked in"):
        resolve(apart)
    checkpoint = resolve("mine", [apart.parent, dit.parent])
    assert (checkpoint.layout, checkpoint.text_encoder) == (Layout.ORIGINAL, dit.parent / SHARED[1])
    assert Engine.load("mine", device="cpu", dirs=[apart.parent, dit.parent]).spec.name == "mine"


def test_the_folder_around_checkpoints_is_no_checkpoint_but_names_them(dit: Path) -> None:
    with pytest.raises(CheckpointError, match=r"inside it there are acestep-v15-turbo"):
        resolve(dit.parent)


FOUND_BY_LOOKING: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing weights": (lambda p: (p / WEIGHTS).unlink(), r"acestep-v15-turbo/model.safetensors is missing$"),
    "renamed weights": (
        lambda p: (p / WEIGHTS).rename(p / "weights.safetensors"),
        r"model.safetensors is missing \(weights.safetensors is there: was it renamed",
    ),
    "pickled weights": (
        lambda p: (p / WEIGHTS).rename(p / "pytorch_model.bin"),
        r"pytorch_model.bin is not used: only safetensors files are",
    ),
    "truncated weights": (lambda p: cut(p / WEIGHTS), r"model.safetensors is truncated or damaged \(\d+ bytes\)"),
    "other weights": (
        lambda p: save_file({"model.embed_tokens.weight": torch.zeros(2)}, p / WEIGHTS),
        r"holds no decoder. weights: it is no ACE-Step model",
    ),
    "missing config": (lambda p: (p / "config.json").unlink(), r"acestep-v15-turbo/config.json can't be read"),
    "broken config": (lambda p: (p / "config.json").write_text("{"), r"config.json is not valid JSON"),
    "missing silence": (lambda p: (p / "silence_latent.pt").unlink(), r"silence_latent.pt is missing"),
    "truncated silence": (lambda p: cut(p / "silence_latent.pt"), r"silence_latent.pt is truncated or damaged"),
    "renamed vae": (lambda p: (p.parent / "vae").rename(p.parent / "oobleck"), r"needs the folder vae beside it"),
    "no text encoder": (
        lambda p: (p.parent / SHARED[1]).rename(p.parent / "qwen"),
        r"needs the folder Qwen3-Embedding-0.6B beside it",
    ),
    "truncated vae": (
        lambda p: cut(p.parent / "vae/diffusion_pytorch_model.safetensors"),
        r"vae/diffusion.* truncated",
    ),
    "no tokenizer": (lambda p: (p.parent / SHARED[1] / "tokenizer.json").unlink(), r"tokenizer.json can't be read"),
    "other vae": (
        lambda p: edit(p.parent / "vae/config.json", decoder_input_channels=64),
        r"makes 8 latent channels, the vae has 64",
    ),
    "other text encoder": (
        lambda p: edit(p.parent / SHARED[1] / "config.json", hidden_size=2560),
        r"reads texts of width 32, .* gives 2560",
    ),
    "unknown family": (
        lambda p: edit(p / "config.json", is_turbo=False, model_version="v9"),
        r"model_version 'v9' names no known family",
    ),
    "nothing of a family": (
        lambda p: edit(p / "config.json", is_turbo="absent", model_version="absent"),
        r"model_version '' names no known family",
    ),
    "flags at odds": (
        lambda p: edit(p / "config.json", is_turbo=False),
        r"is_turbo is false, but model_version is 'turbo'",
    ),
    "odd flag": (lambda p: edit(p / "config.json", is_turbo="yes"), r"is_turbo must be true or false, got 'yes'"),
    "odd size": (lambda p: edit(p / "config.json", hidden_size="2048"), r"hidden_size must be a whole number"),
    "other activation": (
        lambda p: edit(p / "config.json", hidden_act="gelu"),
        r"hidden_act must be 'silu', got 'gelu'",
    ),
    "layers short": (lambda p: edit(p / "config.json", layer_types=["full_attention"]), r"layer_types must list"),
    "layers reversed": (
        lambda p: edit(p / "config.json", layer_types=["full_attention", "sliding_attention"]),
        r"the first 1 layer_types must alternate from sliding_attention",
    ),
    "odd ratio": (
        lambda p: edit(p.parent / "vae/config.json", downsampling_ratios=[4, 3, 8]),
        r"vae/config.json: downsampling_ratios must be even numbers, .* got 3",
    ),
}


@pytest.mark.parametrize("name", FOUND_BY_LOOKING)
def test_damage_is_named_without_loading(dit: Path, name: str) -> None:
    damage, message = FOUND_BY_LOOKING[name]
    damage(dit)
    with pytest.raises(CheckpointError, match=message):
        verify(dit)
    assert [bool(info.problem) for info in find_checkpoints([dit.parent])] == [True]
    with pytest.raises(CheckpointError, match=message):
        Engine.load(dit, device="cpu")


def rename_one(state: dict[str, torch.Tensor]) -> None:
    state["decoder.norm_final.weight"] = state.pop("decoder.norm_out.weight")


FOUND_BY_LOADING: dict[str, tuple[Callable[[dict[str, torch.Tensor]], object], str]] = {
    "a weight lost": (
        lambda state: state.pop("encoder.lyric_encoder.norm.weight"),
        r"1 weights are missing, the first is encoder.lyric_encoder.norm.weight$",
    ),
    "a weight renamed": (
        rename_one,
        r"first is decoder.norm_out.weight; 1 weights have no place .*decoder.norm_final.weight",
    ),
    "another shape": (
        lambda state: state.update({"decoder.proj_in.1.weight": torch.zeros(32, 12, 2)}),
        r"decoder.proj_in.1.weight must have shape \[32, 24, 2\] by .*config.json, got \[32, 12, 2\]",
    ),
    "whole numbers": (
        lambda state: state.update({"decoder.norm_out.weight": torch.ones(32, dtype=torch.int8)}),
        r"decoder.norm_out.weight must hold floating point numbers, got torch.int8",
    ),
}


@pytest.mark.parametrize("name", FOUND_BY_LOADING)
def test_weights_that_do_not_fit_are_never_left_random(dit: Path, name: str) -> None:
    change, message = FOUND_BY_LOADING[name]
    change_weights(dit / WEIGHTS, change)
    with pytest.raises(CheckpointError, match=message):
        Engine.load(dit, device="cpu")


def test_what_lies_outside_of_the_networks_is_left_alone(dit: Path) -> None:
    change_weights(dit / WEIGHTS, lambda state: state.update({"training_head.weight": torch.zeros(3)}))
    assert Engine.load(dit, device="cpu").spec.name == dit.name


class Bomb:
    """Unpickled carelessly, this makes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.mkdir, (str(self.target),)


def test_a_pickle_bomb_is_refused_unexploded(dit: Path, tmp_path: Path) -> None:
    bomb = Bomb(tmp_path / "exploded")
    torch.save(bomb, dit / "silence_latent.pt")
    with pytest.raises(CheckpointError, match=r"silence_latent.pt can't be read as a tensor"):
        Engine.load(dit, device="cpu")
    (dit / "silence_latent.pt").write_bytes(pickle.dumps(bomb))
    with pytest.raises(CheckpointError, match=r"silence_latent.pt is truncated or damaged"):
        Engine.load(dit, device="cpu")
    assert not bomb.target.exists()


@pytest.mark.parametrize("content", [torch.zeros(1, 8, 20), torch.zeros(1, 4, 15000), {"silence": torch.zeros(1)}])
def test_silence_of_another_shape_is_refused(dit: Path, content: object) -> None:
    torch.save(content, dit / "silence_latent.pt")
    with pytest.raises(CheckpointError, match=r"silence"):
        Engine.load(dit, device="cpu")


@pytest.mark.parametrize(
    ("stated", "family"),
    [
        ({"is_turbo": True, "model_version": "turbo"}, Family.TURBO),
        ({"is_turbo": True, "model_version": "absent"}, Family.TURBO),
        ({"is_turbo": "absent", "model_version": "turbo"}, Family.TURBO),
        ({"is_turbo": False, "model_version": "base"}, Family.BASE),
        ({"is_turbo": "absent", "model_version": "sft"}, Family.SFT),
        ({"is_turbo": False, "model_version": "base-sft-fix-inst"}, Family.SFT),
    ],
)
def test_the_family_comes_from_the_config_never_from_the_name(
    dit: Path, stated: dict[str, object], family: Family
) -> None:
    edit(dit / "config.json", **stated)
    assert verify(dit).spec.family is family


def test_a_config_without_fields_has_the_sizes_of_the_published_models() -> None:
    configs = network_configs({}, "config.json")
    assert configs["transformer"]["hidden_size"] == configs["condition_encoder"]["hidden_size"] == 2048
    assert configs["transformer"]["layer_types"] == ["sliding_attention", "full_attention"] * 12
    assert configs["audio_tokenizer"]["layer_types"] == ["sliding_attention", "full_attention"]
    assert network_configs({"rope_parameters": {"rope_theta": 5.0}}, "")["transformer"]["rope_theta"] == 5.0


def test_what_other_parts_read_of_the_config_is_kept() -> None:
    pipeline = build(turbo=True)
    heads = {"0": [1]}
    config = original_config(pipeline, lyric_alignment_layers_config=heads, is_lego_sft=True)
    transformer = load_original_models(config, original_state(pipeline)).transformer
    assert transformer.config["lyric_alignment_layers_config"] == heads
    assert transformer.config["is_lego_sft"] is True


def test_loading_reports_each_of_six_parts_and_can_be_cancelled(original: Path) -> None:
    heard: list[tuple[Phase, int, int]] = []
    Engine.load(original, device="cpu", run=Run(lambda *step: heard.append(step)))
    assert heard == [(Phase.LOADING, part, 6) for part in range(6)]
    del heard[:]
    with pytest.raises(Cancelled):
        Engine.load(original, device="cpu", run=Run(lambda *step: heard.append(step), lambda: len(heard) == 3))


def test_one_set_of_shared_folders_serves_several_models(tmp_path: Path) -> None:
    turbo, base = build(turbo=True), build(turbo=False)
    write_shared(tmp_path, turbo)
    write_dit(tmp_path / "a", turbo)
    write_dit(tmp_path / "b", base, is_turbo="absent")
    assert [info.spec and info.spec.family for info in find_checkpoints([tmp_path])] == [Family.TURBO, None]
    edit(tmp_path / "b" / "config.json", is_turbo=False)
    assert [info.spec and info.spec.family for info in find_checkpoints([tmp_path])] == [Family.TURBO, Family.BASE]
