"""Adapters on a tiny DiT, float and int8: loaded, weighed, switched, taken off, and refused when they don't fit."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from studio.engine.lora.adapters import Adapters
from studio.engine.lora.formats import adapter_hash, inspect_adapter
from studio.engine.lora.wanted import AdapterSet, Wanted, adapter_set_from
from studio.engine.quantize import quantize
from studio.errors import CheckpointError, InvalidRequest, NotFound, StudioError
from tests.engine.test_quantize import build, error, velocity

CONFIG = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "none", "target_modules": ["q_proj", "v_proj"]}
SHAPES = {"q_proj": (64, 64), "k_proj": (32, 64), "v_proj": (32, 64), "o_proj": (64, 64)}
PREFIX = "base_model.model."


def tensors(seed: int = 0, rank: int = 4, prefix: str = PREFIX, size: float = 0.3) -> dict[str, Tensor]:
    """What the published adapters hold: the attentions' projections under their original names."""
    draw = torch.Generator().manual_seed(seed)
    found: dict[str, Tensor] = {}
    for layer in range(3):
        for attention in ("self_attn", "cross_attn"):
            for name, (outputs, inputs) in SHAPES.items():
                key = f"{prefix}layers.{layer}.{attention}.{name}"
                found[f"{key}.lora_A.weight"] = size * torch.randn(rank, inputs, generator=draw)
                found[f"{key}.lora_B.weight"] = size * torch.randn(outputs, rank, generator=draw)
    return found


def write(folder: Path, weights: Mapping[str, Tensor] | None = None, **config: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(CONFIG | config))
    save_file(dict(tensors() if weights is None else weights), folder / "adapter_model.safetensors", {"format": "pt"})
    return folder


def model(*, int8: bool) -> torch.nn.Module:
    dit = build()
    if int8:
        quantize(dit)
    return dit


both = pytest.mark.parametrize("int8", [False, True], ids=["float32", "int8"])


@both
def test_scale_nothing_is_the_base_and_half_lies_between(tmp_path: Path, int8: bool) -> None:
    dit = model(int8=int8)
    base, adapters = velocity(dit), Adapters(dit)
    adapters.load(write(tmp_path / "voice"))
    full = velocity(dit)
    adapters.set_scale("voice", 0.5)
    half = velocity(dit)
    adapters.set_scale("voice", 0)
    assert torch.equal(velocity(dit), base)
    assert error(full, base) > 0.1
    assert 0.02 < error(half, base) < error(full, base)
    assert error(half, full) < error(base, full)


@both
def test_switching_off_and_on_again_keeps_the_scale(tmp_path: Path, int8: bool) -> None:
    dit = model(int8=int8)
    base, adapters = velocity(dit), Adapters(dit)
    adapters.load(write(tmp_path / "voice"), scale=0.7)
    on = velocity(dit)
    adapters.use(False)
    assert torch.equal(velocity(dit), base)
    adapters.set_scale("voice", 0.7)
    assert torch.equal(velocity(dit), base)
    adapters.use(True)
    assert torch.equal(velocity(dit), on)


@both
def test_unloading_restores_the_model_bit_by_bit(tmp_path: Path, int8: bool) -> None:
    dit = model(int8=int8)
    base, adapters, names = velocity(dit), Adapters(dit), [name for name, _ in dit.named_modules()]
    for turn in range(2):
        adapters.load(write(tmp_path / f"voice{turn}"))
        adapters.unload(f"voice{turn}")
        assert torch.equal(velocity(dit), base)
    assert [name for name, _ in dit.named_modules()] == names
    assert not hasattr(dit, "peft_config")


@both
def test_several_adapters_add_up_and_leave_one_by_one(tmp_path: Path, int8: bool) -> None:
    dit = model(int8=int8)
    base, adapters = velocity(dit), Adapters(dit)
    adapters.load(write(tmp_path / "one", tensors(1)))
    first = velocity(dit)
    mlp = {
        f"{PREFIX}layers.0.mlp.up_proj.lora_A.weight": torch.randn(4, 64),
        f"{PREFIX}layers.0.mlp.up_proj.lora_B.weight": torch.randn(128, 4),
    }
    adapters.load(write(tmp_path / "two", tensors(2) | mlp), scale=0.5)
    together = velocity(dit)
    assert error(together, first) > 0.02
    adapters.unload("two")
    assert torch.equal(velocity(dit), first)
    adapters.load(write(tmp_path / "copy", tensors(1)), scale=0.4)
    adapters.set_scale("one", 0.6)
    torch.testing.assert_close(velocity(dit), first, atol=1e-4, rtol=1e-4)
    adapters.unload_all()
    assert torch.equal(velocity(dit), base)


