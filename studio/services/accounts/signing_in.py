"""From what an identity provider says of a person, or from a program's key, to who acts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from studio.config import Settings
from studio.errors import NotFound, PermissionDenied, SignInNeeded
from studio.services.principal import Principal
from studio.storage.audit import tell
from studio.storage.database import Database
from studio.storage.models import User, new_id
from studio.storage.people import Account, ApiKey
from studio.storage.states import Deed, UserRole
from studio.storage.times import Clock
from studio.storage.users import LOCAL_USER

KEY_SEEN = timedelta(minutes=1)  # how exactly it is kept when a key was used: writers take turns
_NAME = 200  # characters that are shown of a person's name
CLOSED = "closed"  # of Settings.new_accounts


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a provider says of a person who signed in there; issuer and subject are who it is."""

    issuer: str
    subject: str
    signed_in_at: datetime
    name: str = ""
    email: str = ""  # empty unless the provider has verified it


class Accounts:
    """Finds the account of whoever comes; belongs to nobody."""

    def __init__(self, database: Database, settings: Settings, clock: Clock) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock

    def sign_in(self, claims: Claims) -> Principal:
        """Take a person in at the start of a browser session; the first time makes the account.

        Raises SignInNeeded when they signed in too long ago, PermissionDenied when the account is disabled and when the
        provider says more of them than can be kept.
        """
        self._check_age(claims)
        for what, most in (("issuer", 255), ("subject", 255), ("email", 320)):
            if (length := len(getattr(claims, what))) > most:
                raise PermissionDenied(
                    f"the identity provider's {what} of this person has {length} characters; {most} can be kept"
                )
        try:
            with self._database.write() as session:
                self._take_in(session, claims)
        except IntegrityError:  # another session of the same person was first
            with self._database.write() as session:
                self._take_in(session, claims)
        return self.current(claims)

    def current(self, claims: Claims) -> Principal:
        """Return who that is now; raises as `sign_in` does, and SignInNeeded before the first one."""
        self._check_age(claims)
        with self._database.read() as session:
            account = _find(session, claims)
        if account is None:
            raise SignInNeeded("sign in first")
        return _principal(account)

    def of_user(self, user_id: str) -> Principal:
        """Return who a link was made for; raises NotFound, PermissionDenied for a disabled account."""
        with self._database.read() as session:
            return principal_of(session, user_id)

    def of_key(self, key: str) -> Principal:
        """Return for whom a program acts; raises SignInNeeded for a key that is none or was revoked."""
        with self._database.read() as session:
            row = session.scalars(select(ApiKey).where(ApiKey.digest == digest(key))).one_or_none()
            if row is None or row.revoked_at is not None:
                raise SignInNeeded("this API key is unknown or was revoked")
            principal = replace(principal_of(session, row.user_id), scope=row.scope)
        if row.used_at is None or self._clock() - row.used_at > KEY_SEEN:
            with self._database.write() as session:
                session.execute(update(ApiKey).where(ApiKey.id == row.id).values(used_at=self._clock()))
        return principal

    def _take_in(self, session: Session, claims: Claims) -> None:
        account, now = _find(session, claims), self._clock()
        known = {claims.subject, claims.email.lower()} - {""}
        named = bool(known & {one if "@" not in one else one.lower() for one in self._settings.admins})
        if account is None:
            account = self._add(session, claims)
        elif account.signed_in_at < claims.signed_in_at:
            tell(session, account.user_id, Deed.SIGNED_IN, account.user_id, now)
        account.role = UserRole.ADMIN if named else account.role
        account.disabled = account.disabled and not named
        account.name = claims.name if len(claims.name) <= _NAME else claims.name[: _NAME - 1] + "…"
        account.email = claims.email
        account.signed_in_at, account.seen_at = max(account.signed_in_at, claims.signed_in_at), now

    def _add(self, session: Session, claims: Claims) -> Account:
        now, user_id = self._clock(), new_id()
        session.add(User(id=user_id, name=user_id, created_at=now))
        session.flush()
        closed = self._settings.new_accounts == CLOSED
        account = Account(
            user_id=user_id,
            issuer=claims.issuer,
            subject=claims.subject,
            role=UserRole.MEMBER if closed else UserRole(self._settings.new_accounts),
            disabled=closed,
            created_at=now,
            signed_in_at=claims.signed_in_at,
            seen_at=now,
        )
        session.add(account)
        tell(session, user_id, Deed.SIGNED_IN, user_id, now, first=True)
        return account

    def _check_age(self, claims: Claims) -> None:
        if self._clock() - claims.signed_in_at > timedelta(hours=self._settings.session_hours):
            raise SignInNeeded("your session has ended; sign in again")


def principal_of(session: Session, user_id: str) -> Principal:
    """Return who that is now; raises NotFound, PermissionDenied for a disabled account."""
    account, user = session.get(Account, user_id), session.get(User, user_id)
    if account is not None:
        return _principal(account)
    if user is None:
        raise NotFound("there is no such person")
    return local_principal(user.id) if user.name == LOCAL_USER else Principal(user_id=user.id, name=user.name)


def local_principal(user_id: str) -> Principal:
    """Return the one person of a studio without sign-in, who may do everything."""
    return Principal(user_id=user_id, role=UserRole.LOCAL, name=LOCAL_USER)


def digest(key: str) -> str:
    """Return what is kept of a key; it is long and random, so one round of SHA-256 can't be turned back."""
    return hashlib.sha256(key.encode()).hexdigest()


def _find(session: Session, claims: Claims) -> Account | None:
    who = Account.issuer == claims.issuer, Account.subject == claims.subject
    return session.scalars(select(Account).where(*who)).one_or_none()


def _principal(account: Account) -> Principal:
    if account.disabled:
        raise PermissionDenied("this account is disabled; ask an administrator")
    return Principal(user_id=account.user_id, role=account.role, name=account.called)
