"""Everything that was ever asked for, with what came of it."""

from __future__ import annotations

from typing import cast

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from studio.errors import NotFound
from studio.jobs.spec import JobKind
from studio.services.views import BatchView, TakeView
from studio.storage.database import Database
from studio.storage.models import Batch, Job, Take


class Library:
    """The history of one user."""

    def __init__(self, database: Database, *, user_id: str) -> None:
        self._database = database
        self._user_id = user_id

    def batches(self, limit: int = 20, before: str | None = None) -> list[BatchView]:
        """Return up to `limit` batches, newest first, that are older than batch `before`.

        A page stays the same whatever is added meanwhile. Raises NotFound when `before` does not exist.
        """
        query = self._mine().order_by(Batch.created_at.desc(), Batch.id.desc()).limit(limit)
        with self._database.read() as session:
            if before is not None:
                query = _older(query, self._find(session, before))
            return [_batch_view(batch) for batch in session.scalars(query)]

    def batch(self, batch_id: str) -> BatchView:
        """Return one batch; raises NotFound."""
        with self._database.read() as session:
            return _batch_view(self._find(session, batch_id))

    def take(self, take_id: str) -> TakeView:
        """Return one take; raises NotFound."""
        with self._database.read() as session:
            take = session.get(Take, take_id, options=[joinedload(Take.batch)])
            if take is None or take.batch.user_id != self._user_id:
                raise NotFound(f"there is no take {take_id!r}")
            return _take_view(take)

    def count(self) -> int:
        """Return how many batches there are."""
        query = select(func.count()).select_from(Batch).where(Batch.user_id == self._user_id)
        with self._database.read() as session:
            return session.scalars(query).one()

    def _mine(self) -> Select[Batch]:
        query = select(Batch).where(Batch.user_id == self._user_id)
        return query.options(selectinload(Batch.takes), selectinload(Batch.jobs))

    def _find(self, session: Session, batch_id: str) -> Batch:
        batch = session.scalars(self._mine().where(Batch.id == batch_id)).one_or_none()
        if batch is None:
            raise NotFound(f"there is no batch {batch_id!r}")
        return batch


def _older(query: Select[Batch], than: Batch) -> Select[Batch]:
    same_moment = and_(Batch.created_at == than.created_at, Batch.id < than.id)
    return query.where(or_(Batch.created_at < than.created_at, same_moment))


def _batch_view(batch: Batch) -> BatchView:
    job = _maker(batch)
    return BatchView(
        id=batch.id,
        task=batch.task,
        model=batch.model,
        state=job.state,
        error=job.error,
        form=batch.form,
        created_at=batch.created_at,
        takes=tuple(_take_view(take) for take in batch.takes),
    )


def _maker(batch: Batch) -> Job:
    """Return the job that makes the batch's takes; it is written in the batch's own transaction, so it exists."""
    return next(job for job in batch.jobs if job.kind == JobKind.GENERATE)


def _take_view(take: Take) -> TakeView:
    return TakeView(
        id=take.id,
        batch_id=take.batch_id,
        index=take.index,
        seed=take.seed,
        format=take.format,
        duration=take.duration,
        sample_rate=take.sample_rate,
        requested=take.requested,
        effective=take.effective,
        timings=cast(dict[str, float], take.timings),
        created_at=take.created_at,
    )
