"""Deletes what is in the trash for good: rows first, then files, so that what a crash leaves is swept up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from studio.storage import words
from studio.storage.artifacts import ArtifactStore
from studio.storage.audit import tell
from studio.storage.database import Database
from studio.storage.models import Batch, Entry, Job, Origin, Take
from studio.storage.states import Deed, JobState

CHUNK = 500  # rows a statement names
_ENDED = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


def empty_trash(
    database: Database, artifacts: ArtifactStore, user_id: str, now: datetime, before: datetime | None = None
) -> int:
    """Delete the takes a person has in the trash, with `before` only those put there earlier; return their number."""
    trashed: ColumnElement[bool] = Entry.deleted_at.is_not(None) if before is None else Entry.deleted_at < before
    told = {} if before is None else {"older_than": before.isoformat()}
    removed = 0
    while keys := _some(database, user_id, now, trashed, told):
        removed += len(keys)
        for key in keys:
            artifacts.discard(key)
    return removed


def owners_of_trash(database: Database, before: datetime) -> list[str]:
    """Return who has takes in the trash that were put there earlier."""
    with database.read() as session:
        return list(session.scalars(select(Entry.user_id).where(Entry.deleted_at < before).distinct()))


def delete_empty(session: Session, batch_ids: Sequence[str]) -> int:
    """Delete those batches that have no take and whose jobs have ended; return their number."""
    held = select(Take.batch_id).where(Take.batch_id.in_(batch_ids))
    awaited = select(Job.batch_id).where(Job.batch_id.in_(batch_ids), Job.state.not_in(_ENDED))
    kept = {*session.scalars(held), *session.scalars(awaited)}
    gone = [batch_id for batch_id in batch_ids if batch_id not in kept]
    for table, column in ((Origin, Origin.batch_id), (Job, Job.batch_id), (Batch, Batch.id)):
        session.execute(delete(table).where(column.in_(gone)))
    return len(gone)


def _some(
    database: Database, user_id: str, now: datetime, trashed: ColumnElement[bool], told: dict[str, str]
) -> list[str]:
    """Delete the rows of some takes, the longest in the trash first, and return the keys of their files."""
    oldest = select(Entry.id, Entry.take_id, Entry.batch_id, Entry.title, Take.key, Take.requested)
    oldest = oldest.join(Entry.take).where(Entry.user_id == user_id, trashed)
    with database.write() as session:
        rows = session.execute(oldest.order_by(Entry.deleted_at, Entry.id).limit(CHUNK)).all()
        takes = [row.take_id for row in rows]
        for row in rows:
            name = row.title or str(row.requested.get("caption") or "")
            session.execute(
                update(Origin).where(Origin.parent_id == row.take_id).values(parent_id=None, name=name[:255])
            )
        words.drop(session.connection(), [row.id for row in rows])
        session.execute(delete(Origin).where(Origin.take_id.in_(takes)))
        session.execute(delete(Entry).where(Entry.take_id.in_(takes)))
        session.execute(delete(Take).where(Take.id.in_(takes)))
        delete_empty(session, sorted({row.batch_id for row in rows}))
        if takes:
            tell(session, user_id, Deed.DELETED, "", now, **{"takes": takes, **told})
        return [row.key for row in rows]
