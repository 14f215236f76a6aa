"""The training process: started apart from this one, found again by its number and its birth."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from studio.config import ROOT, Settings, environment_with
from studio.engine.dataset.files import write_json
from studio.jobs.process import birthmark, runs
from studio.jobs.training.log import EVENTS, SETTINGS, WORDS

_started: dict[int, subprocess.Popen[bytes]] = {}  # by this process; dropped, they would warn that they still run


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the process is to do."""

    model: str
    device: str
    tensors: Path
    out: Path
    settings: Mapping[str, object]
    resume: str = ""  # a checkpoint's folder


@dataclass(frozen=True, slots=True)
class Child:
    """A process that trains, perhaps started by an earlier worker."""

    pid: int
    mark: str

    def lives(self) -> bool:
        """Return whether it still runs."""
        if (own := _started.get(self.pid)) is not None:
            own.poll()  # takes note of its end, without which the number stays taken
        return runs(self.pid, self.mark)

    def stop(self) -> None:
        """Ask it to finish its update, save and end."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once; what it learnt since its last checkpoint is lost."""
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        if self.lives():
            os.kill(self.pid, number)


def start(order: Order, settings: Settings) -> Child:
    """Start the process in a session of its own, so that nothing which ends this one reaches it.

    Its events and its error output are appended to files in the output folder. Raises OSError when a file can't be
    written or the process can't be started, StorageError.
    """
    order.out.mkdir(parents=True, exist_ok=True)
    write_json(order.out / SETTINGS, dict(order.settings))
    places = {
        "STUDIO_DATA_DIR": str(settings.data_dir),
        "STUDIO_MODELS_DIR": str(settings.models_dir),
        "STUDIO_CHECKPOINTS_DIR": str(settings.checkpoints_dir),
    }
    with (order.out / EVENTS).open("ab") as events, (order.out / WORDS).open("ab") as words:
        events.write(json.dumps({"event": "launched", "command": command_for(order)}).encode() + b"\n")
        events.flush()
        words.write(b"\n")  # what stands below is this process's
        words.flush()
        child = subprocess.Popen(
            command_for(order),
            stdin=subprocess.DEVNULL,
            stdout=events,
            stderr=words,
            cwd=ROOT,
            env=environment_with(**places),
            start_new_session=True,
        )
    _started[child.pid] = child
    return Child(child.pid, birthmark(child.pid) or "")


def command_for(order: Order) -> list[str]:
    """Return the command line that does an order."""
    command = [sys.executable, "-m", "studio", "train", str(order.tensors), "--model", order.model]
    command += ["--out", str(order.out), "--config", str(order.out / SETTINGS), "--device", order.device]
    return [*command, "--resume", order.resume] if order.resume else command


def found(pid: int | None, mark: str) -> Child | None:
    """Return the process an earlier worker started, while it runs."""
    return Child(pid, mark) if pid is not None and runs(pid, mark) else None
