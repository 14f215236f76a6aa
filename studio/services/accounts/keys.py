"""Keys with which a person's programs act for them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from studio.errors import InvalidRequest, NotFound
from studio.services.accounts.signing_in import digest
from studio.services.principal import Principal, Right
from studio.storage.audit import tell
from studio.storage.database import Database
from studio.storage.people import ApiKey
from studio.storage.states import Deed
from studio.storage.times import Clock

PREFIX = "studio_"  # by which people and scanners for secrets know one
MAX_NAME = 100  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyView:
    """What is known of a key; the key itself is not."""

    id: str
    name: str
    scope: Right
    created_at: datetime
    used_at: datetime | None


class Keys:
    """The keys of one person."""

    def __init__(self, database: Database, principal: Principal, clock: Clock) -> None:
        self._database = database
        self._principal = principal
        self._clock = clock

    def all(self) -> list[KeyView]:
        """Return the keys that open something, the newest first."""
        mine = ApiKey.user_id == self._principal.user_id, ApiKey.revoked_at.is_(None)
        with self._database.read() as session:
            rows = session.scalars(select(ApiKey).where(*mine).order_by(ApiKey.created_at.desc(), ApiKey.id))
            return [
                KeyView(id=row.id, name=row.name, scope=row.scope, created_at=row.created_at, used_at=row.used_at)
                for row in rows
            ]

    def create(self, name: str, scope: Right) -> str:
        """Make a key and return it; it can't be shown again.

        Raises InvalidRequest without a name, PermissionDenied for a scope beyond the person's own rights.
        """
        name = " ".join(name.split())
        if not 1 <= len(name) <= MAX_NAME:
            raise InvalidRequest("key_name", f"be from 1 to {MAX_NAME} characters", name)
        self._principal.check(scope)
        key, now = PREFIX + secrets.token_urlsafe(32), self._clock()
        row = ApiKey(user_id=self._principal.user_id, name=name, scope=scope, digest=digest(key), created_at=now)
        with self._database.write() as session:
            session.add(row)
            session.flush()
            tell(session, self._principal.user_id, Deed.MADE_KEY, row.id, now, name=name, scope=scope.value)
        return key

    def revoke(self, key_id: str) -> None:
        """Make a key open nothing any more; raises NotFound."""
        with self._database.write() as session:
            row = session.get(ApiKey, key_id, with_for_update=True)
            if row is None or row.user_id != self._principal.user_id or row.revoked_at is not None:
                raise NotFound("there is no such key")
            row.revoked_at = self._clock()
            tell(session, self._principal.user_id, Deed.REVOKED_KEY, key_id, row.revoked_at, name=row.name)
