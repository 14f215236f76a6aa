"""A queue over a real SQLite file, and the questions tests ask about it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic, sleep

from studio.config import Settings
from studio.engine.snapshot import settings_of
from studio.jobs.queue import Limits, Queue
from studio.jobs.recovery import Recovery
from studio.jobs.resident import EngineFactory
from studio.jobs.resident_lm import LmFactory, load_planner
from studio.jobs.spec import Generate, Payload
from studio.jobs.worker import Worker
from studio.storage.artifacts import ArtifactStore
from studio.storage.database import Database
from studio.storage.models import Batch, Job, Take, User
from studio.storage.users import local_user
from tests.jobs.fakes import HandClock, open_database


@dataclass
class Shop:
    """Everything a test of the queue needs, over one database."""

    settings: Settings
    database: Database
    clock: HandClock

    @property
    def queue(self) -> Queue:
        limits = Limits(queued=self.settings.queue_limit, month_seconds=self.settings.quota_seconds)
        return Queue(self.database, lease_seconds=self.settings.lease_seconds, clock=self.clock, limits=limits)

    @property
    def artifacts(self) -> ArtifactStore:
        return ArtifactStore(self.settings.artifacts_dir)

    @property
    def recovery(self) -> Recovery:
        return Recovery(self.database, self.artifacts, self.clock)

    def worker(self, garage: EngineFactory, desk: LmFactory = load_planner) -> Worker:
        return Worker(
            self.settings,
            self.database,
            engine_factory=garage,
            lm_factory=desk,
            clock=self.clock,
            poll_seconds=0.02,
        )

    def submit(self, payload: Payload, priority: int = 0, user: str = "") -> str:
        self.clock.advance(1)
        user = user or local_user(self.database)
        with self.database.write() as session:
            batch_id = None
            if isinstance(payload, Generate):
                facts = dict(settings_of(payload.request))
                batch = Batch(
                    user_id=user,
                    task="text2music",
                    model=payload.model,
                    form={},
                    request=facts,
                    created_at=self.clock(),
                )
                session.add(batch)
                session.flush()
                batch_id = batch.id
            return self.queue.submit(session, payload, user_id=user, batch_id=batch_id, priority=priority)

    def person(self, name: str) -> str:
        with self.database.write() as session:
            session.add(User(id=name, name=name, created_at=self.clock()))
        return name

    def job(self, job_id: str) -> Job:
        with self.database.read() as session:
            return session.get_one(Job, job_id)

    def takes(self) -> list[Take]:
        with self.database.read() as session:
            return list(session.query(Take).order_by(Take.batch_id, Take.index))

    def files(self) -> set[str]:
        root = self.settings.artifacts_dir
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}

    def _batch(self, payload: Generate, user: str) -> Batch:
        return Batch(
            user_id=user,
            task="text2music",
            model=payload.model,
            form={},
            request=dict(settings_of(payload.request)),
            created_at=self.clock(),
        )


def claim_all(settings: Settings, worker_id: str) -> list[str]:
    """Claim until the queue is empty; also runs in another process."""
    database = open_database(settings)
    queue, claimed = Queue(database, lease_seconds=30), []
    while (lease := queue.claim(worker_id)) is not None:
        claimed.append(lease.job_id)
    database.close()
    return claimed


@contextmanager
def serving(worker: Worker) -> Iterator[threading.Thread]:
    """Run a worker in a thread."""
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        worker.stop()
        thread.join(60)
        assert not thread.is_alive()


def until(condition: Callable[[], bool]) -> None:
    """Wait for what a worker does."""
    deadline = monotonic() + 60  # a hang, not a speed: machines are noisy
    while not condition():
        assert monotonic() < deadline, "waited a minute for nothing"
        sleep(0.005)
