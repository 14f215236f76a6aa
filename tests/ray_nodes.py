"""Nodes of a Ray cluster as processes of this machine, with a token of their own, to be started and killed."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic, sleep

import psutil

ROOT = Path(__file__).resolve().parents[1]
RAY = Path(sys.executable).with_name("ray")
OPTIONS = "--block --disable-usage-stats --include-log-monitor=false --object-store-memory=80000000".split()

STARTED = "Ray runtime started"  # says `ray start`
PATIENCE = 120  # seconds a node may take on a machine that does other things


class Nodes:
    """The nodes by name; the first one that is started is the head."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        slow = {"RAY_raylet_start_wait_time_s": str(PATIENCE)}
        self.environment = {**os.environ, **token, **slow, "PYTHONPATH": str(ROOT)}
        self._folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *options: str) -> None:
        """Start a node; only the head is waited for, until others can join."""
        place = [f"--address={self.address}"]
        if head := not self._running:
            port = self.address.rpartition(":")[2]
            place = [
                "--head",
                f"--port={port}",
                "--include-dashboard=false",
                "--no-monitor",
                f"--temp-dir={self._folder}",
            ]
        command = [str(RAY), "start", *OPTIONS, *place, f"--node-name={name}", *options]
        with (self._folder / f"{name}.txt").open("wb") as log:
            self._running[name] = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        until = monotonic() + PATIENCE
        while head and STARTED not in (self._folder / f"{name}.txt").read_text():
            assert monotonic() < until, f"the head isn't there after {PATIENCE} s"
            sleep(0.1)

    def kill(self, name: str) -> None:
        """Kill a node's processes, workers too, as kill -9 does."""
        node = self._running.pop(name)
        for process in [psutil.Process(node.pid), *psutil.Process(node.pid).children(recursive=True)]:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        node.wait(30)

    def close(self) -> None:
        """Kill all that run, the head last."""
        for name in reversed(list(self._running)):
            self.kill(name)


@contextmanager
def nodes() -> Iterator[Nodes]:
    """Give a cluster without nodes; those that are started are gone at the end."""
    folder = Path(mkdtemp(prefix="ray", dir="/tmp"))  # the names of its sockets may be 107 bytes long
    cluster = Nodes(folder)
    try:
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(folder, ignore_errors=True)
