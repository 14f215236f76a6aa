"""The batches of a page one by one, and the one that is prepared ahead (product.md 2.1)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from studio.engine.requests import Task
from studio.jobs.queue import AHEAD, AHEADS
from studio.jobs.spec import JobKind
from studio.services.generation import Generation
from studio.services.library.origins import Parent, copied
from studio.services.views import JobState
from studio.storage.database import Database
from studio.storage.models import Batch, Entry, Job
from studio.storage.states import Role

_WAITING = (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a batch stands among the finished ones."""

    batch_id: str
    number: int  # from 1
    total: int
    previous: str | None
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AheadView:
    """The batch that was last prepared ahead."""

    job_id: str
    state: JobState
    error: str


class Results:
    """The finished batches of one user in the order they were asked for, of some tasks: those of one page."""

    def __init__(
        self,
        database: Database,
        generation: Generation,
        *,
        user_id: str,
        tasks: Collection[Task] = (Task.TEXT2MUSIC,),
    ) -> None:
        self._database = database
        self._generation = generation
        self._user_id = user_id
        self._tasks = [task.value for task in tasks]

    def of(self, tasks: Collection[Task]) -> Results:
        """Return the same for the page of other tasks."""
        return Results(self._database, self._generation, user_id=self._user_id, tasks=tasks)

    def place(self, batch_id: str | None = None) -> Place | None:
        """Return where a batch stands, the newest one's place for None or a batch that is gone; None without any."""
        with self._database.read() as session:
            batch = session.scalars(self._done().where(Batch.id == batch_id)).one_or_none() if batch_id else None
            batch = batch or self._newest(session)
            if batch is None:
                return None
            older = or_(Batch.created_at < batch.created_at, _same_moment(batch, Batch.id < batch.id))
            newer = or_(Batch.created_at > batch.created_at, _same_moment(batch, Batch.id > batch.id))
            before = self._done().where(older)
            after = self._done().where(newer)
            previous = session.scalars(before.order_by(Batch.created_at.desc(), Batch.id.desc()).limit(1)).first()
            following = session.scalars(after.order_by(Batch.created_at, Batch.id).limit(1)).first()
            count = select(func.count())
            number = session.scalars(count.select_from(before.subquery())).one() + 1
            return Place(
                batch_id=batch.id,
                number=number,
                total=number + session.scalars(count.select_from(after.subquery())).one(),
                previous=previous.id if previous else None,
                next=following.id if following else None,
            )

    def ahead(self) -> AheadView | None:
        """Return the batch prepared ahead that nobody has a newer finished one of; None when there is none."""
        with self._database.read() as session:
            mine = self._ahead_jobs().join(Batch, Batch.id == Job.batch_id).where(Batch.task.in_(self._tasks))
            job = session.scalars(mine.order_by(Job.created_at.desc()).limit(1)).first()
            newest = self._newest(session)
            if job is None or (newest is not None and job.created_at < newest.created_at):
                return None
            return AheadView(job_id=job.id, state=job.state, error=job.error)

    def prepare(self, form: Mapping[str, object], after: str, parents: Sequence[Parent] | None = None) -> str | None:
        """Start the batch that follows batch `after` and return its job's id; None when one is there or on its way.

        Codes are left out and the seeds are new, as one batch is to differ from the other; without `parents` its
        settings are copied from where those of `after` were. Raises as `Generation.submit` does.
        """
        place, ahead = self.place(after), self.ahead()
        if place is None or place.batch_id != after or place.next or (ahead and ahead.state in _WAITING):
            return None
        following = {**form, "audio_codes": "", "use_random_seed": True}
        if parents is None:
            with self._database.read() as session:
                parents = copied(session, after)
        kept = [parent for parent in parents if parent.role != Role.CODES]
        return self._generation.submit(following, kept, priority=AHEAD)

    def stop(self) -> None:
        """Call off what any page has prepared ahead and has not begun; what is being made is finished."""
        with self._database.read() as session:
            waiting = list(session.scalars(self._ahead_jobs().where(Job.state == JobState.QUEUED)))
        for job in waiting:
            self._generation.cancel(job.id)

    def _newest(self, session: Session) -> Batch | None:
        return session.scalars(self._done().order_by(Batch.created_at.desc(), Batch.id.desc()).limit(1)).first()

    def _done(self) -> Select[Batch]:
        made = and_(Job.batch_id == Batch.id, Job.kind == JobKind.GENERATE, Job.state == JobState.DONE)
        mine = Batch.user_id == self._user_id, Batch.task.in_(self._tasks)
        there = exists().where(Entry.batch_id == Batch.id, Entry.deleted_at.is_(None))  # not all in the trash
        return select(Batch).join(Job, made).where(*mine, there)

    def _ahead_jobs(self) -> Select[Job]:
        return select(Job).where(Job.user_id == self._user_id, Job.kind == JobKind.GENERATE, Job.priority.in_(AHEADS))


def _same_moment(batch: Batch, side: ColumnElement[bool]) -> ColumnElement[bool]:
    return and_(Batch.created_at == batch.created_at, side)
