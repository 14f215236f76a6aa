"""Running the studio: pausing the queue, and who works."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select

from studio.errors import InvalidRequest
from studio.jobs.queue import Queue
from studio.jobs.spec import JobKind
from studio.services.principal import Principal, Right
from studio.storage.audit import tell
from studio.storage.database import Database
from studio.storage.models import Job, Worker
from studio.storage.pause import paused
from studio.storage.states import Deed, JobState, WorkerState
from studio.storage.times import Clock

MAX_REASON = 255  # characters
NEWEST = 50  # songs whose making says how long one takes


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseView:
    """Why the queue is paused, and since when."""

    reason: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerView:
    """A worker as its row says; GONE when it has been silent too long."""

    id: str
    host: str
    pid: int
    state: WorkerState
    model: str
    device: str
    started_at: datetime
    heartbeat_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many songs were asked for, by what became of them, and how long the newest finished ones took."""

    counts: Mapping[JobState, int]
    seconds: float | None  # on average; None before the first


class Operations:
    """What an administrator does with the queue of everybody."""

    def __init__(
        self, database: Database, queue: Queue, principal: Principal, *, lease_seconds: float, clock: Clock
    ) -> None:
        self._database = database
        self._queue = queue
        self._principal = principal
        self._lease_seconds = lease_seconds
        self._clock = clock

    def pause(self, reason: str) -> None:
        """Begin nothing from now on; what runs is finished, and jobs can still be queued.

        Raises PermissionDenied, InvalidRequest for a reason that is too long.
        """
        self._principal.check(Right.ADMINISTER)
        if len(reason) > MAX_REASON:
            raise InvalidRequest("reason", f"be at most {MAX_REASON} characters", reason)
        with self._database.write() as session:
            self._queue.pause(session, reason)
            tell(session, self._principal.user_id, Deed.PAUSED, "", self._clock(), reason=reason)

    def resume(self) -> None:
        """End the pause; does nothing without one. Raises PermissionDenied."""
        self._principal.check(Right.ADMINISTER)
        with self._database.write() as session:
            if paused(session) is not None:
                self._queue.resume(session)
                tell(session, self._principal.user_id, Deed.RESUMED, "", self._clock())

    def paused(self) -> PauseView | None:
        """Return the pause there is."""
        with self._database.read() as session:
            found = paused(session)
            return None if found is None else PauseView(reason=found.reason, since=found.since)

    def tally(self) -> Tally:
        """Count everybody's jobs that make music."""
        songs = Job.kind == JobKind.GENERATE
        last = select(Job.started_at, Job.finished_at).where(songs, Job.state == JobState.DONE)
        with self._database.read() as session:
            found = session.execute(select(Job.state, func.count()).where(songs).group_by(Job.state))
            counts = {**dict.fromkeys(JobState, 0), **{state: count for state, count in found}}
            lasted = [
                (finished - started).total_seconds()
                for started, finished in session.execute(last.order_by(Job.finished_at.desc()).limit(NEWEST))
                if started is not None and finished is not None
            ]
        return Tally(counts=counts, seconds=sum(lasted) / len(lasted) if lasted else None)

    def workers(self) -> list[WorkerView]:
        """Return the workers, the eldest first; raises PermissionDenied."""
        self._principal.check(Right.ADMINISTER)
        since = self._clock() - timedelta(seconds=self._lease_seconds)
        with self._database.read() as session:
            rows = session.scalars(select(Worker).order_by(Worker.started_at, Worker.id))
            return [
                WorkerView(
                    id=row.id,
                    host=row.host,
                    pid=row.pid,
                    state=row.state if row.heartbeat_at >= since else WorkerState.GONE,
                    model=row.model,
                    device=row.device,
                    started_at=row.started_at,
                    heartbeat_at=row.heartbeat_at,
                )
                for row in rows
            ]
