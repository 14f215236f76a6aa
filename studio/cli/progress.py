"""What the engine does, on stderr."""

from __future__ import annotations

import sys

from studio.engine.run import Phase


class PhaseLines:
    """Writes what the engine does to stderr: one line a phase, redrawn at every step on a terminal."""

    def __init__(self) -> None:
        self._phase: Phase | None = None

    def __call__(self, phase: Phase, done: int, total: int) -> None:
        """Show that `done` of `total` units of `phase` are finished."""
        live = sys.stderr.isatty()
        if phase != self._phase or live:
            start = "\r\x1b[K" if live and phase == self._phase else "\n" if live and self._phase else ""
            end = "" if live else "\n"
            print(f"{start}{phase} {done}/{total}", end=end, file=sys.stderr, flush=True)
        self._phase = phase
