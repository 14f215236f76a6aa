"""The queue: jobs wait for their turn, see studio.jobs.turns, and each is claimed by one worker."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from studio.errors import NotFound, QueueFull
from studio.jobs.lease import Lease
from studio.jobs.spec import BACKGROUND, LASTING, RESUMED, JobKind, Payload, model_of, pack
from studio.jobs.standing import Standing, seconds_of, served, standing, waiting
from studio.jobs.turns import Waiting, in_turn, overdue, preferred
from studio.logs import about
from studio.storage.database import Database
from studio.storage.models import Job, User, Worker, new_id
from studio.storage.pause import Pause, paused
from studio.storage.states import JobState, WorkerState
from studio.storage.times import Clock, utc_now

AHEAD = -1  # the priority of a batch nobody asked for yet
OVER_QUOTA = 10  # so much lower is the priority of whoever has had the month's seconds
AHEADS = (AHEAD, AHEAD - OVER_QUOTA)
SLICE = timedelta(minutes=2)  # what is put back without loss keeps its turn so long

_UNSEEN = -1  # highest priority of a job of a kind that nobody waits for

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one person may ask for; 0 sets no limit."""

    queued: int = 0  # jobs that wait at once
    month_seconds: float = 0.0  # of a model in a calendar month (UTC); beyond, everybody else's jobs go first


class Queue:
    """All jobs of a database."""

    def __init__(
        self, database: Database, *, lease_seconds: float, clock: Clock = utc_now, limits: Limits | None = None
    ) -> None:
        self._database = database
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._limits = limits or Limits()

    def submit(
        self,
        session: Session,
        payload: Payload,
        *,
        user_id: str,
        batch_id: str | None = None,
        priority: int = 0,
        job_id: str = "",
    ) -> str:
        """Add a job in the caller's transaction, so it and its batch appear together; return its id, or `job_id`.

        Raises QueueFull when as many of the person's jobs wait as may.
        """
        if payload.kind in BACKGROUND:
            priority = min(priority, _UNSEEN)
        else:
            self._check_room(session, user_id)
        job = Job(
            id=job_id or new_id(),
            kind=payload.kind,
            model=model_of(payload),
            requested=pack(payload),
            user_id=user_id,
            batch_id=batch_id,
            priority=priority - OVER_QUOTA * self._over_quota(session, user_id),
            state=JobState.QUEUED,
            created_at=self._clock(),
        )
        session.add(job)
        session.flush()
        with about(job.id):
            logger.info("%s queued for user %s at priority %d", job.kind, user_id, job.priority)
        return job.id

    def claim(self, worker_id: str, model: str = "") -> Lease | None:
        """Take the job whose turn it is, or None when nothing waits or the queue is paused.

        A worker that has a `model` loaded takes first what needs no other, within what `turns.preferred` allows.
        """
        now = self._clock()
        with self._database.write() as session:
            queued = [] if paused(session) else waiting(session)
            if not queued:
                return None
            lately = served(session, now)
            due = overdue(queued, lately, now)
            order = preferred(list(in_turn(self._possible(session, queued, model), lately, now, {})), model, now)
            for candidate in order if due is None else [due, *order]:
                mine = select(Job).where(Job.id == candidate.job_id, Job.state == JobState.QUEUED)
                # Another worker may be taking it in this very moment.
                if (job := session.scalars(mine.with_for_update(skip_locked=True)).one_or_none()) is not None:
                    return self._lease(job, worker_id, _undisturbed(job, now) if candidate is due else None)
        return None

    def _possible(self, session: Session, queued: list[Waiting], model: str) -> list[Waiting]:
        """Leave a training run to the worker that holds its model, where there is one: no other can begin it."""
        since = self._clock() - timedelta(seconds=self._lease_seconds)
        held = select(Worker.id).where(Worker.state == WorkerState.READY, Worker.heartbeat_at >= since).limit(1)
        return [
            job
            for job in queued
            if job.kind not in LASTING
            or job.model in ("", model)
            or session.scalars(held.where(Worker.model == job.model)).first() is None
        ]

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

    def standing(self, session: Session) -> Standing:
        """Say where every waiting job stands."""
        return standing(session, self._clock(), self._lease_seconds)

    def pause(self, session: Session, reason: str) -> None:
        """Let what runs be finished and begin nothing else, whichever worker asks, until `resume`."""
        session.merge(Pause(id=1, reason=reason, since=self._clock()))

    def resume(self, session: Session) -> None:
        """End a pause; does nothing without one."""
        if (pause := paused(session)) is not None:
            session.delete(pause)

    def _check_room(self, session: Session, user_id: str) -> None:
        if not self._limits.queued:
            return
        session.get(User, user_id, with_for_update=True)  # so that two submits at once are not both the last
        query = select(func.count()).where(
            Job.user_id == user_id, Job.state == JobState.QUEUED, Job.kind.not_in(BACKGROUND)
        )
        if (count := session.scalars(query).one()) >= self._limits.queued:
            raise QueueFull(
                f"{count} of your jobs wait already, and at most {self._limits.queued} may; "
                "cancel one or wait until one has begun"
            )

    def _over_quota(self, session: Session, user_id: str) -> bool:
        if not self._limits.month_seconds:
            return False
        now = self._clock()
        return seconds_of(session, user_id, month_of(now), now) >= self._limits.month_seconds

    def _lease(self, job: Job, worker_id: str, undisturbed_until: datetime | None) -> Lease:
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
            undisturbed_until=undisturbed_until,
        )


def month_of(now: datetime) -> datetime:
    """Return when the calendar month began."""
    return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def is_ahead(job: Job) -> bool:
    """Return whether a job was prepared for its person, who didn't ask for it."""
    return job.kind == JobKind.GENERATE and job.priority in AHEADS


def _undisturbed(job: Job, now: datetime) -> datetime:
    """Return until when a bulk job that was overdue doesn't give way; one that would begin anew is finished."""
    return now + (SLICE if job.kind in RESUMED else timedelta(days=1))
