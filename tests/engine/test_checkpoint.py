"""Finding, checking and loading checkpoints; each damage has one clear message."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.engine.checkpoint import find_checkpoints, resolve, verify
from studio.engine.engine import Engine
from studio.engine.loader import _prepend_special_token
from studio.engine.model_spec import Family, spec_for
from studio.engine.run import Phase, Run
from studio.engine.spectral import SpectralAutoencoder
from studio.errors import Cancelled, CheckpointError, InvalidRequest, NotFound

VAE = "vae/diffusion_pytorch_model.safetensors"


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing weights": (lambda p: (p / VAE).unlink(), r"vae/diffusion_pytorch_model.safetensors is missing"),
    "truncated weights": (lambda p: cut(p / VAE), r"vae/diffusion_pytorch_model.safetensors is truncated or damaged"),
    "empty weights": (lambda p: (p / VAE).write_bytes(b""), r"vae/diffusion_pytorch_model.safetensors is truncated"),
    "pickle instead": (
        lambda p: (p / VAE).rename(p / "vae/diffusion_pytorch_model.bin"),
        r"is missing \(diffusion_pytorch_model.bin is not used: only safetensors",
    ),
    "missing config": (lambda p: (p / "transformer/config.json").unlink(), r"transformer/config.json can't be read"),
    "broken config": (lambda p: (p / "vae/config.json").write_text("{"), r"vae/config.json is not valid JSON"),
    "unknown vae": (lambda p: edit(p / "vae/config.json", _class_name="VQ"), r"autoencoder class 'VQ' is unknown"),
    "odd vae": (lambda p: edit(p / "vae/config.json", sampling_rate="48k"), r"sampling_rate must be a whole number"),
    "unknown family": (
        lambda p: edit(p / "transformer/config.json", is_turbo=False, model_version="v9"),
        r"model_version 'v9' names no known family",
    ),
    "wrong class": (
        lambda p: edit(p / "condition_encoder/config.json", _class_name="UNet"),
        r"condition_encoder/config.json: class 'UNet' can't be used here",
    ),
    "no tokenizer": (lambda p: (p / "tokenizer/tokenizer.json").unlink(), r"tokenizer/tokenizer.json can't be read"),
    "no index": (lambda p: (p / "model_index.json").unlink(), r"copied/model_index.json can't be read"),
    "odd ratio": (
        lambda p: edit(p / "vae/config.json", downsampling_ratios=[4, 3, 8]),
        r"vae/config.json: downsampling_ratios must be even numbers, .* got 3",
    ),
    "bad statement": (
        lambda p: edit(p / "model_index.json", studio={"default_duration": 0}),
        r"default_duration must be a number above 0 and at most 600, got 0",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_named(copied: Path, name: str) -> None:
    damage, message = DAMAGES[name]
    damage(copied)
    with pytest.raises(CheckpointError, match=message):
        verify(copied)
    [found] = find_checkpoints([copied.parent])
    assert (found.name, found.spec) == ("copied", None)
    with pytest.raises(CheckpointError, match=message):
        resolve("copied", [copied.parent])


def shard(folder: Path, lose: str | None = None) -> None:
    """Split the transformer's weights in two files with an index, leaving out one tensor if asked to."""
    whole = folder / "diffusion_pytorch_model.safetensors"
    tensors = load_file(whole)
    names = sorted(tensors)
    whole.unlink()
    weight_map = {}
    for number, part in enumerate((names[::2], names[1::2])):
        file = f"part-{number}.safetensors"
        weight_map |= dict.fromkeys(part, file)
        save_file({name: tensors[name] for name in part if name != lose}, folder / file)
    (folder / f"{whole.name}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def test_shards_are_checked_one_by_one(copied: Path) -> None:
    shard(copied / "transformer")
    verify(copied)
    assert Engine.load(copied, device="cpu").spec.family is Family.TURBO
    cut(copied / "transformer" / "part-1.safetensors")
    with pytest.raises(CheckpointError, match=r"part-1.safetensors is truncated"):
        verify(copied)
    (copied / "transformer" / "part-1.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"part-1.safetensors is missing"):
        verify(copied)


def test_a_shard_without_its_tensor_is_named(copied: Path) -> None:
    shard(copied / "transformer", lose="scale_shift_table")
    with pytest.raises(CheckpointError, match=r"lacks 1 tensors, the first is scale_shift_table"):
        verify(copied)


def test_weights_that_do_not_fit_are_never_left_random(copied: Path) -> None:
    file = copied / VAE
    tensors = load_file(file)
    first = min(tensors)
    save_file({name: tensor for name, tensor in tensors.items() if name != first}, file)
    with pytest.raises(CheckpointError, match=f"vae: weights don't fit config.json, missing_keys 1, first {first}"):
        Engine.load(copied, device="cpu")
    save_file(tensors | {first: torch.zeros(3)}, file)
    with pytest.raises(CheckpointError, match=r"vae can't be loaded|vae: weights don't fit"):
        Engine.load(copied, device="cpu")


def test_half_precision_weights_load_as_float32_on_the_cpu(copied: Path) -> None:
    for file in copied.rglob("*.safetensors"):
        save_file({name: tensor.half() for name, tensor in load_file(file).items()}, file, metadata={"format": "pt"})
    engine = Engine.load(copied, device="cpu")
    assert engine.dtype == "float32"
    parts = engine._loaded.parts
    for module in (parts.transformer, parts.vae, parts.text_encoder, parts.condition_encoder):
        assert {tensor.dtype for tensor in module.state_dict().values()} == {torch.float32}


def test_the_spectral_autoencoder_stays_in_float32(copied: Path) -> None:
    shutil.rmtree(copied / "vae")
    SpectralAutoencoder().save_pretrained(copied / "vae")
    parts = Engine.load(copied, device="cpu", dtype="bfloat16")._loaded.parts
    assert (parts.vae.dtype, parts.transformer.dtype) == (torch.float32, torch.bfloat16)


def test_wide_models_read_their_special_token_first(copied: Path) -> None:
    edit(copied / "transformer" / "config.json", encoder_hidden_size=None)
    assert not spec_for(copied).wide
    edit(copied / "transformer" / "config.json", encoder_hidden_size=48)
    assert spec_for(copied).wide
    edit(copied / "transformer" / "config.json", encoder_hidden_size=32)
    encoder = Engine.load(copied, device="cpu")._loaded.parts.condition_encoder.timbre_encoder
    frames = torch.zeros(2, 5, 8)
    assert encoder.embed_tokens(frames).shape[1] == 5
    _prepend_special_token(encoder)
    first = encoder.embed_tokens(frames)[:, 0]
    torch.testing.assert_close(first, encoder.special_token[0].expand(2, -1))


def test_optional_parts_may_be_absent(copied: Path) -> None:
    for folder in ("audio_tokenizer", "audio_token_detokenizer"):
        (copied / folder).rename(copied / f"not_{folder}")
    assert Engine.load(copied, device="cpu")._loaded.parts.audio_tokenizer is None


def test_specs_come_from_the_configs(turbo_path: Path, base_path: Path) -> None:
    turbo, base = spec_for(turbo_path), spec_for(base_path)
    assert (turbo.name, turbo.family, turbo.duration, turbo.wide) == ("tiny-turbo", Family.TURBO, 10.0, False)
    assert (turbo.defaults.steps, turbo.defaults.max_steps, turbo.defaults.shift) == (8, 20, 3.0)
    assert (base.family, base.defaults.steps, base.defaults.guidance_scale) == (Family.BASE, 32, 7.0)
    sound = turbo.sound
    assert (sound.sample_rate, sound.hop_length, sound.channels, sound.latent_channels) == (2400, 96, 2, 8)


def test_published_checkpoints_default_to_two_minutes(copied: Path) -> None:
    index = json.loads((copied / "model_index.json").read_text())
    del index["studio"]
    (copied / "model_index.json").write_text(json.dumps(index))
    assert (spec_for(copied).duration, spec_for(copied).max_duration) == (120.0, 600.0)


@pytest.mark.parametrize(("seconds", "frames"), [(30, 750), (30.04, 750), (10.06, 252), (0.01, 128), (29.99, 750)])
def test_latent_frames_as_the_original_counts_them(turbo_path: Path, seconds: float, frames: int) -> None:
    assert spec_for(turbo_path).sound.frames(seconds) == frames


def test_checkpoints_are_found_by_path_and_name(turbo_path: Path, tmp_path: Path) -> None:
    dirs = [tmp_path / "nowhere", turbo_path.parent]
    assert [info.name for info in find_checkpoints(dirs)] == ["tiny-turbo"]
    assert resolve("tiny-turbo", dirs) == resolve(turbo_path)
    with pytest.raises(NotFound, match="no checkpoint called 'big'; there are: tiny-turbo"):
        resolve("big", dirs)
    with pytest.raises(CheckpointError, match=r"has no model_index.json"):
        resolve(tmp_path)


@pytest.mark.parametrize("device", ["cuda", "cuda:99", "mps", "xpu:7"])
def test_an_absent_device_is_refused_not_replaced(turbo_path: Path, device: str) -> None:
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(InvalidRequest, match="device must be on this machine, which has"):
        Engine.load(turbo_path, device=device)


@pytest.mark.parametrize("choice", [{"device": "gpu"}, {"device": "cuda:x"}, {"dtype": "int3"}])
def test_unknown_devices_and_dtypes_are_refused(turbo_path: Path, choice: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest, match="must be one of auto"):
        Engine.load(turbo_path, **choice)


def test_loading_reports_progress_and_can_be_cancelled(turbo_path: Path) -> None:
    heard: list[tuple[Phase, int, int]] = []
    run = Run(lambda *step: heard.append(step), cancelled=lambda: len(heard) == 2)
    with pytest.raises(Cancelled):
        Engine.load(turbo_path, device="cpu", run=run)
    assert heard == [(Phase.LOADING, 0, 6), (Phase.LOADING, 1, 6)]
