"""The queue: jobs wait in the order of their priority, then of their age, and each is claimed by one worker."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session

from studio.errors import NotFound
from studio.jobs.lease import Lease
from studio.jobs.spec import BACKGROUND, LASTING, Payload, pack
from studio.storage.database import Database
from studio.storage.models import Job
from studio.storage.states import JobState
from studio.storage.times import Clock, utc_now

_UNSEEN = -1  # highest priority of a job of a kind that nobody waits for


class Queue:
    """All jobs of a database, the highest priority first and among equals the oldest."""

    def __init__(self, database: Database, *, lease_seconds: float, clock: Clock = utc_now) -> None:
        self._database = database
        self._lease_seconds = lease_seconds
        self._clock = clock

    def submit(
        self, session: Session, payload: Payload, *, user_id: str, batch_id: str | None = None, priority: int = 0
    ) -> str:
        """Add a job in the caller's transaction, so it and its batch appear together; return its id."""
        job = Job(
            kind=payload.kind,
            requested=pack(payload),
            user_id=user_id,
            batch_id=batch_id,
            priority=min(priority, _UNSEEN) if payload.kind in BACKGROUND else priority,
            state=JobState.QUEUED,
            created_at=self._clock(),
        )
        session.add(job)
        session.flush()
        return job.id

    def claim(self, worker_id: str) -> Lease | None:
        """Take the job whose turn it is, or None when nothing waits."""
        first = Job.priority.desc(), Job.created_at, Job.id
        with self._database.write() as session:
            waiting = select(Job).where(Job.state == JobState.QUEUED).order_by(*first).limit(1)
            job = session.scalars(waiting.with_for_update(skip_locked=True)).one_or_none()
            return None if job is None else self._lease(job, worker_id)

    def others_wait(self) -> bool:
        """Return whether a job waits that somebody waits for."""
        query = select(Job.id).where(Job.state == JobState.QUEUED, Job.priority > _UNSEEN).limit(1)
        with self._database.read() as session:
            return session.scalars(query).first() is not None

    def request_cancel(self, job_id: str) -> JobState:
        """End a waiting job at once, ask a running one to stop, leave an ended one; return the state it is in.

        What does a lasting job may run on while the job waits for its next worker: that one stops it.
        """
        with self._database.write() as session:
            job = session.get(Job, job_id, with_for_update=True)
            if job is None:
                raise NotFound(f"there is no job {job_id!r}")
            begun = job.kind in LASTING and job.attempt > 0
            if job.state == JobState.QUEUED and not begun:
                job.state = JobState.CANCELLED
                job.finished_at = self._clock()
            job.cancel_requested |= job.state in (JobState.QUEUED, JobState.RUNNING, JobState.CANCELLED)
            return job.state

    def position(self, session: Session, job: Job) -> int:
        """Return how many jobs run or wait before this one; 0 when it runs or has ended."""
        if job.state != JobState.QUEUED:
            return 0
        query = select(func.count()).select_from(Job).where(or_(Job.state == JobState.RUNNING, _before(job)))
        return session.scalars(query).one()

    def _lease(self, job: Job, worker_id: str) -> Lease:
        job.state = JobState.RUNNING
        job.worker_id = worker_id
        job.attempt += 1
        job.started_at = job.heartbeat_at = self._clock()
        job.lease_until = job.heartbeat_at + timedelta(seconds=self._lease_seconds)
        return Lease(
            database=self._database,
            clock=self._clock,
            seconds=self._lease_seconds,
            job_id=job.id,
            batch_id=job.batch_id,
            kind=job.kind,
            requested=job.requested,
            worker_id=worker_id,
            attempt=job.attempt,
        )


def _before(job: Job) -> ColumnElement[bool]:
    older = or_(Job.created_at < job.created_at, and_(Job.created_at == job.created_at, Job.id < job.id))
    first = or_(Job.priority > job.priority, and_(Job.priority == job.priority, older))
    return and_(Job.state == JobState.QUEUED, first)
