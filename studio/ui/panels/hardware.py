"""What the machine has, as far as a page can know without torch, and the tiers that follow from it."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache

from studio.engine.memory import DeviceMemory

SIZES = (4, 6, 8, 12, 16, 20, 24, 32)  # GB one can play
_QUERY = ("--query-gpu=name,memory.total", "--format=csv,noheader,nounits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A GPU of this machine."""

    name: str
    gigabytes: float


@lru_cache(maxsize=1)
def card() -> Card | None:
    """Return the first NVIDIA card of this machine; None without one."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        told = subprocess.run([program, *_QUERY], capture_output=True, text=True, timeout=10, check=True).stdout
        name, _, megabytes = told.splitlines()[0].rpartition(",")
        return Card(name=name.strip(), gigabytes=float(megabytes) / 1024)
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def memory(device: str, played: float | None) -> DeviceMemory:
    """Return the memory a model would find on `device`, or on one of `played` GB."""
    found = card() if device in ("auto", "cuda") else None
    kind = "cuda" if found else ("cpu" if device == "auto" else device)
    if played:
        return DeviceMemory(kind=kind, total=played, free=played, simulated=True)
    size = found.gigabytes if found else 0.0
    return DeviceMemory(kind=kind if found else "cpu", total=size, free=size)
