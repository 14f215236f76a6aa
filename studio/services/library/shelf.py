"""The takes one person may change: what every room of the library begins with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from studio.errors import InvalidRequest, NotFound
from studio.services.principal import Principal
from studio.storage.database import Database
from studio.storage.models import Entry
from studio.storage.times import Clock


@dataclass(frozen=True, slots=True)
class Shelf:
    """A database seen by one person."""

    database: Database
    principal: Principal
    clock: Clock

    @property
    def user_id(self) -> str:
        """The person's id."""
        return self.principal.user_id

    def entry(self, session: Session, take_id: str) -> Entry:
        """Return the entry of a take; raises NotFound, PermissionDenied when it may only be looked at."""
        (entry,) = self.entries(session, [take_id])
        return entry

    def entries(self, session: Session, take_ids: Sequence[str]) -> list[Entry]:
        """Return the entries of takes in the order given; raises the same for any one of them."""
        query = select(Entry).where(Entry.take_id.in_(take_ids), self.principal.seen_entries())
        found = {entry.take_id: entry for entry in session.scalars(query)}
        for take_id in take_ids:
            if take_id not in found:
                raise NotFound(f"there is no take {take_id!r}")
            self.principal.check_owns(found[take_id].user_id)
        return [found[take_id] for take_id in dict.fromkeys(take_ids)]


def named(field: str, text: str, longest: int) -> str:
    """Return a name on one line; raises InvalidRequest for none or one that is too long."""
    name = " ".join(text.split())
    if not 1 <= len(name) <= longest:
        raise InvalidRequest(field, f"be from 1 to {longest} characters", text)
    return name
