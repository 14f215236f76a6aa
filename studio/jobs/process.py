"""Whether a process on this machine still runs."""

from __future__ import annotations

import os
from pathlib import Path


def birthmark(pid: int) -> str | None:
    """Return what tells process `pid` from a later one with the same number, or None when it does not run.

    A restarted container often gives its server the number the dead one had, so the number alone proves nothing.
    Where the system shows no start time (no /proc), the mark is empty and the number has to do.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # it runs, as somebody else
    try:
        # The name in parentheses may hold spaces; after it come the state and, 19 fields on, the start in ticks.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return "" if not Path("/proc/self/stat").exists() else None
    return None if fields[0] in "ZX" else fields[19]


def runs(pid: int, mark: str) -> bool:
    """Return whether the process that had `mark` still runs as `pid`."""
    return birthmark(pid) == mark
