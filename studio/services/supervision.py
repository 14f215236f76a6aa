"""What everybody has in the queue, and how long each had a model this month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from studio.jobs.queue import OVER_QUOTA, month_of
from studio.jobs.standing import seconds_of
from studio.services.principal import Principal, Right
from studio.storage.database import Database
from studio.storage.models import Job, User
from studio.storage.people import Account, called
from studio.storage.states import JobState
from studio.storage.times import Clock

_ACTIVE = (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedView:
    """A job of somebody that waits or runs."""

    id: str
    person: str
    kind: str
    model: str
    state: JobState
    over_quota: bool
    cancel_requested: bool
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageView:
    """For how long one person's jobs had a model since the calendar month (UTC) began."""

    person: str
    seconds: float


class Supervision:
    """Looks over everybody's shoulder, for administrators."""

    def __init__(self, database: Database, principal: Principal, clock: Clock) -> None:
        self._database = database
        self._principal = principal
        self._clock = clock

    def jobs(self) -> list[QueuedView]:
        """Return what waits or runs, what runs first and then the oldest; raises PermissionDenied."""
        self._principal.check(Right.ADMINISTER)
        query = select(Job, User.name, Account).join(User, User.id == Job.user_id)
        query = query.outerjoin(Account, Account.user_id == User.id).where(Job.state.in_(_ACTIVE))
        with self._database.read() as session:
            rows = session.execute(query.order_by(Job.state.desc(), Job.created_at, Job.id)).all()
            return [
                QueuedView(
                    id=job.id,
                    person=called(name, account),
                    kind=job.kind,
                    model=job.model,
                    state=job.state,
                    over_quota=job.priority <= -OVER_QUOTA,
                    cancel_requested=job.cancel_requested,
                    created_at=job.created_at,
                )
                for job, name, account in rows
            ]

    def usage(self) -> list[UsageView]:
        """Return who had a model this month, the longest first; raises PermissionDenied."""
        self._principal.check(Right.ADMINISTER)
        now = self._clock()
        query = select(User.id, User.name, Account).outerjoin(Account, Account.user_id == User.id)
        with self._database.read() as session:
            found = [
                UsageView(person=called(name, account), seconds=seconds_of(session, user_id, month_of(now), now))
                for user_id, name, account in session.execute(query)
            ]
        return sorted((one for one in found if one.seconds), key=lambda one: -one.seconds)
