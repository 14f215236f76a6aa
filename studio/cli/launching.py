"""Starts a command in several processes that work together."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence

import psutil  # type: ignore[import-untyped]  # psutil ships no types

_LAUNCHER = "--multi_gpu --num_machines 1 --mixed_precision no --dynamo_backend no --main_process_port 0"


def launch(processes: int, arguments: Sequence[str]) -> int:
    """Run `studio ARGUMENTS` in so many processes through accelerate and return the exit status.

    A signal that asks this process to end is passed to each of them: the launcher, which has a session of its own,
    would kill what takes longer than half a minute to save.
    """
    command = [sys.executable, "-m", "accelerate.commands.launch", *_LAUNCHER.split(), "--num_processes"]
    launcher = subprocess.Popen([*command, str(processes), "-m", "studio", *arguments], start_new_session=True)

    def pass_on(_number: int, _frame: object) -> None:
        for worker in psutil.Process(launcher.pid).children() or [launcher]:
            worker.send_signal(signal.SIGTERM)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, pass_on)
    return launcher.wait()