def wanted(*folders: Path, scale: float = 1.0) -> AdapterSet:
    """The adapters of these folders, each half as strong as the one before."""
    found = [(folder, adapter_hash(inspect_adapter(folder))) for folder in folders]
    return AdapterSet(
        adapters=tuple(
            Wanted(name=folder.name, path=str(folder), sha256=content, scale=scale / 2**place)
            for place, (folder, content) in enumerate(found)
        ),
        on=True,
    )


def test_each_job_has_its_own_adapters_on_one_model(tmp_path: Path) -> None:
    dit = build()
    base, adapters = velocity(dit), Adapters(dit)
    one, two = write(tmp_path / "one", tensors(1)), write(tmp_path / "two", tensors(2))
    pair = wanted(one, two, scale=0.5)
    jobs = [wanted(one), pair, wanted(two), replace(pair, on=False), AdapterSet()]
    results = []
    for job in jobs:
        adapters.wear(job)
        assert adapters.state() == job.told()
        results.append(velocity(dit))
    assert torch.equal(results[3], base)
    assert torch.equal(results[4], base)
    for job, result in zip(reversed(jobs), reversed(results), strict=True):
        adapters.wear(job)
        assert torch.equal(velocity(dit), result)


def test_another_adapter_of_the_same_name_takes_its_place(tmp_path: Path) -> None:
    dit, folder = build(), tmp_path / "voice"
    adapters = Adapters(dit)
    before = wanted(write(folder, tensors(1)))
    adapters.wear(before)
    old = velocity(dit)
    after = wanted(write(folder, tensors(2)))
    adapters.wear(before)  # what is on the model needs no folder
    assert torch.equal(velocity(dit), old)
    adapters.wear(after)
    assert [held.name for held in adapters.loaded] == ["voice"]
    assert error(velocity(dit), old) > 0.1
    with pytest.raises(CheckpointError, match="voice holds another adapter than the one that was asked for"):
        adapters.wear(before)


def test_what_can_not_be_worn_leaves_everything_as_it_is(tmp_path: Path) -> None:
    dit = build()
    adapters, one, two = Adapters(dit), write(tmp_path / "one", tensors(1)), write(tmp_path / "two", tensors(2))
    adapters.wear(replace(wanted(one), on=False))
    state, before = adapters.state(), velocity(dit)
    pair = wanted(one, two)
    for file in two.iterdir():
        file.unlink()
    with pytest.raises(CheckpointError, match="holds no adapter"):
        adapters.wear(pair)
    two.rmdir()
    with pytest.raises(NotFound, match="no adapter at"):
        adapters.wear(pair)
    assert adapters.state() == state
    assert torch.equal(velocity(dit), before)


def test_a_set_of_adapters_comes_back_from_its_row_and_checks_itself(tmp_path: Path) -> None:
    pair = wanted(write(tmp_path / "one", tensors(1)), write(tmp_path / "two", tensors(2)))
    assert adapter_set_from(json.loads(json.dumps(pair.as_row()))) == pair
    assert adapter_set_from({}) == adapter_set_from(AdapterSet().as_row()) == AdapterSet()
    with pytest.raises(InvalidRequest, match="adapters must have a name each, got 'one, one'"):
        AdapterSet(adapters=(pair.adapters[0], replace(pair.adapters[1], name="one")))
    with pytest.raises(InvalidRequest, match="adapters must each be another one"):
        AdapterSet(adapters=(pair.adapters[0], replace(pair.adapters[0], name="again")))


