"""For whom a key acts."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from studio.api.doors import Seat
from studio.services.principal import Right, UserRole

router = APIRouter(tags=["people"])


class Person(BaseModel):
    """Who asks, and what they may do."""

    name: str
    role: UserRole
    rights: list[Right]


@router.get("/me")
def me(studio: Seat) -> Person:
    """Say for whom the request acts, and what it may do."""
    principal = studio.principal
    rights = [right for right in Right if principal.may(right)]
    return Person(name=principal.name, role=principal.role, rights=rights)
