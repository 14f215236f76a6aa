"""Rows as views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload
from sqlalchemy.orm.interfaces import ORMOption

from studio.engine.lora.wanted import AdapterSet, adapter_set_from
from studio.jobs.spec import JobKind
from studio.services.principal import Principal
from studio.services.views import BatchView, TakeView
from studio.storage.models import Batch, Entry, Job, Take


def with_entry() -> tuple[ORMOption, ...]:
    """Load what a view of a take needs along with it."""
    entry = joinedload(Take.entry)
    return entry.selectinload(Entry.tags), entry.selectinload(Entry.places)


def takes_of(session: Session, entry_ids: Sequence[int]) -> tuple[TakeView, ...]:
    """Return the takes of entries in the order given."""
    query = select(Take).join(Take.entry).where(Entry.id.in_(entry_ids)).options(*with_entry())
    found = {take.entry.id: take for take in session.scalars(query) if take.entry is not None}
    return tuple(take_view(found[number]) for number in entry_ids)


def batch_view(batch: Batch, principal: Principal) -> BatchView:
    """Show a batch with the takes that may be looked at and are not in the trash."""
    job = _maker(batch)
    takes = [take_view(take) for take in batch.takes if take.entry is None or principal.sees_entry(take.entry)]
    return BatchView(
        id=batch.id,
        task=batch.task,
        model=batch.model,
        state=job.state,
        error=job.error,
        form=batch.form,
        created_at=batch.created_at,
        takes=tuple(take for take in takes if take.deleted_at is None),
        adapters=_adapters(job, takes),
    )


def take_view(take: Take) -> TakeView:
    """Show a take with what its owner did with it."""
    entry = take.entry
    if entry is None:
        raise LookupError(f"take {take.id} has no entry; studio.storage.entries adds one with every take")
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
        task=entry.task,
        model=entry.model,
        title=entry.title,
        rating=entry.rating,
        favourite=entry.favourite,
        tags=tuple(tag.name for tag in entry.tags),
        collections=tuple(place.collection_id for place in entry.places),
        deleted_at=entry.deleted_at,
        owner=entry.user_id,
        visibility=entry.visibility,
    )


def _adapters(job: Job, takes: Sequence[TakeView]) -> AdapterSet | None:
    """A job of an earlier version names none, but its takes do."""
    if job.kind != JobKind.GENERATE:
        return None
    told = job.requested if "adapters" in job.requested or not takes else takes[0].effective
    return adapter_set_from(told)


def _maker(batch: Batch) -> Job:
    """Return the job that makes the batch's takes; it is written in the batch's own transaction, so it exists."""
    return next(job for job in batch.jobs if job.kind in (JobKind.GENERATE, JobKind.MIX))
