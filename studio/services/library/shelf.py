"""The takes of one person: what every room of the library begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from studio.errors import InvalidRequest, NotFound
from studio.storage.database import Database
from studio.storage.models import Entry
from studio.storage.times import Clock


@dataclass(frozen=True, slots=True)
class Shelf:
    """A database seen by one user."""

    database: Database
    user_id: str
    clock: Clock

    def entry(self, session: Session, take_id: str) -> Entry:
        """Return the entry of a take; raises NotFound when it doesn't exist or is another person's."""
        (entry,) = self.entries(session, [take_id])
        return entry

    def entries(self, session: Session, take_ids: Sequence[str]) -> list[Entry]:
        """Return the entries of takes in the order given; raises NotFound when one isn't this person's."""
        query = select(Entry).where(Entry.take_id.in_(take_ids), Entry.user_id == self.user_id)
        found = {entry.take_id: entry for entry in session.scalars(query)}
        for take_id in take_ids:
            if take_id not in found:
                raise NotFound(f"there is no take {take_id!r}")
        return [found[take_id] for take_id in dict.fromkeys(take_ids)]


def named(field: str, text: str, longest: int) -> str:
    """Return a name on one line; raises InvalidRequest for none or one that is too long."""
    name = " ".join(text.split())
    if not 1 <= len(name) <= longest:
        raise InvalidRequest(field, f"be from 1 to {longest} characters", text)
    return name
