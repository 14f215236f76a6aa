"""Who did what, the newest first; nothing here can be changed or deleted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from studio.services.principal import Principal, Right
from studio.storage.database import Database
from studio.storage.models import User
from studio.storage.people import Account, AuditEntry, called
from studio.storage.states import Deed


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditView:
    """One line of the audit log."""

    id: int
    at: datetime
    user_id: str
    name: str  # of the person, as it is now
    deed: Deed
    subject: str
    facts: Mapping[str, object]


class AuditLog:
    """Reads the log for administrators."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    def lines(self, limit: int = 50, *, before: int | None = None, user_id: str = "") -> list[AuditView]:
        """Return the newest lines, of one person where one is named, that are older than line `before`.

        Raises PermissionDenied for anybody but an administrator.
        """
        self._principal.check(Right.ADMINISTER)
        query = select(AuditEntry, Account, User.name).join(User, User.id == AuditEntry.user_id)
        query = query.outerjoin(Account, Account.user_id == AuditEntry.user_id)
        if before is not None:
            query = query.where(AuditEntry.id < before)
        if user_id:
            query = query.where(AuditEntry.user_id == user_id)
        with self._database.read() as session:
            rows = session.execute(query.order_by(AuditEntry.id.desc()).limit(limit)).all()
        return [_view(entry, account, name) for entry, account, name in rows]


def _view(entry: AuditEntry, account: Account | None, name: str) -> AuditView:
    return AuditView(
        id=entry.id,
        at=entry.at,
        user_id=entry.user_id,
        name=called(name, account),
        deed=entry.deed,
        subject=entry.subject,
        facts=entry.facts,
    )
