"""Named groups of takes, such as an album in the making; a take may be in several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from studio.errors import InvalidRequest, NotFound
from studio.services.library.shelf import Shelf, named
from studio.storage.audit import tell
from studio.storage.models import Collection, CollectionEntry, Entry
from studio.storage.states import Deed, Visibility

MAX_NAME = 100  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionView:
    """A collection and how much is in it."""

    id: str
    name: str
    takes: int  # that this person may look at, trash left out
    mine: bool
    visibility: Visibility
    created_at: datetime


class Collections:
    """Makes collections and fills them."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def all(self) -> list[CollectionView]:
        """Return the person's collections and those the team shares, by name."""
        seen = self._shelf.principal.seen_entries()
        kept = and_(Entry.id == CollectionEntry.entry_id, Entry.deleted_at.is_(None), seen)
        mine = Collection.user_id == self._shelf.user_id
        query = (
            select(Collection, func.count(Entry.id))
            .outerjoin(CollectionEntry, CollectionEntry.collection_id == Collection.id)
            .outerjoin(Entry, kept)
            .where(or_(mine, Collection.visibility == Visibility.TEAM))
            .group_by(Collection.id)
            .order_by(func.lower(Collection.name))
        )
        with self._shelf.database.read() as session:
            return [
                CollectionView(
                    id=row.id,
                    name=row.name,
                    takes=takes,
                    mine=row.user_id == self._shelf.user_id,
                    visibility=row.visibility,
                    created_at=row.created_at,
                )
                for row, takes in session.execute(query)
            ]

    def create(self, name: str) -> str:
        """Make an empty collection and return its id; raises InvalidRequest for a name that exists."""
        name = named("collection", name, MAX_NAME)
        with self._shelf.database.write() as session:
            self._check_new(session, name)
            made = Collection(user_id=self._shelf.user_id, name=name, created_at=self._shelf.clock())
            session.add(made)
            session.flush()
            return made.id

    def rename(self, collection_id: str, name: str) -> None:
        """Give a collection another name. Raises NotFound, InvalidRequest."""
        name = named("collection", name, MAX_NAME)
        with self._shelf.database.write() as session:
            found = self._find(session, collection_id)
            if found.name.lower() != name.lower():
                self._check_new(session, name)
            found.name = name

    def delete(self, collection_id: str) -> None:
        """Forget a collection; its takes stay. Raises NotFound."""
        with self._shelf.database.write() as session:
            found = self._find(session, collection_id)
            session.delete(found)
            tell(session, self._shelf.user_id, Deed.DELETED, collection_id, self._shelf.clock(), collection=found.name)

    def show(self, collection_id: str, visibility: Visibility) -> None:
        """Give a collection and the takes in it a visibility; what is added to a shared one is shared too.

        Raises NotFound, PermissionDenied.
        """
        inside = select(CollectionEntry.entry_id).where(CollectionEntry.collection_id == collection_id)
        with self._shelf.database.write() as session:
            found = self._find(session, collection_id)
            found.visibility = visibility
            held = Entry.id.in_(inside), Entry.user_id == found.user_id
            session.execute(update(Entry).where(*held).values(visibility=visibility))
            told = {"visibility": visibility.value}
            tell(session, self._shelf.user_id, Deed.SHARED, collection_id, self._shelf.clock(), **told)

    def add(self, collection_id: str, take_ids: Sequence[str]) -> None:
        """Put takes into a collection; those in it stay. Raises NotFound."""
        with self._shelf.database.write() as session:
            shared = self._find(session, collection_id).visibility == Visibility.TEAM
            entries = self._shelf.entries(session, take_ids)
            for entry in entries:
                entry.visibility = Visibility.TEAM if shared else entry.visibility
            held = select(CollectionEntry.entry_id).where(CollectionEntry.collection_id == collection_id)
            there = set(session.scalars(held.where(CollectionEntry.entry_id.in_([entry.id for entry in entries]))))
            session.add_all(
                CollectionEntry(collection_id=collection_id, entry_id=entry.id, added_at=self._shelf.clock())
                for entry in entries
                if entry.id not in there
            )

    def remove(self, collection_id: str, take_ids: Sequence[str]) -> None:
        """Take takes out of a collection. Raises NotFound."""
        with self._shelf.database.write() as session:
            self._find(session, collection_id)
            numbers = [entry.id for entry in self._shelf.entries(session, take_ids)]
            held = delete(CollectionEntry).where(CollectionEntry.collection_id == collection_id)
            session.execute(held.where(CollectionEntry.entry_id.in_(numbers)))

    def _find(self, session: Session, collection_id: str) -> Collection:
        found = session.get(Collection, collection_id)
        if found is None or not self._shelf.principal.sees(found.user_id, found.visibility):
            raise NotFound(f"there is no collection {collection_id!r}")
        self._shelf.principal.check_owns(found.user_id)
        return found

    def _check_new(self, session: Session, name: str) -> None:
        mine = select(Collection.id).where(Collection.user_id == self._shelf.user_id)
        if session.scalars(mine.where(func.lower(Collection.name) == name.lower())).first() is not None:
            raise InvalidRequest("collection", "have a name no other collection has", name)
