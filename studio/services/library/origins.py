"""What a batch is made from, remembered when it is asked for.

Its request names files, and a file of this studio says which take it is: so an upload, a download brought back and a
take sent from page to page all find their parent, whoever submits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from studio.engine.audio.tags import settings_in
from studio.errors import AudioError
from studio.jobs.sidecar import TAKE_ID, codes_text
from studio.jobs.spec import JobKind
from studio.services.principal import Principal
from studio.services.uploads import called
from studio.storage.models import Batch, Entry, Job, Origin, Take
from studio.storage.states import JobState, Role

_FILES = {"reference_audio": Role.REFERENCE, "src_audio": Role.SOURCE}  # keys of a request
_CONVERTED = 50  # the newest conversions to codes that are looked through


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """What a batch is made from: a take by its id, or an adapter or a file by its name."""

    role: Role
    take_id: str | None = None
    name: str = ""


def record(session: Session, batch: Batch, parents: Sequence[Parent], now: datetime) -> None:
    """Remember what a batch is made from, in the transaction that stores it: `parents` and what its request tells.

    A take that doesn't exist, or can't be seen by this person, is left out: a link must not fail a song.
    """
    told = [*parents, *_of_files(session, batch)]
    if not any(parent.role == Role.CODES for parent in parents):
        told += _of_codes(session, batch)
    known = _known(session, batch.user_id, [parent.take_id for parent in told if parent.take_id])
    session.add_all(
        Origin(batch_id=batch.id, parent_id=parent.take_id, name=parent.name[:255], role=parent.role, created_at=now)
        for parent in dict.fromkeys(told)
        if parent.take_id in known or (parent.take_id is None and parent.name)
    )


def copied(session: Session, batch_id: str) -> list[Parent]:
    """Return the takes whose settings a batch was made with, for the batch that AutoGen makes with the same ones."""
    query = select(Origin.parent_id).where(Origin.batch_id == batch_id, Origin.role == Role.SETTINGS)
    return [Parent(role=Role.SETTINGS, take_id=one) for one in session.scalars(query) if one is not None]


def take_named_in(settings: str | None) -> str:
    """Return the id of the take whose saved settings these are, empty where they name none."""
    try:
        found = json.loads(settings or "{}")
    except (ValueError, RecursionError):
        return ""
    return str(found.get(TAKE_ID) or "") if isinstance(found, dict) else ""


def _of_files(session: Session, batch: Batch) -> Iterator[Parent]:
    for name, role in _FILES.items():
        if path := batch.request.get(name):
            yield _of_file(session, batch.user_id, Path(str(path)), role)


def _of_codes(session: Session, batch: Batch) -> Iterator[Parent]:
    """Find the conversion that wrote the codes of a request, and what was converted."""
    if not (codes := codes_text(batch.request.get("audio_codes"))):
        return
    made = select(Job.requested, Job.effective).where(
        Job.user_id == batch.user_id, Job.kind == JobKind.ENCODE, Job.state == JobState.DONE
    )
    for requested, effective in session.execute(made.order_by(Job.created_at.desc()).limit(_CONVERTED)):
        if isinstance(effective, Mapping) and codes_text(effective.get("audio_codes")) == codes:
            yield _of_file(session, batch.user_id, Path(str(requested["source"])), Role.CODES)
            return


def _of_file(session: Session, user_id: str, path: Path, role: Role) -> Parent:
    """Return the take that a file is, by what it says or by where it lies; else the file's own name."""
    try:
        named = take_named_in(settings_in(path))
    except AudioError:
        named = ""  # a file that says nothing of itself
    stored = session.scalars(select(Take.id).where(Take.key == "/".join(path.parts[-3:]))).first()
    known = _known(session, user_id, [one for one in (named, stored) if one])
    found = next((one for one in (named, stored) if one in known), None)
    return Parent(role=role, take_id=found, name="" if found else called(path))


def _known(session: Session, user_id: str, take_ids: Sequence[str | None]) -> set[str]:
    if not take_ids:
        return set()
    known = select(Entry.take_id).where(Entry.take_id.in_(take_ids), Principal(user_id=user_id).seen_entries())
    return set(session.scalars(known))
