"""Writes the audit log, in the transaction of what it tells of: both are stored or neither is."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from studio.storage.people import AuditEntry
from studio.storage.states import Deed

LONGEST = 255  # characters of a subject


def tell(session: Session, user_id: str, deed: Deed, subject: str, at: datetime, **facts: object) -> None:
    """Add a line: who did what, to what, when. Of a long subject, such as a path, the column has the end."""
    if len(subject) > LONGEST:
        facts, subject = {**facts, "subject": subject}, "…" + subject[1 - LONGEST :]
    session.add(AuditEntry(user_id=user_id, deed=deed, subject=subject, at=at, facts=facts))
