"""Several processes train one adapter as one process with a larger batch does."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from studio.engine.lora.config import TrainSettings
from studio.engine.lora.examples import read_examples
from studio.engine.lora.layout import STATE
from studio.engine.lora.loss import FlowLoss
from studio.engine.lora.network import Trainable
from studio.engine.lora.session import train
from studio.engine.lora.train import Ending, Event
from studio.engine.model_spec import FAMILIES, Family
from tests.engine.lora.test_training import job, never
from tests.engine.lora.test_training_memory import SIZES, batch_of, build

SETTINGS = TrainSettings(
    rank=2, alpha=4, dropout=0.0, epochs=3, batch_size=2, accumulation=2, warmup_steps=2, learning_rate=1e-2, ema=0.5
)


def test_the_shares_of_a_batch_add_up_to_the_whole() -> None:
    network = Trainable(build(SIZES), replace(SETTINGS, batch_size=5))
    batch = batch_of(5, 60, 7, SIZES["hidden_size"])
    batch.real[1, 40:] = False
    batch.heard[3, 5:] = False
    loss = FlowLoss(network, torch.zeros(1, 1, SIZES["hidden_size"]), FAMILIES[Family.BASE])
    found: list[tuple[float, list[torch.Tensor]]] = []
    for shares in ([slice(None)], [slice(0, None, 3), slice(1, None, 3), slice(2, None, 3)]):
        for weight in network.weights.values():
            weight.grad = None
        total = 0.0
        for rows in shares:
            part = loss(batch, torch.Generator().manual_seed(5), rows=rows)
            part.backward()
            total += float(part.detach())
        found.append((total, [weight.grad for weight in network.weights.values() if weight.grad is not None]))
    (whole, gradients), (summed, others) = found
    assert summed == pytest.approx(whole, rel=1e-5)
    assert sum(float(gradient.abs().sum()) for gradient in gradients) > 0
    for gradient, other in zip(gradients, others, strict=True):
        torch.testing.assert_close(other, gradient, rtol=1e-4, atol=1e-6)


def together(model: Path, tensors: Path, out: Path, *more: str, stop_after: int | None = None) -> list[Event]:
    """What two processes tell; they are asked to stop once they have told a step."""
    config = out.with_suffix(".json")
    config.write_text(json.dumps(SETTINGS.as_row() | {"batch_size": 1}))
    words = [str(tensors), "--model", str(model), "--out", str(out), "--config", str(config), "--device", "cpu"]
    command = [sys.executable, "-m", "studio", "train", *words, "--processes", "2", *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        events = []
        for row in process.stdout:
            events.append(json.loads(row))
            if events[-1]["event"] == "step" and events[-1]["step"] == stop_after:
                process.send_signal(signal.SIGTERM)
        _, errors = process.communicate()
    assert process.returncode == 0, errors
    return events


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_two_processes_stopped_and_resumed_equal_one_with_twice_the_batch(
    tmp_path: Path, model: Path, tensors: Path
) -> None:
    alone: list[Event] = []
    assert train(job(model, tensors, tmp_path / "one", SETTINGS), alone.append, never) is Ending.COMPLETED
    first = together(model, tensors, tmp_path / "two", stop_after=1)
    assert (first[0]["processes"], first[-1]["status"]) == (2, "stopped")
    then = together(model, tensors, tmp_path / "two", "--resume", "latest")
    assert then[-1]["status"] == "completed"
    told = [event for event in (*first, *then) if event["event"] == "step"]
    wanted = [event for event in alone if event["event"] == "step"]
    assert [event["step"] for event in told] == [event["step"] for event in wanted] == [1, 2, 3, 4, 5, 6]
    for key in ("loss", "grad_norm", "learning_rate"):
        assert [event[key] for event in told] == pytest.approx([event[key] for event in wanted], rel=1e-3)
    states = [torch.load(tmp_path / run / "checkpoints/epoch_3" / STATE, weights_only=True) for run in ("one", "two")]
    _nearly_equal(states[0]["weights"], states[1]["weights"])
    assert states[0]["data"] == states[1]["data"] == [f"{one.name} {one.frames}" for one in read_examples(tensors)]


def _nearly_equal(weights: Mapping[str, torch.Tensor], others: Mapping[str, torch.Tensor]) -> None:
    for name, weight in weights.items():
        torch.testing.assert_close(others[name], weight, rtol=1e-2, atol=1e-4)