def test_one_adapter_at_full_scale_is_its_formula(tmp_path: Path) -> None:
    """W + alpha / r * B A, with the original names found in the model's own (training.md 5.2)."""
    dit, weights = build(), tensors()
    Adapters(dit).load(write(tmp_path / "voice", weights))
    with_adapter = velocity(dit)
    by_hand = build()
    for name, own in (("q_proj", "to_q"), ("k_proj", "to_k"), ("v_proj", "to_v"), ("o_proj", "to_out.0")):
        for layer in range(3):
            for attention in ("self_attn", "cross_attn"):
                key = f"{PREFIX}layers.{layer}.{attention}.{name}"
                difference = weights[f"{key}.lora_B.weight"] @ weights[f"{key}.lora_A.weight"]
                by_hand.get_submodule(f"layers.{layer}.{attention}.{own}").weight += 8 / 4 * difference
    torch.testing.assert_close(with_adapter, velocity(by_hand), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("prefix", ["base_model.model.decoder.", "diffusion_model.decoder.", "transformer.", ""])
def test_who_saved_it_does_not_matter(tmp_path: Path, prefix: str) -> None:
    results = []
    for name, weights in (("one", tensors()), ("two", tensors(prefix=prefix))):
        dit = build()
        Adapters(dit).load(write(tmp_path / name, weights))
        results.append(velocity(dit))
    assert torch.equal(*results)


@both
def test_dora_at_nothing_and_taken_off_is_the_base(tmp_path: Path, int8: bool) -> None:
    weights = tensors()
    for key in [key for key in weights if key.endswith("lora_B.weight")]:
        weights[key.replace("lora_B.weight", "lora_magnitude_vector")] = torch.rand(weights[key].shape[0]) + 0.5
    dit = model(int8=int8)
    base, adapters = velocity(dit), Adapters(dit)
    adapters.load(write(tmp_path / "voice", weights, use_dora=True))
    assert error(velocity(dit), base) > 0.1
    adapters.set_scale("voice", 0)
    assert torch.equal(velocity(dit), base)
    adapters.unload("voice")
    assert torch.equal(velocity(dit), base)


def test_ranks_and_alphas_of_single_layers_are_followed(tmp_path: Path) -> None:
    """Alpha 8 at rank 4 equals alpha 32 at rank 16 when the rest of the rows is nothing."""
    plain, wide = tensors(), tensors()
    key = f"{PREFIX}layers.1.self_attn.q_proj"
    wide[f"{key}.lora_A.weight"] = torch.cat([wide[f"{key}.lora_A.weight"], torch.randn(12, 64)])
    wide[f"{key}.lora_B.weight"] = torch.cat([wide[f"{key}.lora_B.weight"], torch.zeros(64, 12)], dim=1)
    pattern = "layers.1.self_attn.q_proj"
    results = []
    for name, weights, config in (
        ("plain", plain, {}),
        ("wide", wide, {"rank_pattern": {pattern: 16}, "alpha_pattern": {pattern: 32}}),
    ):
        dit = build()
        Adapters(dit).load(write(tmp_path / name, weights, **config))
        results.append(velocity(dit))
    torch.testing.assert_close(*results, atol=1e-5, rtol=1e-5)


def test_rank_stabilised_adapters_use_the_root(tmp_path: Path) -> None:
    results = []
    for name, config in (("plain", {"lora_alpha": 8}), ("root", {"lora_alpha": 4, "use_rslora": True})):
        dit = build()
        Adapters(dit).load(write(tmp_path / name, **config))
        results.append(velocity(dit))
    torch.testing.assert_close(*results)


def test_fusing_gives_the_same_and_stays(tmp_path: Path) -> None:
    dit = build()
    base, adapters = velocity(dit), Adapters(dit)
    adapters.load(write(tmp_path / "voice"), scale=0.5)
    loaded = velocity(dit)
    adapters.fuse()
    torch.testing.assert_close(velocity(dit), loaded, atol=1e-4, rtol=1e-4)
    assert adapters.loaded == ()
    assert adapters.state()["adapters"][0]["fused"]
    quantize(dit)
    assert error(velocity(dit), base) > 0.05


def test_fusing_into_int8_is_refused_with_the_reason(tmp_path: Path) -> None:
    dit = model(int8=True)
    adapters = Adapters(dit)
    adapters.load(write(tmp_path / "voice"))
    before = velocity(dit)
    with pytest.raises(InvalidRequest, match=r"quantization must be none to fuse.*rounded to int8.*got 'int8'"):
        adapters.fuse()
    assert torch.equal(velocity(dit), before)


def test_quantising_under_adapters_is_refused(tmp_path: Path) -> None:
    dit = build()
    Adapters(dit).load(write(tmp_path / "voice"))
    with pytest.raises(InvalidRequest, match="while adapters are loaded"):
        quantize(dit)


def test_the_state_says_what_is_in_effect(tmp_path: Path) -> None:
    adapters, folder = Adapters(build()), write(tmp_path / "voice")
    assert adapters.state() == {"use_lora": False, "adapters": []}
    one = adapters.load(folder, name="my voice 1.5", scale=0.25)
    assert (one.name, one.rank, one.scale, one.path) == ("my voice 1.5", 4, 0.25, folder)
    told = {"name": "my voice 1.5", "sha256": adapter_hash(inspect_adapter(folder)), "scale": 0.25, "fused": False}
    assert adapters.state() == {"use_lora": True, "adapters": [told]}
    assert json.loads(json.dumps(adapters.state())) == adapters.state()
    adapters.use(False)
    assert adapters.state() == {"use_lora": False, "adapters": [told]}


def test_the_hash_follows_the_contents_and_not_the_place(tmp_path: Path) -> None:
    one, same, other = (write(tmp_path / name, tensors(seed)) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    hashes = [adapter_hash(inspect_adapter(folder)) for folder in (one, same, other)]
    assert hashes[0] == hashes[1] != hashes[2]
    (same / "adapter_config.json").write_text(json.dumps(CONFIG | {"lora_alpha": 16}))
    assert adapter_hash(inspect_adapter(same)) != hashes[0]


def test_the_parent_folder_is_accepted(tmp_path: Path) -> None:
    write(tmp_path / "run" / "final" / "adapter")
    info = inspect_adapter(tmp_path / "run" / "final")
    assert (info.path, info.name) == (tmp_path / "run" / "final" / "adapter", "run")
    write(tmp_path / "many" / "one")
    assert inspect_adapter(tmp_path / "many").name == "one"
    write(tmp_path / "many" / "two")
    with pytest.raises(CheckpointError, match="holds 2 adapters, choose one of them: one, two"):
        inspect_adapter(tmp_path / "many")


def without(name: str) -> Callable[[], dict[str, Tensor]]:
    return lambda: {key: value for key, value in tensors().items() if key != PREFIX + name}


def replaced(name: str, value: Tensor) -> Callable[[], dict[str, Tensor]]:
    return lambda: tensors() | {PREFIX + name: value}


KEY = "layers.0.cross_attn.k_proj.lora_B.weight"


@pytest.mark.parametrize(
    ("weights", "config", "message"),
    [
        (lambda: tensors(rank=3), {}, "r is 4 for layers.0.cross_attn.k_proj, its lora_A has rank 3"),
        (without(KEY), {}, "layers.0.cross_attn.k_proj must have .'lora_A', 'lora_B'., got .'lora_A'."),
        (replaced(KEY, torch.ones(48, 4)), {}, r"cross_attn.k_proj must be for \[32, 64\] weights, got \[48, 64\]"),
        (replaced(KEY, torch.ones(32, 4, dtype=torch.int32)), {}, "must hold floating point numbers, got I32"),
        (lambda: tensors(prefix=f"{PREFIX}text."), {}, "no linear layer text.layers.0.cross_attn.k_proj"),
        (replaced("layers.0.cross_attn.k_proj.alpha", torch.ones(1)), {}, "k_proj.alpha is no part of a LoRA"),
        (dict, {}, "holds no tensors"),
        (tensors, {"peft_type": "OFT"}, "peft_type must be LORA or LOKR or LOHA, got 'OFT'"),
        (tensors, {"bias": "all"}, "bias must be 'none', got 'all'"),
        (tensors, {"modules_to_save": ["norm_out"]}, "modules_to_save is not supported"),
        (tensors, {"lora_alpha": "8"}, "lora_alpha must be a number above 0, got '8'"),
        (tensors, {"rank_pattern": {"(": 8}}, "rank_pattern holds '.', which is no pattern"),
        (tensors, {"use_dora": True}, "must have .'lora_A', 'lora_B', 'lora_magnitude_vector'."),
    ],
)
def test_what_does_not_fit_is_refused_by_name_and_changes_nothing(
    tmp_path: Path, weights: Callable[[], dict[str, Tensor]], config: dict[str, object], message: str
) -> None:
    dit = build()
    base, adapters = velocity(dit), Adapters(dit)
    with pytest.raises(CheckpointError, match=message):
        adapters.load(write(tmp_path / "voice", weights(), **config))
    assert adapters.loaded == ()
    assert torch.equal(velocity(dit), base)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path / "voice") / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match=r"adapter_model.safetensors is truncated or damaged"):
        inspect_adapter(tmp_path / "voice")


