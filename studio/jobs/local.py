"""The worker of a studio that runs in one process."""

from __future__ import annotations

import threading

from studio.jobs.worker import GRACE, Worker


class LocalWorker:
    """Runs a Worker in a daemon thread; a submit wakes it at once."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        threading.Thread(target=worker.run, name="studio-worker", daemon=True).start()

    def wake(self) -> None:
        """Look at the queue now."""
        self._worker.wake()

    def close(self, timeout: float = GRACE) -> None:
        """Ask the worker to stop at its next step, and wait for it up to `timeout` seconds."""
        self._worker.stop()
        self._worker.wait(timeout)
