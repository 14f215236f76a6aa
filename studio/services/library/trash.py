"""The trash: what is put there can be had back until it is emptied; then rows and files are gone."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select, update

from studio.errors import InvalidRequest, NotFound
from studio.services.library.shelf import Shelf
from studio.storage.artifacts import ArtifactStore
from studio.storage.audit import tell
from studio.storage.models import Batch, Entry
from studio.storage.removal import delete_empty, empty_trash
from studio.storage.states import Deed


class Trash:
    """Puts takes away, gives them back, and empties itself when told to."""

    def __init__(self, shelf: Shelf, artifacts: ArtifactStore) -> None:
        self._shelf = shelf
        self._artifacts = artifacts

    def put(self, take_ids: Sequence[str]) -> None:
        """Move takes to the trash; those in it stay. Raises NotFound."""
        with self._shelf.database.write() as session:
            for entry in self._shelf.entries(session, take_ids):
                if entry.deleted_at is None:
                    entry.deleted_at = self._shelf.clock()
                    tell(session, self._shelf.user_id, Deed.TRASHED, entry.take_id, entry.deleted_at)

    def put_all(self) -> int:
        """Move every take to the trash and return their number."""
        everything = update(Entry).where(self._mine(), Entry.deleted_at.is_(None))
        with self._shelf.database.write() as session:
            now = self._shelf.clock()
            gone = session.connection().execute(everything.values(deleted_at=now)).rowcount
            tell(session, self._shelf.user_id, Deed.TRASHED, "", now, takes=gone)
            return gone

    def restore(self, take_ids: Sequence[str]) -> None:
        """Take takes out of the trash; those that aren't in it stay. Raises NotFound."""
        with self._shelf.database.write() as session:
            for entry in self._shelf.entries(session, take_ids):
                entry.deleted_at = None

    def restore_all(self) -> int:
        """Take everything out of the trash and return the number of takes."""
        everything = update(Entry).where(self._mine(), Entry.deleted_at.is_not(None))
        with self._shelf.database.write() as session:
            return session.connection().execute(everything.values(deleted_at=None)).rowcount

    def count(self) -> int:
        """Return how many takes are in the trash."""
        query = select(func.count()).select_from(Entry).where(self._mine(), Entry.deleted_at.is_not(None))
        with self._shelf.database.read() as session:
            return session.scalars(query).one()

    def empty(self) -> int:
        """Delete what is in the trash for good, rows first, then files, and return the number of takes."""
        return empty_trash(self._shelf.database, self._artifacts, self._shelf.user_id, self._shelf.clock())

    def forget_batch(self, batch_id: str) -> None:
        """Delete a batch that has no take, such as a failed one, for good.

        Raises NotFound, and InvalidRequest for one that has takes or still waits or runs.
        """
        with self._shelf.database.write() as session:
            batch = session.get(Batch, batch_id)
            if batch is None or not self._shelf.principal.owns(batch.user_id):
                raise NotFound(f"there is no batch {batch_id!r}")
            if not delete_empty(session, [batch_id]):
                raise InvalidRequest("batch", "be ended and without takes to be deleted at once", batch_id)
            tell(session, self._shelf.user_id, Deed.DELETED, batch_id, self._shelf.clock(), takes=0)

    def _mine(self) -> ColumnElement[bool]:
        return Entry.user_id == self._shelf.user_id
