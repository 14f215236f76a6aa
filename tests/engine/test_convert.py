"""Converting the original layout: the same sound, the same weights, and nothing half done."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from studio.engine.checkpoint import Layout, find_checkpoints, resolve
from studio.engine.engine import Engine
from studio.engine.export import convert
from studio.engine.loader import quiet
from studio.engine.manifest import MANIFEST, check_sums, read_manifest
from studio.engine.requests import Sampling, TextToMusic
from studio.engine.run import Phase, Run
from studio.errors import Cancelled, CheckpointError, NotFound, StorageError
from tests.engine.originals import build, build_wide, write_tree

REQUEST = TextToMusic(caption="a slow march", seeds=(3,), duration=10.0, sampling=Sampling(steps=2))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("originals"), build(turbo=True), "acestep-v15-turbo")


@pytest.mark.parametrize("wide", [False, True])
def test_the_converted_checkpoint_sounds_the_same(tmp_path: Path, wide: bool) -> None:
    pipeline = build_wide() if wide else build(turbo=True)
    dit = write_tree(tmp_path, pipeline, "acestep-v15-any", shards=2)
    before = Engine.load(dit, device="cpu").generate(REQUEST)[0]
    engine = Engine.load(convert(dit, tmp_path / "converted"), device="cpu")
    assert resolve(tmp_path / "converted").layout is Layout.DIFFUSERS
    assert (engine.spec.name, engine.spec.wide) == ("converted", wide)
    np.testing.assert_allclose(
        engine.generate(REQUEST)[0].audio, before.audio, atol=1e-5
    )  # rounding, by where a tensor lies


def test_diffusers_itself_opens_the_result(original: Path, tmp_path: Path) -> None:
    with quiet():
        from diffusers import AceStepPipeline

        pipeline = AceStepPipeline.from_pretrained(convert(original, tmp_path / "converted"), local_files_only=True)
    stored = load_file(original / "model.safetensors")
    assert torch.equal(pipeline.transformer.proj_in_conv.weight, stored["decoder.proj_in.1.weight"])
    assert pipeline.scheduler.config.num_train_timesteps == 1


def test_number_types_facts_of_the_config_and_silence_are_kept(original: Path, tmp_path: Path) -> None:
    shutil.copytree(original.parent, tmp_path / "in")
    dit = tmp_path / "in" / original.name
    config = json.loads((dit / "config.json").read_text())
    (dit / "config.json").write_text(json.dumps(config | {"is_lego_sft": True}))
    halves = {name: tensor.bfloat16() for name, tensor in load_file(dit / "model.safetensors").items()}
    save_file(halves, dit / "model.safetensors")
    made = convert(dit, tmp_path / "converted")
    weights = load_file(made / "transformer" / "diffusion_pytorch_model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    encoder = load_file(made / "condition_encoder" / "diffusion_pytorch_model.safetensors")
    silence = torch.load(dit / "silence_latent.pt", weights_only=True)
    assert torch.equal(encoder["silence_latent"], silence.transpose(1, 2))  # not rounded to the weights' type
    assert Engine.load(made, device="cpu")._loaded.parts.transformer.config["is_lego_sft"] is True
    assert not list(made.rglob("*.py"))


def test_the_manifest_finds_what_was_changed_later(original: Path, tmp_path: Path) -> None:
    made = convert(original, tmp_path / "converted")
    listed = read_manifest(made)
    files = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    assert set(listed) == files - {MANIFEST}
    assert {fault for _, fault in check_sums(made)} == {""}
    weights = made / "vae" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    resolve(made)  # sums are not computed at every look
    assert [file for file, fault in check_sums(made) if "was changed or damaged" in fault] == [weights]
    silence = made / "silence_latent.pt"
    silence.write_bytes(silence.read_bytes() + b"0000")
    with pytest.raises(CheckpointError, match=rf"silence_latent.pt has \d+ bytes, {MANIFEST} says \d+"):
        resolve(made)


@pytest.mark.parametrize("content", ['{"files": []}', '{"files": {"../x.pt": {}}}', '{"files": {"x.pt": {"size": 1}}}'])
def test_a_damaged_manifest_is_named(original: Path, tmp_path: Path, content: str) -> None:
    made = convert(original, tmp_path / "converted")
    (made / MANIFEST).write_text(content)
    assert MANIFEST in find_checkpoints([tmp_path])[0].problem


def test_what_can_not_be_converted_leaves_nothing(
    original: Path, turbo_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(CheckpointError, match="is in the diffusers layout already"):
        convert(turbo_path, tmp_path / "x")
    with pytest.raises(NotFound, match="no checkpoint called 'nobody'"):
        convert("nobody", tmp_path / "x")
    with pytest.raises(CheckpointError, match="exists; name a new folder"):
        convert(original, turbo_path)
    with pytest.raises(Cancelled):
        convert(original, tmp_path / "x", run=Run(lambda phase, done, total: None, lambda: True))
    usage = namedtuple("usage", "free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(1000))
    with pytest.raises(StorageError, match=r"has 1.0 kB free, \d\.\d MB are needed"):
        convert(original, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_progress_ends_at_its_total(original: Path, tmp_path: Path) -> None:
    heard: list[tuple[Phase, int, int]] = []
    convert(original, tmp_path / "x", run=Run(lambda *step: heard.append(step)))
    assert heard == [(Phase.SAVING, done, 6) for done in range(7)]
