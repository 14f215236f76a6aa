"""How much room the studio's files take, and whose takes they are."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from sqlalchemy import func, select

from studio.config import Settings
from studio.services.principal import Principal, Right
from studio.storage.database import Database
from studio.storage.models import Entry, Take, User
from studio.storage.people import Account, called


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one person has stored."""

    name: str
    takes: int
    trashed: int  # of them
    seconds: float  # of music


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomView:
    """The room of the data folder and what takes it."""

    audio: int  # bytes of takes, uploads and what lies beside them
    free: int  # bytes
    shares: tuple[Share, ...]  # the largest first


class Room:
    """Looks at the disk for administrators."""

    def __init__(self, database: Database, settings: Settings, principal: Principal) -> None:
        self._database = database
        self._settings = settings
        self._principal = principal

    def look(self) -> RoomView:
        """Return how much room there is; every file is visited. Raises PermissionDenied."""
        self._principal.check(Right.ADMINISTER)
        folder = self._settings.artifacts_dir
        files = (path.stat().st_size for path in folder.rglob("*") if path.is_file())
        return RoomView(
            audio=sum(files), free=shutil.disk_usage(self._settings.data_dir).free, shares=tuple(self._shares())
        )

    def _shares(self) -> list[Share]:
        length = func.sum(Take.duration)
        query = select(User.name, Account, func.count(), func.count(Entry.deleted_at), length).join_from(Entry, Take)
        query = query.join(User, User.id == Entry.user_id).outerjoin(Account, Account.user_id == User.id)
        with self._database.read() as session:
            rows = session.execute(query.group_by(User.id, Account.user_id).order_by(length.desc())).all()
        return [
            Share(
                name=called(name, account),
                takes=takes,
                trashed=trashed,
                seconds=float(seconds),
            )
            for name, account, takes, trashed, seconds in rows
        ]
