"""Who acts, and what they may do, see and change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, or_, true
from sqlalchemy.orm import Session

from studio.errors import PermissionDenied
from studio.i18n import N_
from studio.storage.database import Database
from studio.storage.models import Entry
from studio.storage.states import Right, UserRole, Visibility

__all__ = ["Principal", "ReadOnly", "Right", "UserRole", "Visibility"]

_RIGHTS: Mapping[UserRole, frozenset[Right]] = {
    UserRole.LISTENER: frozenset({Right.LISTEN}),
    UserRole.MEMBER: frozenset({Right.LISTEN, Right.MAKE}),
    UserRole.ADMIN: frozenset(Right),
    UserRole.LOCAL: frozenset(Right),
}
_WHY_NOT: Mapping[Right, str] = {
    Right.LISTEN: N_("this person may not even listen"),
    Right.MAKE: N_("a listener may look and listen, but not make or change anything; ask an administrator"),
    Right.ADMINISTER: N_("only an administrator may do that"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """A person, or a program that acts for one; every service is bound to one."""

    user_id: str
    role: UserRole = UserRole.MEMBER
    name: str = ""
    scope: Right | None = None  # of a key: it allows this and what comes before it

    def may(self, right: Right) -> bool:
        """Whether the role allows it, and the key too where there is one."""
        order = list(Right)
        return right in _RIGHTS[self.role] and (self.scope is None or order.index(right) <= order.index(self.scope))

    def check(self, right: Right) -> None:
        """Raise PermissionDenied where `may` says no."""
        if not self.may(right):
            raise PermissionDenied(_WHY_NOT[right])

    def owns(self, user_id: str) -> bool:
        """Whether a thing of that user may be changed; an administrator may change everybody's."""
        return user_id == self.user_id or self._everybodys

    def check_owns(self, user_id: str) -> None:
        """Raise PermissionDenied where `owns` says no."""
        if not self.owns(user_id):
            raise PermissionDenied("only its owner or an administrator may change this")

    def sees_entry(self, entry: Entry) -> bool:
        """Whether a take may be looked at; in the trash it is its owner's only."""
        shared = entry.visibility == Visibility.TEAM and entry.deleted_at is None
        return shared or self.owns(entry.user_id)

    def sees(self, user_id: str, visibility: Visibility) -> bool:
        """Whether a thing of that user may be looked at."""
        return visibility == Visibility.TEAM or self.owns(user_id)

    def seen_entries(self) -> ColumnElement[bool]:
        """Return the condition on Entry for the takes of which `sees_entry` holds."""
        if self._everybodys:
            return true()
        shared = and_(Entry.visibility == Visibility.TEAM, Entry.deleted_at.is_(None))
        return or_(Entry.user_id == self.user_id, shared)

    @property
    def _everybodys(self) -> bool:
        return self.role is UserRole.ADMIN and self.may(Right.ADMINISTER)


class ReadOnly(Database):
    """The same database for somebody who may only look: whatever writes is refused, whichever service tries."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self.__dict__.update(database.__dict__)
        self._principal = principal

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Raise PermissionDenied."""
        self._principal.check(Right.MAKE)
        with super().write() as session:
            yield session
