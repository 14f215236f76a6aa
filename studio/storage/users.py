"""The people who use the studio."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from studio.storage.database import Database
from studio.storage.models import User
from studio.storage.times import utc_now

LOCAL_USER = "local"


def local_user(database: Database) -> str:
    """Return the id of the one user a studio without accounts has, making the row when it is missing."""
    try:
        with database.write() as session:
            return _find(session) or _add(session)
    except IntegrityError:  # another process was first
        with database.read() as session:
            return session.scalars(select(User.id).where(User.name == LOCAL_USER)).one()


def _find(session: Session) -> str | None:
    return session.scalars(select(User.id).where(User.name == LOCAL_USER)).one_or_none()


def _add(session: Session) -> str:
    user = User(name=LOCAL_USER, created_at=utc_now())
    session.add(user)
    session.flush()
    return user.id