def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "adapter_model.bin").write_bytes(b"pickle")
    with pytest.raises(CheckpointError, match=r"adapter_model.safetensors is missing; adapters stored as pickles"):
        inspect_adapter(tmp_path)


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("", InvalidRequest, "name an adapter folder"),
        ("nowhere", NotFound, "no adapter at"),
        (".", CheckpointError, "holds no adapter"),
    ],
)
def test_a_path_without_an_adapter_says_which_way(
    tmp_path: Path, path: str, kind: type[StudioError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        inspect_adapter(tmp_path / path if path else "")


def test_names_and_scales_follow_the_rules(tmp_path: Path) -> None:
    adapters, folder = Adapters(build()), write(tmp_path / "voice")
    with pytest.raises(InvalidRequest, match="use_lora must be off while no adapter is loaded"):
        adapters.use(True)
    for scale in (-0.1, 1.05, math.nan):
        with pytest.raises(InvalidRequest, match="lora_scale must be from 0 to 1"):
            adapters.load(folder, scale=scale)
    adapters.load(folder)
    with pytest.raises(InvalidRequest, match="adapter must have a new name; voice are loaded"):
        adapters.load(folder)
    with pytest.raises(NotFound, match="no adapter called 'other' is loaded; there are: voice"):
        adapters.unload("other")
