"""Takes made while training: they are what the saved adapters give, and leave the training as it is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studio.engine.audio.io import read_audio
from studio.engine.engine import Engine
from studio.engine.lora.layers import AdapterKind
from studio.engine.lora.layout import checkpoints
from studio.engine.lora.session import train
from studio.engine.lora.train import Ending, Event
from studio.engine.requests import TextToMusic
from tests.engine.lora.test_training import SMALL, job, never

ASKED = {"prompts": ("one", "another"), "sample_every": 1, "sample_seed": 7, "save_every": 1, "epochs": 2}


def told(events: list[Event]) -> list[tuple[object, ...]]:
    return [(event["base"], event["epoch"], event["prompt"]) for event in events if event["event"] == "sample"]


@pytest.mark.parametrize("kind", [{}, {"adapter": AdapterKind.LOHA}, {"weight_decompose": True}], ids=str)
def test_samples_are_the_adapters_takes_and_change_no_update(
    tmp_path: Path, model: Path, tensors: Path, kind: dict[str, Any]
) -> None:
    settings = replace(SMALL, **ASKED, **kind)
    events: list[Event] = []
    train(job(model, tensors, tmp_path / "heard", settings), events.append, never)
    train(job(model, tensors, tmp_path / "mute", replace(settings, sample_every=0)), lambda event: None, never)
    weights = [(tmp_path / run / "final/adapter/adapter_model.safetensors").read_bytes() for run in ("heard", "mute")]
    assert weights[0] == weights[1]
    assert told(events) == [(not epoch, epoch, prompt) for epoch in (0, 1, 2) for prompt in (0, 1)]
    folder = tmp_path / "heard" / "samples"
    index = json.loads((folder / "index.json").read_text())
    assert (index["prompts"], index["seed"]) == (["one", "another"], 7)
    files = {(take["epoch"], take["prompt"]): folder / take["file"] for take in index["takes"]}
    engine = Engine.load(model, device="cpu")
    request = TextToMusic(caption="another", instrumental=True, duration=10.0, seeds=(7,))
    bare = engine.generate(request)[0].audio
    assert np.abs(read_audio(files[0, 1])[0] - bare).max() < 1e-4
    engine.adapters.load(tmp_path / "heard" / "checkpoints" / "epoch_2")
    adapted = engine.generate(request)[0].audio
    heard = np.abs(adapted - bare).max()
    assert heard > 1e-3
    assert np.abs(read_audio(files[2, 1])[0] - adapted).max() < 0.02 * heard


def test_a_run_that_is_taken_up_makes_only_the_takes_that_are_missing(
    tmp_path: Path, model: Path, tensors: Path
) -> None:
    first: list[Event] = []
    one = job(model, tensors, tmp_path, replace(SMALL, **ASKED))
    heard = lambda: any(event["event"] == "sample" and event["epoch"] == 1 for event in first)  # noqa: E731
    assert train(one, first.append, heard) is Ending.STOPPED
    assert told(first) == [(True, 0, 0), (True, 0, 1), (False, 1, 0)]
    again: list[Event] = []
    train(replace(one, resume=checkpoints(tmp_path)[-1]), again.append, never)
    assert told(again) == [(False, 1, 1), (False, 2, 0), (False, 2, 1)]
