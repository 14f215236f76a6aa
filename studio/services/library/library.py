"""The history of one user, and the rooms of their library."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session, selectinload
from sqlalchemy.orm.interfaces import ORMOption

from studio.errors import NotFound
from studio.services.library.collections import Collections
from studio.services.library.difference import Comparison, compare
from studio.services.library.download import Archives
from studio.services.library.facets import Facets
from studio.services.library.lineage import Families, Lineage
from studio.services.library.marks import Marks
from studio.services.library.query import Query, Whose
from studio.services.library.search import Page, Search
from studio.services.library.sharing import Sharing
from studio.services.library.shelf import Shelf
from studio.services.library.showing import batch_view, take_view
from studio.services.library.tags import Tags
from studio.services.library.trash import Trash
from studio.services.principal import Principal, Right
from studio.services.seeing import seen_take
from studio.services.views import BatchView, TakeView
from studio.storage.artifacts import ArtifactStore
from studio.storage.database import Database
from studio.storage.models import Batch, Entry, Take
from studio.storage.times import Clock


class Library:
    """The takes one person may look at; marks, tags, collections, sharing and trash are rooms of their own."""

    def __init__(
        self, database: Database, *, principal: Principal, artifacts: ArtifactStore, archives: Archives, clock: Clock
    ) -> None:
        self._database = database
        self._principal = principal
        self._archives = archives
        self._searches = {
            whose: Search(database, principal.user_id if whose is Whose.MINE else None) for whose in Whose
        }
        shelf = Shelf(database, principal, clock)
        self.sharing = Sharing(shelf)
        self.marks = Marks(shelf)
        self.tags = Tags(shelf)
        self.collections = Collections(shelf)
        self.trash = Trash(shelf, artifacts)
        self._families = Families(shelf)

    def batches(self, limit: int = 20, before: str | None = None) -> list[BatchView]:
        """Return up to `limit` batches, newest first, that are older than batch `before`.

        A batch whose takes are all in the trash is left out. A page stays the same whatever is added meanwhile. Raises
        NotFound when `before` does not exist.
        """
        query = self._shown().where(Batch.id.not_in(self._put_away()))
        query = query.order_by(Batch.created_at.desc(), Batch.id.desc()).limit(limit)
        with self._database.read() as session:
            if before is not None:
                query = _older(query, self._find(session, before))
            return [batch_view(batch, self._principal) for batch in session.scalars(query)]

    def batch(self, batch_id: str) -> BatchView:
        """Return one batch, of another person's the takes they share; raises NotFound."""
        with self._database.read() as session:
            batch = session.get(Batch, batch_id, options=self._whole())
            shown = None if batch is None else batch_view(batch, self._principal)
            if batch is None or shown is None or not (shown.takes or self._principal.owns(batch.user_id)):
                raise NotFound(f"there is no batch {batch_id!r}")
            return shown

    def take(self, take_id: str) -> TakeView:
        """Return one take, which may be in the trash; raises NotFound."""
        with self._database.read() as session:
            return take_view(seen_take(session, self._principal, take_id))

    def count(self) -> int:
        """Return how many batches there are, those left out by `batches` not counted."""
        query = select(func.count()).select_from(Batch).where(self._mine(), Batch.id.not_in(self._put_away()))
        with self._database.read() as session:
            return session.scalars(query).one()

    def search(self, query: Query, page: int = 1, *, anchor: int | None = None) -> Page:
        """Return a page of the takes that `query` describes; see Search.page. Raises PermissionDenied."""
        return self._searching(query).page(query, page, anchor=anchor)

    def facets(self, query: Query) -> Facets:
        """Return how many takes each choice of each facet would leave. Raises PermissionDenied."""
        return self._searching(query).facets(query)

    def difference(self, left_id: str, right_id: str) -> Comparison:
        """Compare the settings of two takes; raises NotFound."""
        with self._database.read() as session:
            left, right = (seen_take(session, self._principal, one) for one in (left_id, right_id))
            return compare(take_view(left), take_view(right), left.batch.form, right.batch.form)

    def lineage(self, take_id: str) -> Lineage:
        """Return what a take came from and what was made from it; raises NotFound."""
        return self._families.of(take_id)

    def zip_link(self, take_ids: Sequence[str]) -> str:
        """Return the path of a link to a zip of some takes; raises InvalidRequest for none or too many."""
        return self._archives.link(self._principal.user_id, take_ids)

    def collection_zip_link(self, collection_id: str) -> str:
        """Return the path of a link to a zip of a collection."""
        return self._archives.link_collection(self._principal.user_id, collection_id)

    def everything_zip_link(self) -> str:
        """Return the path of a link to a zip of every take that is not in the trash."""
        return self._archives.link_all(self._principal.user_id)

    def _searching(self, query: Query) -> Search:
        if query.whose is Whose.EVERYBODY:
            self._principal.check(Right.ADMINISTER)
        return self._searches[query.whose]

    def _mine(self) -> ColumnElement[bool]:
        return Batch.user_id == self._principal.user_id

    def _shown(self) -> Select[Batch]:
        return select(Batch).where(self._mine()).options(*self._whole())

    def _whole(self) -> list[ORMOption]:
        entry = selectinload(Batch.takes).joinedload(Take.entry)
        return [entry.selectinload(Entry.tags), entry.selectinload(Entry.places), selectinload(Batch.jobs)]

    def _put_away(self) -> Select[str]:
        """Select the batches whose takes are all in the trash; it starts from the trash, for that is small."""
        trashed = select(Entry.batch_id).where(Entry.user_id == self._principal.user_id, Entry.deleted_at.is_not(None))
        kept = select(Entry.batch_id).where(Entry.batch_id.in_(trashed), Entry.deleted_at.is_(None))
        return trashed.where(Entry.batch_id.not_in(kept))

    def _find(self, session: Session, batch_id: str) -> Batch:
        batch = session.scalars(self._shown().where(Batch.id == batch_id)).one_or_none()
        if batch is None:
            raise NotFound(f"there is no batch {batch_id!r}")
        return batch


def _older(query: Select[Batch], than: Batch) -> Select[Batch]:
    same_moment = and_(Batch.created_at == than.created_at, Batch.id < than.id)
    return query.where(or_(Batch.created_at < than.created_at, same_moment))
