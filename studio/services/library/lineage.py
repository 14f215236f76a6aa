"""Where a take came from and what was made from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from studio.services.library.shelf import Shelf
from studio.services.seeing import seen_take
from studio.storage.models import Entry, Origin, Take
from studio.storage.states import Role

MOST = 200  # takes drawn in each direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Relative:
    """One take of a lineage, or something that has only a name."""

    id: str  # of the take; for what is none, made up from role and name
    take_id: str | None
    name: str  # title, else caption; "" where there is neither
    index: int = 0  # in its batch
    seed: int | None = None
    created_at: datetime | None = None
    trashed: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    """One take was made from another."""

    parent: str  # ids of Relatives
    child: str
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """A take with its ancestors and its descendants."""

    take_id: str
    relatives: tuple[Relative, ...]  # the take itself first
    edges: tuple[Edge, ...]
    complete: bool  # False when a direction was cut off at MOST takes

    def made_from(self) -> tuple[Edge, ...]:
        """Return what the take itself was made from."""
        return tuple(edge for edge in self.edges if edge.child == self.take_id)

    def became(self) -> tuple[Edge, ...]:
        """Return what was made from the take itself."""
        return tuple(edge for edge in self.edges if edge.parent == self.take_id)


@dataclass(frozen=True, slots=True)
class _Found:
    """An edge as the rows say it; a parent without id has a name."""

    parent_id: str | None
    name: str
    child_id: str
    role: Role

    def edge(self) -> Edge:
        return Edge(self.parent_id or f"{self.role}:{self.name}", self.child_id, self.role)


_Step = Callable[[Session, Sequence[str]], list[_Found]]


class Families:
    """Draws the lineage of takes."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def of(self, take_id: str) -> Lineage:
        """Return all that a take came from and all that was made from it. Raises NotFound."""
        with self._shelf.database.read() as session:
            seen_take(session, self._shelf.principal, take_id)
            above, whole_above = _walk(session, take_id, _parents, lambda found: found.parent_id)
            below, whole_below = _walk(session, take_id, _children, lambda found: found.child_id)
            links = [*above, *below]
            takes = dict.fromkeys([take_id, *(one for link in links for one in (link.parent_id, link.child_id) if one)])
            known = self._relatives(session, list(takes))
        named = {link.edge().parent: link for link in links if link.parent_id is None}
        others = [Relative(id=name, take_id=None, name=link.name) for name, link in named.items()]
        edges = (link.edge() for link in links)
        return Lineage(
            take_id=take_id,
            relatives=(*(known[one] for one in takes if one in known), *others),
            edges=tuple(
                dict.fromkeys(edge for edge in edges if edge.child in known and edge.parent in {*known, *named})
            ),
            complete=whole_above and whole_below,
        )

    def _relatives(self, session: Session, take_ids: Sequence[str]) -> dict[str, Relative]:
        caption = Take.requested["caption"].as_string().label("caption")
        columns = (
            Entry.take_id,
            Entry.title,
            Entry.deleted_at,
            Entry.created_at,
            Take.index.label("place"),
            Take.seed,
            caption,
        )
        query = select(*columns).join(Entry.take)
        rows = session.execute(query.where(Entry.take_id.in_(take_ids), self._shelf.principal.seen_entries()))
        return {
            row.take_id: Relative(
                id=row.take_id,
                take_id=row.take_id,
                name=row.title or row.caption or "",
                index=row.place,
                seed=row.seed,
                created_at=row.created_at,
                trashed=row.deleted_at is not None,
            )
            for row in rows
        }


def _walk(
    session: Session, start: str, step: _Step, next_of: Callable[[_Found], str | None]
) -> tuple[list[_Found], bool]:
    """Follow edges from generation to generation, each take once, so that a ring ends too."""
    found: list[_Found] = []
    seen, ring = {start}, [start]
    while ring:
        links = step(session, ring)
        found += links
        ring = [one for one in dict.fromkeys(next_of(link) for link in links) if one is not None and one not in seen]
        seen.update(ring)
        if len(seen) > MOST:
            return found, not ring
    return found, True


def _parents(session: Session, take_ids: Sequence[str]) -> list[_Found]:
    return _links(session, Take.id.in_(take_ids))


def _children(session: Session, take_ids: Sequence[str]) -> list[_Found]:
    return _links(session, Origin.parent_id.in_(take_ids))


def _links(session: Session, wanted: ColumnElement[bool]) -> list[_Found]:
    query = select(Origin.parent_id, Origin.name, Take.id, Origin.role).join(Take, Take.batch_id == Origin.batch_id)
    query = query.where(wanted, or_(Origin.take_id.is_(None), Origin.take_id == Take.id))
    rows = session.execute(query.order_by(Origin.id, Take.index).limit(MOST + 1))
    return [_Found(parent_id, name, child_id, role) for parent_id, name, child_id, role in rows]
