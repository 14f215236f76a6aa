"""A worker's temporary right to one job; whoever lost it can't write for that job any more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, tuple_
from sqlalchemy.orm import Session

from studio.errors import Cancelled, LeaseLost
from studio.jobs.spec import Payload, unpack
from studio.storage.database import Database
from studio.storage.models import Facts, Job, Worker
from studio.storage.pause import paused
from studio.storage.states import JobState
from studio.storage.times import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One claim of one job by one worker.

    Every method raises LeaseLost once the job was given away. A lease that ran out while nobody took the job still
    holds: a laptop that slept through it goes on with its song.
    """

    database: Database
    clock: Clock
    seconds: float  # how long one heartbeat lasts
    job_id: str
    batch_id: str | None
    kind: str
    requested: Facts
    worker_id: str
    attempt: int
    undisturbed_until: datetime | None = None  # nothing of higher priority sends it back before

    @property
    def name(self) -> str:
        """A name no other attempt at any job has."""
        return f"{self.job_id}.{self.attempt}"

    def payload(self) -> Payload:
        """Return what to do."""
        return unpack(self.kind, self.requested)

    def heartbeat(self) -> None:
        """Keep the lease for another while."""
        with self.database.write() as session:
            job = self._own(session)
            job.heartbeat_at = self.clock()
            job.lease_until = job.heartbeat_at + timedelta(seconds=self.seconds)

    def detail(self, words: str) -> None:
        """Store what the next steps are about."""
        with self.database.write() as session:
            self._own(session).detail = words[:255]

    @contextmanager
    def during(self) -> Iterator[Session]:
        """Give a transaction whose changes are stored only if the job is still this worker's."""
        with self.database.write() as session:
            self._own(session)
            yield session

    def progress(self, phase: str, step: int, total: int) -> None:
        """Store how far the work is."""
        with self.database.write() as session:
            job = self._own(session)
            job.phase, job.step, job.total = phase, step, total

    def cancel_requested(self) -> bool:
        """Return whether the user asked to stop."""
        with self.database.read() as session:
            wanted = session.scalars(select(Job.cancel_requested).where(*self._mine())).one_or_none()
        if wanted is None:
            raise self._lost()
        return wanted

    def outranked(self) -> bool:
        """Return whether a job of higher priority waits to be begun; what is prepared ahead must not delay it.

        Not where an idle worker will begin it, or where a running job gives way that is less urgent or began later.
        """
        if self.undisturbed_until is not None and self.clock() < self.undisturbed_until:
            return False
        with self.database.read() as session:
            own = session.get(Job, self.job_id)
            if own is None or paused(session) is not None:
                return False
            higher = session.scalars(_count(Job.state == JobState.QUEUED, Job.priority > own.priority)).one()
            return higher > 0 and higher > self._room(session, own)

    def _room(self, session: Session, own: Job) -> int:
        """Return how many jobs can be begun without this one's giving way."""
        running = Job.state == JobState.RUNNING
        later = and_(Job.priority == own.priority, tuple_(Job.started_at, Job.id) > (own.started_at, own.id))
        first = session.scalars(_count(running, or_(Job.priority < own.priority, later))).one()
        alive = Worker.heartbeat_at >= self.clock() - timedelta(seconds=self.seconds)
        busy = select(Job.worker_id).where(running)
        return first + session.scalars(select(func.count()).where(alive, Worker.id.not_in(busy))).one()

    def give_way(self) -> None:
        """Raise Cancelled when a job of higher priority waits to be begun."""
        if self.outranked():
            raise Cancelled("something more urgent waits, so this is put off")

    @contextmanager
    def complete(self, effective: Facts) -> Iterator[Session]:
        """Give the transaction that makes the job done; what is added to it is stored with `done` or not at all."""
        with self.database.write() as session:
            job = self._own(session)
            yield session
            job.effective = effective
            self._finish(job, JobState.DONE)

    def fail(self, error: str) -> None:
        """End the job with a reason a person can read."""
        with self.database.write() as session:
            job = self._own(session)
            job.error = error
            self._finish(job, JobState.FAILED)

    def cancel(self) -> None:
        """End the job as the user asked."""
        with self.database.write() as session:
            self._finish(self._own(session), JobState.CANCELLED)

    def release(self) -> None:
        """Put the job back at its place in the queue; no loss is counted."""
        with self.database.write() as session:
            job = self._own(session)
            requeue(job)
            if self.undisturbed_until is not None:
                job.put_back_at = self.clock()

    def _own(self, session: Session) -> Job:
        job = session.scalars(select(Job).where(*self._mine()).with_for_update()).one_or_none()
        if job is None:
            raise self._lost()
        return job

    def _mine(self) -> tuple[ColumnElement[bool], ...]:
        return (
            Job.id == self.job_id,
            Job.worker_id == self.worker_id,
            Job.attempt == self.attempt,
            Job.state == JobState.RUNNING,
        )

    def _lost(self) -> LeaseLost:
        return LeaseLost(f"job {self.job_id} was given to another worker or ended")

    def _finish(self, job: Job, state: JobState) -> None:
        job.state = state
        job.finished_at = self.clock()
        job.lease_until = None


def _count(*which: ColumnElement[bool]) -> Select[int]:
    return select(func.count()).select_from(Job).where(*which)


def requeue(job: Job) -> None:
    """Make a claimed job wait again, at the place its age gives it."""
    job.state = JobState.QUEUED
    job.worker_id = job.lease_until = job.started_at = None
    job.phase, job.step, job.total, job.detail = "", 0, 0, ""
