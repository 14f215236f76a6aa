"""A trainer that is killed with -9 again and again ends where one that never was ends."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = (sys.executable, "-c", "import sys; from studio.cli import main; sys.exit(main())", "train")
OPTIONS = "--rank 2 --alpha 4 --epochs 30 --batch-size 2 --accumulation 2 --save-every 7 --save-steps 3 --ema 0.5"
STEPS = 60  # thirty epochs of two updates
KILLS = 5


def start(model: Path, tensors: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    words = [str(tensors), "--model", str(model), "--out", str(out), "--device", "cpu", *OPTIONS.split(), *more]
    return subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def heard(process: subprocess.Popen[str], kill_after: int | None = None) -> dict[int, float]:
    """The losses by step until the process ends; it is killed once it has told `kill_after`."""
    losses = {}
    assert process.stdout is not None
    for row in process.stdout:
        event = json.loads(row)
        if event["event"] == "step":
            losses[event["step"]] = event["loss"]
            if event["step"] == kill_after:
                process.kill()
    _, errors = process.communicate()
    assert process.returncode == (0 if kill_after is None else -signal.SIGKILL), errors
    return losses


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_killed_at_random_steps_it_goes_on_to_the_same_weights(tmp_path: Path, model: Path, tensors: Path) -> None:
    straight = heard(start(model, tensors, tmp_path / "straight"))
    assert sorted(straight) == list(range(1, STEPS + 1))
    out, known, least = tmp_path / "killed", dict[int, float](), 0
    chance = random.Random()
    for kill in range(KILLS):
        # From the second on something is saved, and each comes further than the one before.
        least = chance.randint(least + 4, STEPS - 5 * (KILLS - kill))
        more = ("--resume", "latest") if kill else ()
        losses = heard(start(model, tensors, out, *more), kill_after=least)
        assert all(losses[step] == known.get(step, losses[step]) for step in losses)
        known |= losses
    known |= heard(start(model, tensors, out, "--resume", "latest"))
    assert known == straight
    for name in ("final/adapter/adapter_model.safetensors", "checkpoints/epoch_30/adapter/adapter_model.safetensors"):
        assert (tmp_path / "straight" / name).read_bytes() == (out / name).read_bytes()
