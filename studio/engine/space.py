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


def free_space(place: Path) -> int:
    """Return the bytes free on the disk of `place`, a folder that exists or is still to be made."""
    there = next(folder for folder in (place, *place.absolute().parents) if folder.exists())
    return shutil.disk_usage(there).free


def check_space(place: Path, needed: int) -> None:
    """Raise StorageError with both numbers when fewer than `needed` bytes are free at the folder `place`."""
    free = free_space(place)
    if free < needed:
        raise StorageError(f"{place} has {readable(free)} free, {readable(needed)} are needed")
