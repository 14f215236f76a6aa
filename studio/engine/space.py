"""Room on the disk, looked at before gigabytes are written."""

from __future__ import annotations

import shutil
from pathlib import Path

from studio.errors import StorageError


def readable(count: int) -> str:
    """Return a number of bytes as people read it, in powers of 1000: `4.7 GB`."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} bytes"


def check_space(place: Path, needed: int) -> None:
    """Raise StorageError with both numbers when fewer than `needed` bytes are free at the existing folder `place`."""
    free = shutil.disk_usage(place).free
    if free < needed:
        raise StorageError(f"{place} has {readable(free)} free, {readable(needed)} are needed")
