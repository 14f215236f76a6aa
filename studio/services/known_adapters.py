"""The adapters a person can choose from: entered when they are trained, exported or loaded, or by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from studio.config import Settings
from studio.engine.lora.formats import BASE, AdapterInfo, adapter_hash, inspect_adapter
from studio.engine.lora.layout import remove
from studio.engine.lora.wanted import Wanted
from studio.errors import InvalidRequest, NotFound, PermissionDenied, StudioError
from studio.jobs import registering
from studio.jobs.registering import Found, Origin
from studio.services.places import place_of
from studio.services.principal import Principal, Right, UserRole
from studio.storage.adapters import Adapter
from studio.storage.database import Database
from studio.storage.times import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterView:
    """One known adapter, as it was when it was last looked at."""

    id: str
    name: str
    path: Path  # folder
    sha256: str
    kind: str  # lora, dora, lokr or loha
    rank: int
    model: str  # it was trained on; empty: nothing says so
    dataset: str  # name of the songs it was trained on; empty: not known
    dataset_sha256: str
    training_id: str | None
    missing: bool  # the folder is gone
    created_at: datetime


class KnownAdapters:
    """The list of one user.

    The person of a studio that only this machine reaches may name any folder; everybody else those below the folders
    of training and of checkpoints.
    """

    def __init__(self, database: Database, settings: Settings, *, principal: Principal, clock: Clock) -> None:
        self._database = database
        self._settings = settings
        self._principal = principal
        self._clock = clock

    def all(self) -> list[AdapterView]:
        """Return every known adapter, the newest first, those whose folder is gone too."""
        mine = select(Adapter).where(Adapter.user_id == self._principal.user_id)
        with self._database.read() as session:
            return [_view(row) for row in session.scalars(mine.order_by(Adapter.created_at.desc(), Adapter.id))]

    def add(self, path: str) -> AdapterView:
        """Enter the adapter of a folder; raises what `read` does."""
        return self.enter(self.read(path))

    def read(self, path: str) -> Found:
        """Read the adapter of a folder.

        Raises InvalidRequest for an empty path and for one this person may not name, NotFound, CheckpointError.
        """
        return registering.read(self._inspect(path.strip()))

    def enter(self, found: Found, origin: Origin | None = None) -> AdapterView:
        """Enter an adapter that was read, or bring its entry up to date."""
        with self._database.write() as session:
            row = registering.register(
                session, found, user_id=self._principal.user_id, now=self._clock(), origin=origin
            )
            return _view(row)

    def remove(self, adapter_id: str, *, files: bool = False) -> None:
        """Take an adapter off the list; its folder is deleted only with `files`.

        Raises NotFound for another id, InvalidRequest for a folder outside of the roots or with something else in it,
        PermissionDenied for one that others have on their list, StorageError; the entry stays then.
        """
        with self._database.write() as session:
            row = self._find(session, adapter_id)
            if files:
                self._check_alone(session, row)
                remove(place_of(self._settings.training_roots, row.path, "lora_path", self._principal))
            session.delete(row)

    def locate(self, wanted: Wanted) -> Wanted | None:
        """Return an adapter with the folder its contents lie in now; None where that is nowhere known."""
        same = select(Adapter.path).where(Adapter.user_id == self._principal.user_id, Adapter.sha256 == wanted.sha256)
        with self._database.read() as session:
            known = list(session.scalars(same))
        return next(
            (replace(wanted, path=path) for path in (wanted.path, *known) if self._holds(path, wanted.sha256)), None
        )

    def _inspect(self, path: str) -> AdapterInfo:
        if not path:
            raise InvalidRequest("lora_path", "name the folder of an adapter", path)
        if self._principal.role is UserRole.LOCAL and self._settings.for_this_machine:
            return inspect_adapter(path)
        found = inspect_adapter(self._place(path))
        for file in (*found.files, found.path / BASE):
            self._place(file)  # it may be a link that leads elsewhere
        return found

    def _place(self, path: str | Path) -> Path:
        datasets, outputs, *more = self._settings.training_roots
        return place_of((outputs, datasets, *more, self._settings.checkpoints_dir), path, "lora_path", self._principal)

    def _holds(self, path: str, sha256: str) -> bool:
        try:
            return adapter_hash(self._inspect(path)) == sha256
        except StudioError:  # gone, no adapter any more, or not for this person
            return False

    def _check_alone(self, session: Session, row: Adapter) -> None:
        others = select(Adapter.id).where(Adapter.path == row.path, Adapter.user_id != row.user_id).limit(1)
        if not self._principal.may(Right.ADMINISTER) and session.scalars(others).first() is not None:
            raise PermissionDenied("others have this adapter on their list, so only an administrator may delete it")

    def _find(self, session: Session, adapter_id: str) -> Adapter:
        row = session.get(Adapter, adapter_id)
        if row is None or row.user_id != self._principal.user_id:
            raise NotFound(f"there is no known adapter {adapter_id!r}")
        return row


def _view(row: Adapter) -> AdapterView:
    path = Path(row.path)
    return AdapterView(
        id=row.id,
        name=row.name,
        path=path,
        sha256=row.sha256,
        kind=row.kind,
        rank=row.rank,
        model=row.model,
        dataset=row.dataset,
        dataset_sha256=row.dataset_sha256,
        training_id=row.training_id,
        missing=not path.is_dir(),
        created_at=row.created_at,
    )
