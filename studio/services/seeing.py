"""Takes by their ids, as one person may look at or change them."""

from __future__ import annotations

from sqlalchemy.orm import Session, joinedload

from studio.errors import NotFound
from studio.services.principal import Principal
from studio.storage.models import Take


def seen_take(session: Session, principal: Principal, take_id: str) -> Take:
    """Return a take that may be looked at, with its batch and its entry; raises NotFound."""
    take = session.get(Take, take_id, options=[joinedload(Take.entry), joinedload(Take.batch)])
    if take is None or take.entry is None or not principal.sees_entry(take.entry):
        raise NotFound(f"there is no take {take_id!r}")
    return take


def own_take(session: Session, principal: Principal, take_id: str) -> Take:
    """Return a take that may be changed; raises NotFound, PermissionDenied for one that may only be looked at."""
    take = seen_take(session, principal, take_id)
    principal.check_owns(take.batch.user_id)
    return take
