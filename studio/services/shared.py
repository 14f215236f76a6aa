"""What the services of all people stand on: one database, one queue, one worker."""

from __future__ import annotations

import threading

from studio.config import Settings
from studio.jobs.local import LocalWorker
from studio.jobs.queue import Limits, Queue
from studio.jobs.resident import EngineFactory
from studio.jobs.resident_lm import LmFactory
from studio.jobs.worker import Worker
from studio.services.accounts import Accounts
from studio.services.media import Signer, signing_secret
from studio.services.models import Models
from studio.storage.artifacts import ArtifactStore
from studio.storage.database import Database
from studio.storage.times import Clock


class Shared:
    """The one of a process; safe to share between threads."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        engine_factory: EngineFactory,
        lm_factory: LmFactory,
        clock: Clock,
    ) -> None:
        self.settings = settings
        self.database = database
        self.clock = clock
        self.models = Models(settings, database, clock)
        limits = Limits(queued=settings.queue_limit, month_seconds=settings.quota_seconds)
        self.queue = Queue(database, lease_seconds=settings.lease_seconds, clock=clock, limits=limits)
        self.artifacts = ArtifactStore(settings.artifacts_dir)
        self.secret = signing_secret(settings)
        self.accounts = Accounts(database, settings, clock)
        self._engine_factory = engine_factory
        self._lm_factory = lm_factory
        self._worker: LocalWorker | None = None
        self._lock = threading.Lock()

    def signer(self, purpose: str) -> Signer:
        """Return what signs links of one purpose."""
        return Signer(self.secret, self.clock, purpose)

    def start_worker(self) -> None:
        """Start the worker of this process; does nothing when it runs."""
        with self._lock:
            if self._worker is None:
                worker = Worker(
                    self.settings,
                    self.database,
                    engine_factory=self._engine_factory,
                    lm_factory=self._lm_factory,
                    clock=self.clock,
                )
                self._worker = LocalWorker(worker)

    def wake(self) -> None:
        """Let the worker of this process, if there is one, look at the queue now."""
        worker = self._worker
        if worker is not None:
            worker.wake()

    def close(self) -> None:
        """Stop the worker and close the database; may be repeated."""
        with self._lock:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()
        self.database.close()
