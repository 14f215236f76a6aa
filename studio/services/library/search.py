"""Finds takes page by page, at a price that depends on the page and not on the library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from studio.services.library.facets import Facets, facets_of
from studio.services.library.query import Query, hits, ordered
from studio.services.library.showing import takes_of
from studio.services.views import TakeView
from studio.storage.database import Database
from studio.storage.models import Entry

SIZE = 24  # takes a page
COUNTED = 10_000  # hits are counted up to here; nobody turns more pages, and counting on would cost


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of the takes that were found."""

    takes: tuple[TakeView, ...]
    number: int  # from 1
    pages: int  # at least 1
    total: int  # hits; at COUNTED there may be more
    anchor: int  # given back with the next page, takes made meanwhile move nothing

    @property
    def capped(self) -> bool:
        """Whether there may be more hits than were counted."""
        return self.total >= COUNTED


class Search:
    """Looks through the takes of one user, or with user None through everybody's, which is for administrators."""

    def __init__(self, database: Database, user_id: str | None) -> None:
        self._database = database
        self._user_id = user_id
        self._dialect = database.engine.dialect.name

    def page(self, query: Query, number: int = 1, *, size: int = SIZE, anchor: int | None = None) -> Page:
        """Return a page of what `query` describes; a number past the end gives the last page."""
        with self._database.read() as session:
            anchor = self._newest(session) if anchor is None else anchor
            found = hits(self._dialect, query, self._user_id).where(Entry.id <= anchor)
            total = session.scalars(select(func.count()).select_from(found.limit(COUNTED).subquery())).one()
            pages = max(1, -(-total // size))
            number = min(max(1, number), pages)
            part = ordered(self._dialect, found, query).limit(size).offset((number - 1) * size)
            return Page(
                takes=takes_of(session, session.scalars(part).all()),
                number=number,
                pages=pages,
                total=total,
                anchor=anchor,
            )

    def ids(self, query: Query, limit: int) -> Sequence[str]:
        """Return the ids of the first `limit` takes that `query` describes."""
        with self._database.read() as session:
            part = ordered(self._dialect, hits(self._dialect, query, self._user_id), query).limit(limit)
            numbers = session.scalars(part).all()
            rows = session.execute(select(Entry.id, Entry.take_id).where(Entry.id.in_(numbers)))
            names = {number: take_id for number, take_id in rows}
        return [names[number] for number in numbers]

    def facets(self, query: Query) -> Facets:
        """Return how many hits each choice of each facet would leave."""
        with self._database.read() as session:
            return facets_of(session, self._dialect, query, self._user_id)

    def _newest(self, session: Session) -> int:
        return session.scalars(select(func.max(Entry.id))).one() or 0
