"""The tables about people: how they sign in, the keys of their programs, and who did what."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from studio.storage.models import Base, Facts, new_id
from studio.storage.states import Deed, Right, UserRole, word


class Account(Base):
    """How a person signs in and what they may do; the local user has none, and may do everything."""

    __tablename__ = "accounts"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    issuer: Mapped[str] = mapped_column(String(255))  # who vouches for the person
    subject: Mapped[str] = mapped_column(String(255))  # the person's name there, which never changes
    name: Mapped[str] = mapped_column(String(200), default="")
    email: Mapped[str] = mapped_column(String(320), default="")
    role: Mapped[UserRole] = mapped_column(word(UserRole))
    disabled: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    signed_in_at: Mapped[datetime]  # the newest time
    seen_at: Mapped[datetime]

    @property
    def called(self) -> str:
        """The person's name, or what else is known of them."""
        return self.name or self.email or self.subject


def called(name: str, account: Account | None) -> str:
    """Return what a user is called: as their account says, or by the user's own `name` without one."""
    return name if account is None else account.called


class ApiKey(Base):
    """What a program shows to act for a person; the key itself is not kept."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    scope: Mapped[Right] = mapped_column(word(Right))
    digest: Mapped[str] = mapped_column(String(64), unique=True)  # SHA-256, hexadecimal
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class AuditEntry(Base):
    """One thing somebody did; the database refuses to change or delete these rows."""

    __tablename__ = "audit"
    __table_args__ = (Index(None, "user_id", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)  # the newer, the higher
    at: Mapped[datetime]
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    deed: Mapped[Deed] = mapped_column(word(Deed, 32))
    subject: Mapped[str] = mapped_column(String(255), default="")  # such as a job's or a take's id
    facts: Mapped[Facts] = mapped_column(default=dict)
