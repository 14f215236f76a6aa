"""The tables: who asked (users), for what (batches), what came out (takes), and who is making it (jobs, workers)."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from sqlalchemy import JSON, BigInteger, Enum, ForeignKey, Index, MetaData, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from studio.storage.states import JobState, WorkerState
from studio.storage.times import UtcDateTime

# Alembic can alter a constraint only by name, and SQLite gives none of its own.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
Facts = dict[str, object]  # a JSON object


def new_id() -> str:
    """Return a fresh id for a row."""
    return uuid.uuid4().hex


def _word(kind: type[StrEnum]) -> Enum:
    """Store a StrEnum by value in a plain VARCHAR, so a new member needs no DDL."""
    return Enum(kind, native_enum=False, length=16, values_callable=lambda words: [word.value for word in words])


class Base(DeclarativeBase):
    """What all tables share."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar = {datetime: UtcDateTime(), Facts: JSON()}


class User(Base):
    """A person; without accounts there is one, named local."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]


class Batch(Base):
    """One press of Generate: the complete settings as one snapshot; its state is its job's."""

    __tablename__ = "batches"
    __table_args__ = (Index(None, "user_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    task: Mapped[str] = mapped_column(String(16))
    model: Mapped[str] = mapped_column(String(255))
    form: Mapped[Facts]  # as submitted, omitted fields at their defaults
    request: Mapped[Facts]  # see studio.engine.snapshot.settings_of
    created_at: Mapped[datetime]

    takes: Mapped[list[Take]] = relationship(back_populates="batch", order_by="Take.index")
    jobs: Mapped[list[Job]] = relationship(back_populates="batch", order_by="Job.created_at")


class Take(Base):
    """One finished piece of audio; its bytes lie in the artifact store under `key`."""

    __tablename__ = "takes"
    __table_args__ = (UniqueConstraint("batch_id", "index"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    batch_id: Mapped[str] = mapped_column(ForeignKey("batches.id"))
    index: Mapped[int]  # from 0
    seed: Mapped[int] = mapped_column(BigInteger)  # up to 2**32 - 1, too much for INTEGER
    format: Mapped[str] = mapped_column(String(8))
    key: Mapped[str] = mapped_column(String(255))
    duration: Mapped[float]  # seconds
    sample_rate: Mapped[int]  # Hz
    requested: Mapped[Facts]
    effective: Mapped[Facts]
    timings: Mapped[Facts]  # seconds
    created_at: Mapped[datetime]

    batch: Mapped[Batch] = relationship(back_populates="takes")


class QualityScore(Base):
    """How well the codes of a take fit its words, the latest time it was scored."""

    __tablename__ = "quality_scores"

    take_id: Mapped[str] = mapped_column(ForeignKey("takes.id", ondelete="CASCADE"), primary_key=True)
    total: Mapped[float]  # 0..1
    facts: Mapped[Facts]  # everything, see studio.jobs.writing.answer
    created_at: Mapped[datetime]


class Job(Base):
    """One piece of work for the owner of the model, and the only truth about how far it is."""

    __tablename__ = "jobs"
    __table_args__ = (Index(None, "state", "created_at", "id"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    priority: Mapped[int] = mapped_column(default=0)  # a higher one goes first; below 0: prepared ahead of the person
    batch_id: Mapped[str | None] = mapped_column(ForeignKey("batches.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    requested: Mapped[Facts]  # the payload, see studio.jobs.spec
    effective: Mapped[Facts | None]  # what was really used, once done
    state: Mapped[JobState] = mapped_column(_word(JobState))
    phase: Mapped[str] = mapped_column(String(16), default="")
    step: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    error: Mapped[str] = mapped_column(Text, default="")
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    attempt: Mapped[int] = mapped_column(default=0)  # counts claims; with worker_id it names one lease
    losses: Mapped[int] = mapped_column(default=0)  # counts workers that died on it
    worker_id: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    batch: Mapped[Batch | None] = relationship(back_populates="jobs")


class Worker(Base):
    """A process that owns a model, or did until its heartbeat stopped."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    birthmark: Mapped[str] = mapped_column(String(32))  # tells a process from a later one with the same pid
    state: Mapped[WorkerState] = mapped_column(_word(WorkerState))
    model: Mapped[str] = mapped_column(String(255), default="")
    family: Mapped[str] = mapped_column(String(16), default="")
    defaults: Mapped[Facts] = mapped_column(default=dict)  # of the model: steps, max_steps, shift, duration
    loaded: Mapped[Facts] = mapped_column(default=dict)  # everything it says of what is loaded, see Engine.status
    device: Mapped[str] = mapped_column(String(64), default="")
    dtype: Mapped[str] = mapped_column(String(16), default="")
    error: Mapped[str] = mapped_column(Text, default="")
    started_at: Mapped[datetime]
    heartbeat_at: Mapped[datetime]
