"""The accounts as an administrator sees them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from studio.errors import InvalidRequest, NotFound
from studio.services.principal import Principal, Right
from studio.storage.audit import tell
from studio.storage.database import Database
from studio.storage.models import User
from studio.storage.people import Account, called
from studio.storage.states import Deed, UserRole
from studio.storage.times import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """One person's account."""

    user_id: str
    name: str
    email: str
    role: UserRole
    disabled: bool
    created_at: datetime
    seen_at: datetime


class People:
    """Lists and changes accounts."""

    def __init__(self, database: Database, principal: Principal, clock: Clock) -> None:
        self._database = database
        self._principal = principal
        self._clock = clock

    def all(self) -> list[AccountView]:
        """Return every account, by name; raises PermissionDenied for anybody but an administrator."""
        self._principal.check(Right.ADMINISTER)
        with self._database.read() as session:
            accounts = list(session.scalars(select(Account)))
        return sorted(map(_view, accounts), key=lambda view: (view.name.lower(), view.user_id))

    def name_of(self, user_id: str) -> str:
        """Return what a person is called, for everybody who works with them; raises NotFound."""
        with self._database.read() as session:
            account, user = session.get(Account, user_id), session.get(User, user_id)
        if user is None:
            raise NotFound("there is no such person")
        return called(user.name, account)

    def change(self, user_id: str, *, role: UserRole, disabled: bool) -> None:
        """Give a person a role, and close or open their account; it holds from their next click on.

        Raises PermissionDenied, NotFound, InvalidRequest for one's own account: somebody must be able to undo it.
        """
        self._principal.check(Right.ADMINISTER)
        if user_id == self._principal.user_id:
            raise InvalidRequest("account", "be somebody else's; another administrator can change yours", "your own")
        with self._database.write() as session:
            account = session.get(Account, user_id, with_for_update=True)
            if account is None:
                raise NotFound("there is no such account")
            if (account.role, account.disabled) == (role, disabled):
                return
            account.role, account.disabled = role, disabled
            told = {"role": role.value, "disabled": disabled}
            tell(session, self._principal.user_id, Deed.CHANGED_ACCOUNT, user_id, self._clock(), **told)


def _view(account: Account) -> AccountView:
    return AccountView(
        user_id=account.user_id,
        name=account.called,
        email=account.email,
        role=account.role,
        disabled=account.disabled,
        created_at=account.created_at,
        seen_at=account.seen_at,
    )
