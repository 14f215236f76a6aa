"""Reads what people bring in a process of its own: a file that crashes, hangs or swells ends that one and no more."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from studio.engine.audio.decoding import CPU_SECONDS, END, ENOUGH, FAULT, FRAME, MORE
from studio.engine.audio.stream import Block, Stream
from studio.errors import AudioError

PROGRAM = ("-m", "studio.engine.audio.decoding")
PATIENCE = 60.0  # seconds without a word, after which a process is taken for stuck
MOST_SOUND = 1 << 30  # bytes of float32 samples: 46 minutes of stereo at 48 kHz
_LONGEST = 1 << 26  # bytes of one message
_PIPE = 1 << 20  # bytes the system keeps between the two; its own 64 KiB cost more turns
_KEPT = 2  # idle processes: a fresh one takes 0.3 s
_idle: list[_Process] = []


@contextmanager
def open_stream(path: Path, name: str) -> Iterator[Stream]:
    """Open the audio file at `path` as `stream.open_stream` does, decoded elsewhere.

    Raises what that raises, and AudioError for a file that can't be decoded within time and memory, or gives more than
    MOST_SOUND.
    """
    try:
        process = _idle.pop()
    except IndexError:  # looking first would be no promise: other threads take them too
        process = _Process()
    try:
        yield process.open(path, name)
    finally:
        if process.free() and len(_idle) < _KEPT:
            _idle.append(process)
        else:
            process.end()


class _Process:
    """One decoder; it has nothing of this process but its code: no settings, no keys, no open files."""

    def __init__(self) -> None:
        root = str(Path(__file__).resolve().parents[3])
        self._process = subprocess.Popen(
            [sys.executable, "-P", *PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            pipesize=_PIPE,
            env={"PYTHONPATH": root, "OPENBLAS_NUM_THREADS": "1"},
            start_new_session=True,  # Ctrl-C is for the studio, which ends it
        )
        assert self._process.stdin and self._process.stdout
        self._requests, self._answers = self._process.stdin, self._process.stdout
        self._poll = select.poll()
        self._poll.register(self._answers, select.POLLIN)
        self._name = ""
        self._owing = False  # whether it waits to be asked for more

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def open(self, path: Path, name: str) -> Stream:
        """Return the file as a stream."""
        self._name = name
        self._say(json.dumps({"path": str(path.absolute()), "name": name}).encode() + b"\n")
        _kind, content = self._next()
        self._owing = True
        head = json.loads(content)
        notes: list[str] = head["notes"]
        blocks = self._blocks(head["channels"], notes)
        return Stream(head["rate"], head["channels"], head["seconds"], blocks, notes)

    def free(self) -> bool:
        """Let go of the file; whether another one can be read then."""
        if self._owing:
            self._owing = False
            self._say(ENOUGH)
        return self._process.poll() is None

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        self._requests.close()
        self._answers.close()

    def _blocks(self, channels: int, notes: list[str]) -> Iterator[Block]:
        room = MOST_SOUND
        while True:
            self._say(MORE)
            kind, content = self._next()
            if kind == END:
                notes[:] = json.loads(content)
                self._owing = False
                return
            room -= len(content)
            if room < 0:
                raise AudioError(f"{self._name} holds more than {MOST_SOUND >> 20} MiB of sound; bring a shorter piece")
            yield np.frombuffer(content, np.float32).reshape(-1, channels)

    def _next(self) -> tuple[bytes, bytearray]:
        """Return the next message; raises AudioError for a fault, and when none comes."""
        kind, length = FRAME.unpack(self._read(FRAME.size))
        content = self._read(length)
        if kind == FAULT:
            self._owing = False
            raise AudioError(content.decode())
        return kind, content

    def _read(self, length: int) -> bytearray:
        if length > _LONGEST:
            raise self._failed()
        content = bytearray(length)
        rest = memoryview(content)
        while rest:
            if not self._poll.poll(PATIENCE * 1000):
                self._process.kill()
                raise AudioError(f"{self._name} can't be read as audio: its decoder did nothing for {PATIENCE:g} s")
            if not (came := os.readv(self._answers.fileno(), [rest])):
                raise self._failed()
            rest = rest[came:]
        return content

    def _say(self, words: bytes) -> None:
        with suppress(BrokenPipeError):  # it has ended, which the next read finds
            self._requests.write(words)

    def _failed(self) -> AudioError:
        self._owing = False
        self._process.kill()
        code = self._process.wait()
        if code == -signal.SIGXCPU:
            return AudioError(f"{self._name} can't be read as audio: decoding it took more than {CPU_SECONDS} s")
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return AudioError(f"{self._name} can't be read as audio: its decoder ended with {how}")


@atexit.register
def _end_all() -> None:
    while _idle:
        _idle.pop().end()
