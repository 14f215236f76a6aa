"""Brings the engine's steps to the job's row, not more often than a person can see."""

from __future__ import annotations

from time import monotonic

from studio.engine.run import Phase
from studio.jobs.lease import Lease

INTERVAL = 0.2  # seconds between two writes within a phase


class Progress:
    """A listener for Run that writes the first and last step of each phase, and some in between."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self._phase: Phase | None = None
        self._due = 0.0

    def report(self, phase: Phase, done: int, total: int) -> None:
        """Store this step unless another was stored just now."""
        if phase == self._phase and done < total and monotonic() < self._due:
            return
        self._lease.progress(phase.value, done, total)
        self._phase, self._due = phase, monotonic() + INTERVAL
