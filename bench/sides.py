"""Contestants in processes of their own, asked in turn over a pipe: neither's caches help the other."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Generic, TypeVar

import torch
from torch import Tensor

Case = TypeVar("Case")
GB = 1e9
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True, slots=True)
class Answer:
    """What one run took; memory in bytes of the process (CPU) or the device."""

    seconds: float
    processor: float  # seconds of CPU time, which other programs on the machine hardly change
    before: int  # with the weights loaded and nothing run yet
    peak: int
    result: Tensor


@dataclass(frozen=True, slots=True)
class Tally:
    """The answers of one side to one case."""

    answers: tuple[Answer, ...]

    @property
    def seconds(self) -> float:
        """Median over the runs."""
        return median(answer.seconds for answer in self.answers)

    @property
    def fastest(self) -> float:
        """The run that other programs disturbed least."""
        return min(answer.seconds for answer in self.answers)

    @property
    def processor(self) -> float:
        """Median of the CPU time."""
        return median(answer.processor for answer in self.answers)

    @property
    def spread(self) -> str:
        """Fastest and slowest run."""
        times = [answer.seconds for answer in self.answers]
        return f"{min(times):.2f}-{max(times):.2f}"

    @property
    def peak(self) -> float:
        """Median of the peaks in GB."""
        return median(answer.peak for answer in self.answers) / GB

    @property
    def above(self) -> float:
        """Median of what a run needs above what was there before it, in GB."""
        return median(answer.peak - answer.before for answer in self.answers) / GB


class Side(Generic[Case]):
    """One contestant: `build` runs in a new process and gives what answers each case."""

    def __init__(self, name: str, build: Callable[[], Callable[[Case], Tensor]], device: str, threads: int) -> None:
        self.name = name
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, build, device, threads), daemon=True)
        self._process.start()
        theirs.close()
        self._receive()  # when it is ready

    def ask(self, case: Case) -> Answer:
        """Run one case; a failure over there is raised here."""
        self._pipe.send(case)
        answer = self._receive()
        if not isinstance(answer, Answer):
            raise TypeError(f"{self.name} answered {answer!r}")
        return answer

    def close(self) -> None:
        """End the process."""
        self._pipe.send(None)
        self._process.join()

    def _receive(self) -> object:
        try:
            answer: object = self._pipe.recv()
        except EOFError:
            raise RuntimeError(f"{self.name} died; most likely the machine has too little memory") from None
        if isinstance(answer, str):
            raise RuntimeError(f"{self.name} failed:\n{answer}")
        return answer


def take_turns(sides: list[Side[Case]], case: Case, repeats: int) -> list[Tally]:
    """Ask every side `repeats` times, one after another and in changing order, after a run that doesn't count."""
    answers: list[list[Answer]] = [[] for _ in sides]
    for turn in range(repeats + 1):
        order = list(zip(sides, answers, strict=True))
        for side, kept in order if turn % 2 else order[::-1]:
            answer = side.ask(case)
            if turn or not repeats:
                kept.append(answer)
    return [Tally(tuple(kept)) for kept in answers]


def _serve(pipe: Connection, build: Callable[[], Callable[[Case], Tensor]], device: str, threads: int) -> None:
    """Runs in the side's process until it is told to stop."""
    try:
        if threads:
            torch.set_num_threads(threads)
        work = build()
        before = _reset_peak(device)
        pipe.send(True)
        while (case := pipe.recv()) is not None:
            pipe.send(_measure(partial(work, case), device, before))
    except EOFError:
        return  # the asking process is gone
    except Exception:  # noqa: BLE001 - whatever it is, the asking process shows it
        pipe.send(traceback.format_exc())


def _measure(work: Callable[[], Tensor], device: str, before: int) -> Answer:
    _reset_peak(device)
    start, used = time.perf_counter(), time.process_time()
    result = work()
    _synchronize(device)
    seconds, processor = time.perf_counter() - start, time.process_time() - used
    return Answer(seconds, processor, before, _peak(device), result.float().cpu())


def _reset_peak(device: str) -> int:
    """Forget the peak so far; returns the memory in use."""
    _synchronize(device)
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    if _CLEAR.exists():
        _CLEAR.write_text("5")
        return _status("VmRSS")
    return _peak(device)


def _peak(device: str) -> int:
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated()
    if _CLEAR.exists():
        return _status("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _status(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def _synchronize(device: str) -> None:
    if device != "cpu":
        torch.accelerator.synchronize()


def matmul_ceiling(device: str, dtype: torch.dtype) -> float:
    """Best measured floating point operations a second of a large matrix product on this device."""
    size = 8192 if device.startswith("cuda") else 2048
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    best = 0.0
    for _ in range(10):
        start = time.perf_counter()
        for _ in range(5):
            left @ right
        _synchronize(device)
        best = max(best, 5 * 2 * size**3 / (time.perf_counter() - start))
    return best
