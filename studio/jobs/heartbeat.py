"""A thread that says every few seconds that the worker lives and keeps its job."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from studio.jobs.lease import Lease
from studio.jobs.outcome import outcome
from studio.jobs.presence import Presence


class Heartbeat:
    """Beats from `start` to `stop`, whatever the working thread does."""

    def __init__(self, presence: Presence, interval: float) -> None:
        self._presence = presence
        self._interval = interval  # seconds
        self._lease: Lease | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="studio-heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._thread.join()

    @contextmanager
    def keeping(self, lease: Lease) -> Iterator[None]:
        """Keep `lease` alive meanwhile."""
        self._lease = lease
        try:
            yield
        finally:
            self._lease = None

    def _run(self) -> None:
        while not self._stopped.wait(self._interval):
            # A missed beat is no reason to die: the lease outlasts several, and a lost one shows at the next step.
            outcome(self._presence.beat)
            if (lease := self._lease) is not None:
                outcome(lease.heartbeat)
