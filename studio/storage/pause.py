"""Whether the queue is paused: a table of at most one row."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, Session, mapped_column

from studio.storage.models import Base

_ONLY = 1


class Pause(Base):
    """There is a row while the queue is paused: what runs is finished, and nothing else begins."""

    __tablename__ = "pauses"

    id: Mapped[int] = mapped_column(primary_key=True, default=_ONLY)
    reason: Mapped[str] = mapped_column(String(255))
    since: Mapped[datetime]


def paused(session: Session) -> Pause | None:
    """Return the pause there is."""
    return session.get(Pause, _ONLY)
