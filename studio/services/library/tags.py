"""Words a person puts on takes; they are in lower case, so that Rock and rock are one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from studio.services.library.shelf import Shelf, named
from studio.storage import words
from studio.storage.models import Entry, Tag

MAX_TAG = 64  # characters


class Tags:
    """Puts tags on and takes them off."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    def all(self) -> Mapping[str, int]:
        """Return every tag with its number of takes, trash left out, in alphabetical order."""
        query = select(Tag.name, func.count()).join(Entry, Entry.id == Tag.entry_id)
        query = query.where(Tag.user_id == self._shelf.user_id, Entry.deleted_at.is_(None))
        with self._shelf.database.read() as session:
            return {name: takes for name, takes in session.execute(query.group_by(Tag.name).order_by(Tag.name))}

    def add(self, take_ids: Sequence[str], name: str) -> None:
        """Put a tag on takes; those that have it keep it. Raises NotFound, InvalidRequest."""
        name = _tag(name)
        with self._shelf.database.write() as session:
            for entry in self._shelf.entries(session, take_ids):
                session.merge(Tag(entry_id=entry.id, name=name, user_id=entry.user_id))
                _learn(session, entry)

    def remove(self, take_ids: Sequence[str], name: str) -> None:
        """Take a tag off takes; those without it stay as they are. Raises NotFound."""
        with self._shelf.database.write() as session:
            for entry in self._shelf.entries(session, take_ids):
                session.execute(delete(Tag).where(Tag.entry_id == entry.id, Tag.name == name.lower()))
                _learn(session, entry)

    def replace(self, take_id: str, names: Sequence[str]) -> None:
        """Give a take exactly these tags. Raises NotFound, InvalidRequest."""
        wanted = dict.fromkeys(_tag(name) for name in names)
        with self._shelf.database.write() as session:
            entry = self._shelf.entry(session, take_id)
            session.execute(delete(Tag).where(Tag.entry_id == entry.id))
            session.add_all(Tag(entry_id=entry.id, name=name, user_id=entry.user_id) for name in wanted)
            _learn(session, entry)


def _tag(name: str) -> str:
    return named("tag", name.lower(), MAX_TAG)


def _learn(session: Session, entry: Entry) -> None:
    """Tell the full-text index which tags an entry has now."""
    session.flush()
    names = session.scalars(select(Tag.name).where(Tag.entry_id == entry.id))
    words.change(session.connection(), entry.id, tags=" ".join(names))
