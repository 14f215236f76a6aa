"""The table of known adapters."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from studio.storage.models import Base, new_id


class Adapter(Base):
    """An adapter the studio has seen: a folder, what lies in it and what it was made from."""

    __tablename__ = "adapters"
    __table_args__ = (UniqueConstraint("user_id", "path"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(String(255))
    path: Mapped[str] = mapped_column(Text)  # folder
    sha256: Mapped[str] = mapped_column(String(64), index=True)  # see studio.engine.lora.formats.adapter_hash
    kind: Mapped[str] = mapped_column(String(8))  # lora, dora, lokr or loha
    rank: Mapped[int]
    model: Mapped[str] = mapped_column(String(255), default="")  # it was trained on; empty: nothing says so
    training_id: Mapped[str | None] = mapped_column(ForeignKey("trainings.id"))
    dataset: Mapped[str] = mapped_column(String(255), default="")  # name of the songs it was trained on
    dataset_sha256: Mapped[str] = mapped_column(String(64), default="")  # over those songs as prepared
    created_at: Mapped[datetime]
