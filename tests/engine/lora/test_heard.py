"""The command that asks whether a LoRA is heard; it fails where scale 0 or unloading leaves a trace in a take."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_scale_nothing_and_unloading_leave_the_bundled_models_takes_as_they_were(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bench.lora", "--quick", "--work", str(tmp_path / "work")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [row.split("|") for row in done.stdout.splitlines() if row.startswith("| ")]
    scores = {row[1].strip(): row[3].strip() for row in rows}
    assert scores["0"] == scores["none"]
    assert "1" in scores
    assert "2 updates" in done.stdout
