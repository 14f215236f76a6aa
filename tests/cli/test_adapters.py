"""`studio adapters`: what an adapter is, and how it leaves its run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from studio.cli import main


def write_adapter(folder: Path, rank: int = 4, fill: float = 1.0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    place = "base_model.model.layers.0.self_attn.q_proj"
    tensors = {
        f"{place}.lora_A.weight": np.full((rank, 8), fill, np.float32),
        f"{place}.lora_B.weight": np.full((8, rank), fill, np.float32),
    }
    save_file(tensors, folder / "adapter_model.safetensors")
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": rank, "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run that was stopped after two checkpoints."""
    for number, name in enumerate(("epoch_2", "step_9")):
        folder = tmp_path / "run" / "checkpoints" / name
        write_adapter(folder / "adapter", rank=4 + number)
        (folder / "training_state.pt").write_bytes(b"state")
    return tmp_path / "run"


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_the_newest_checkpoint_is_exported_until_there_is_a_final_one(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["adapters", "export", str(run_folder), str(tmp_path / "one")]) == 0
    assert told(capsys)["rank"] == 5
    assert main(["adapters", "export", str(run_folder), str(tmp_path / "two"), "--checkpoint", "epoch_2"]) == 0
    assert told(capsys)["rank"] == 4
    write_adapter(run_folder / "final", rank=8)
    assert main(["adapters", "export", str(run_folder), str(tmp_path / "three")]) == 0
    exported = told(capsys)
    assert exported["rank"] == 8
    assert main(["adapters", "inspect", str(tmp_path / "three")]) == 0
    seen = told(capsys)
    assert (seen["kind"], seen["layers"], seen["sha256"]) == ("lora", 1, exported["sha256"])


def test_only_an_adapter_is_replaced_and_only_on_purpose(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "mine"
    command = ["adapters", "export", str(run_folder), str(target)]
    assert main(command) == 0
    before = (target / "adapter_model.safetensors").read_bytes()
    write_adapter(run_folder / "final", fill=2.0)
    assert main(command) == 2
    assert "it holds an adapter" in capsys.readouterr().err
    assert (target / "adapter_model.safetensors").read_bytes() == before
    assert main([*command, "--replace"]) == 0
    assert (target / "adapter_model.safetensors").read_bytes() != before
    (target / "song.wav").touch()
    assert main([*command, "--replace"]) == 2
    assert "something other than an adapter" in capsys.readouterr().err
    assert (target / "song.wav").exists()


def test_what_is_not_there_is_named(run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adapters", "export", str(tmp_path / "empty"), str(tmp_path / "x")]) == 1
    assert "nothing is trained in" in capsys.readouterr().err
    assert main(["adapters", "export", str(run_folder), str(tmp_path / "x"), "--checkpoint", "epoch_7"]) == 1
    assert "there are: epoch_2, step_9" in capsys.readouterr().err
    assert main(["adapters", "export", str(run_folder), str(run_folder)]) == 2
    assert "beside the run" in capsys.readouterr().err
    assert main(["adapters", "inspect", str(tmp_path / "none")]) == 1
