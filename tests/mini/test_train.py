"""Training from exported weights changes what its stage is about, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mini import codes, data, train
from mini.evaluation.material import MODELS
from mini.export import export, read_weights
from mini.train import STAGES, Trainer, take_parts

BASE = MODELS / "acestep-mini-base"


def test_the_stage_about_stems_trains_the_dit_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "WORK", tmp_path)
    monkeypatch.setattr(train, "STATE", tmp_path / "train.pt")
    monkeypatch.setattr(codes, "STATE", tmp_path / "codes.pt")
    monkeypatch.setattr(
        train, "SIX", {"text2music": 1.0}
    )  # the second step is back at the flow's shares, without stems
    songs = data.every_track(3, 13.0)
    np.savez(tmp_path / "stems_000.npz", latents=songs.latents, tracks=songs.tracks, seeds=songs.seeds)
    take_parts(BASE)
    trainer = Trainer(dict.fromkeys(STAGES, 2), "cpu", batch=4)
    trainer.take_over(MODELS, "stems")
    trainer.run("stems")
    export(tmp_path / "out", "base")
    before, after = read_weights(BASE), read_weights(tmp_path / "out")
    assert before.keys() == after.keys()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"dit"}
