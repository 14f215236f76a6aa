"""The tables: who asked (users), for what (batches), what came out (takes), and who is making it (jobs, workers).

Around the takes lies what people do with them: entries with titles and stars, tags, collections, and origins.
What is known of a take beside its sound has tables of its own, a row a take: it comes later, or nobody filters by it.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import ClassVar

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, LargeBinary, MetaData, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from studio.storage.states import JobState, Role, TrainingState, Visibility, WorkerState, word
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


class Base(DeclarativeBase):
    """What all tables share."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar = {datetime: UtcDateTime(), Facts: JSON()}


class User(Base):
    """A person; the one of a studio without sign-in is named local, the others have an account."""

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
    entry: Mapped[Entry | None] = relationship(back_populates="take")  # None only until the take is stored


class Entry(Base):
    """A take in its owner's library: what the person did with it, and narrow copies of the facts a search filters by.

    The copies never go stale, for a take's settings never change and it is measured once; a search reads these rows
    only, not the wide ones with JSON. Every take gets its entry when it is stored, see studio.storage.entries. Its
    number is also the row of its words in the full-text index.
    """

    __tablename__ = "entries"
    __table_args__ = (
        Index(None, "user_id", "deleted_at", "id"),
        Index(None, "user_id", "rating", "id"),
        Index(None, "visibility", "deleted_at", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)  # the newer, the higher: pages are cut by it
    take_id: Mapped[str] = mapped_column(ForeignKey("takes.id"), unique=True)
    batch_id: Mapped[str] = mapped_column(ForeignKey("batches.id"), index=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]
    task: Mapped[str] = mapped_column(String(16))
    model: Mapped[str] = mapped_column(String(255))
    adapter: Mapped[str] = mapped_column(String(255), default="")  # the LoRA in use; several are joined by " + "
    bpm: Mapped[int | None]  # as used, else as asked for
    key_scale: Mapped[str] = mapped_column(String(16), default="")
    heard: Mapped[str] = mapped_column(String(8), default="")  # see studio.engine.audio.checks.coded; "" = not measured
    loudness: Mapped[float | None]  # LUFS, as measured
    title: Mapped[str] = mapped_column(String(200), default="")
    rating: Mapped[int] = mapped_column(default=0)  # stars, 0 = none given
    favourite: Mapped[bool] = mapped_column(default=False)
    deleted_at: Mapped[datetime | None]  # when it went to the trash
    visibility: Mapped[Visibility] = mapped_column(word(Visibility), default=Visibility.PRIVATE)

    take: Mapped[Take] = relationship(back_populates="entry")
    tags: Mapped[list[Tag]] = relationship(order_by="Tag.name", passive_deletes=True)
    places: Mapped[list[CollectionEntry]] = relationship(passive_deletes=True)


class Tag(Base):
    """A word a person put on a take."""

    __tablename__ = "entry_tags"
    __table_args__ = (Index(None, "user_id", "name", "entry_id"),)

    entry_id: Mapped[int] = mapped_column(ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))  # the entry's, so that one index finds a person's tag


class Collection(Base):
    """A named group of takes, such as an album in the making."""

    __tablename__ = "collections"
    __table_args__ = (UniqueConstraint("user_id", "name"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(String(100))
    visibility: Mapped[Visibility] = mapped_column(word(Visibility), default=Visibility.PRIVATE)
    created_at: Mapped[datetime]


class CollectionEntry(Base):
    """A take's place in a collection."""

    __tablename__ = "collection_entries"

    collection_id: Mapped[str] = mapped_column(ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True)
    entry_id: Mapped[int] = mapped_column(ForeignKey("entries.id", ondelete="CASCADE"), primary_key=True, index=True)
    added_at: Mapped[datetime]


class Origin(Base):
    """One thing a batch was made from: another take, or an adapter or file that only has a name."""

    __tablename__ = "origins"

    id: Mapped[int] = mapped_column(primary_key=True)
    batch_id: Mapped[str] = mapped_column(ForeignKey("batches.id"), index=True)
    take_id: Mapped[str | None] = mapped_column(ForeignKey("takes.id"))  # when it holds for one take of the batch only
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("takes.id"), index=True)
    name: Mapped[str] = mapped_column(String(255), default="")  # of what is no take, or is one no more
    role: Mapped[Role] = mapped_column(word(Role))
    created_at: Mapped[datetime]


class QualityScore(Base):
    """How well the codes of a take fit its words, the latest time it was scored."""

    __tablename__ = "quality_scores"

    take_id: Mapped[str] = mapped_column(ForeignKey("takes.id", ondelete="CASCADE"), primary_key=True)
    total: Mapped[float]  # 0..1
    facts: Mapped[Facts]  # everything, see studio.jobs.writing.answer
    created_at: Mapped[datetime]


def _of_take(*, key: bool = True) -> Mapped[str]:
    """Return a column that names a take and goes with it."""
    return mapped_column(ForeignKey("takes.id", ondelete="CASCADE"), primary_key=key, index=not key)


class Measurement(Base):
    """What can be heard in a take, see studio.engine.audio.measure; None where it holds too little to tell."""

    __tablename__ = "measurements"

    take_id: Mapped[str] = _of_take()
    duration: Mapped[float]  # seconds
    bpm: Mapped[float | None] = mapped_column(index=True)
    bpm_confidence: Mapped[float | None]
    key_scale: Mapped[str | None] = mapped_column(String(16), index=True)
    key_confidence: Mapped[float | None]
    loudness_lufs: Mapped[float | None]
    true_peak_dbtp: Mapped[float | None]
    silence: Mapped[float]  # 0..1
    clipped: Mapped[int]  # samples
    transients: Mapped[float]  # a second
    verdict: Mapped[str] = mapped_column(String(8), index=True)  # the worst of studio.engine.audio.checks
    created_at: Mapped[datetime]


class Waveform(Base):
    """The outline of a take for drawing, see studio.engine.audio.peaks."""

    __tablename__ = "waveforms"

    take_id: Mapped[str] = _of_take()
    peaks: Mapped[bytes] = mapped_column(LargeBinary)


class Environment(Base):
    """What a take was made with: versions, machine, sums of the weights."""

    __tablename__ = "environments"

    take_id: Mapped[str] = _of_take()
    facts: Mapped[Facts]  # see studio.engine.environment


class TimedLyrics(Base):
    """When the lines of a take are sung, as LRC that its owner may edit."""

    __tablename__ = "timed_lyrics"

    take_id: Mapped[str] = _of_take()
    lrc: Mapped[str] = mapped_column(Text)
    heard: Mapped[bool]  # False: the times are only spread evenly
    score: Mapped[float]  # 0..1, how well the take follows its lyrics
    notes: Mapped[Facts]  # {"notes": [...]}
    seconds: Mapped[float]  # it took
    edited: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]


class Replay(Base):
    """One time a take was made again and compared."""

    __tablename__ = "replays"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    take_id: Mapped[str] = _of_take(key=False)
    verdict: Mapped[str] = mapped_column(String(16))  # identical, near or different
    snr: Mapped[float | None]  # dB
    changes: Mapped[Facts]  # {"changes": [...]} of the environment
    created_at: Mapped[datetime]


class Preference(Base):
    """Which of two takes somebody liked better."""

    __tablename__ = "preferences"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    take_id: Mapped[str] = _of_take(key=False)
    other_id: Mapped[str] = _of_take(key=False)
    chosen_id: Mapped[str | None] = mapped_column(String(32))  # None: no difference heard
    blind: Mapped[bool]  # whether the names were hidden until the choice
    created_at: Mapped[datetime]


class Dataset(Base):
    """A dataset somebody works on; it becomes a file only when it is saved."""

    __tablename__ = "datasets"
    __table_args__ = (Index(None, "user_id", "updated_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(String(255))
    visibility: Mapped[Visibility] = mapped_column(word(Visibility), default=Visibility.PRIVATE)
    document: Mapped[Facts]  # as its file would be, see studio.engine.dataset.files
    revision: Mapped[int] = mapped_column(default=1)  # counts the changes
    saved: Mapped[int] = mapped_column(default=0)  # the revision its file holds; 0: none
    path: Mapped[str] = mapped_column(Text, default="")  # of that file
    folder: Mapped[str] = mapped_column(Text, default="")  # that was scanned
    work: Mapped[Facts] = mapped_column(default=dict)  # kind of job -> how far the last one got, and its faults
    alike: Mapped[Facts] = mapped_column(default=dict)  # id of a song -> ids of those that are the same recording
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class HeardSong(Base):
    """What can be heard in a file that is nobody's take; another size or time of the file is another row."""

    __tablename__ = "heard_songs"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    facts: Mapped[Facts]  # see studio.engine.audio.measure.Measurement.as_row
    words: Mapped[bytes] = mapped_column(LargeBinary)  # its fingerprint
    created_at: Mapped[datetime]


class Job(Base):
    """One piece of work for the owner of the model, and the only truth about how far it is."""

    __tablename__ = "jobs"
    __table_args__ = (Index(None, "state", "created_at", "id"), Index(None, "finished_at"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    priority: Mapped[int] = mapped_column(default=0)  # a higher one goes first; below 0: prepared ahead of the person
    batch_id: Mapped[str | None] = mapped_column(ForeignKey("batches.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    model: Mapped[str] = mapped_column(String(255), default="")  # checkpoint it needs; empty: any
    requested: Mapped[Facts]  # the payload, see studio.jobs.spec
    effective: Mapped[Facts | None]  # what was really used, once done
    state: Mapped[JobState] = mapped_column(word(JobState))
    phase: Mapped[str] = mapped_column(String(16), default="")
    step: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    detail: Mapped[str] = mapped_column(String(255), default="")  # what the step is about, such as a file's name
    error: Mapped[str] = mapped_column(Text, default="")
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    attempt: Mapped[int] = mapped_column(default=0)  # counts claims; with worker_id it names one lease
    losses: Mapped[int] = mapped_column(default=0)  # counts workers that died on it
    worker_id: Mapped[str | None] = mapped_column(String(32))
    lease_until: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    put_back_at: Mapped[datetime | None]  # after a turn in which it was not finished
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
    state: Mapped[WorkerState] = mapped_column(word(WorkerState))
    model: Mapped[str] = mapped_column(String(255), default="")
    family: Mapped[str] = mapped_column(String(16), default="")
    defaults: Mapped[Facts] = mapped_column(default=dict)  # of the model: steps, max_steps, shift, duration
    loaded: Mapped[Facts] = mapped_column(default=dict)  # everything it says of what is loaded, see Engine.status
    device: Mapped[str] = mapped_column(String(64), default="")
    dtype: Mapped[str] = mapped_column(String(16), default="")
    error: Mapped[str] = mapped_column(Text, default="")
    started_at: Mapped[datetime]
    heartbeat_at: Mapped[datetime]


class Training(Base):
    """One training run, done by a process of its own; whether it goes on is said by its job."""

    __tablename__ = "trainings"
    __table_args__ = (Index(None, "user_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id"))
    state: Mapped[TrainingState] = mapped_column(word(TrainingState))
    model: Mapped[str] = mapped_column(String(255))
    device: Mapped[str] = mapped_column(String(64), default="")
    tensors: Mapped[str] = mapped_column(Text)  # folder
    out: Mapped[str] = mapped_column(Text)  # folder
    resume: Mapped[str] = mapped_column(Text, default="")  # the checkpoint it goes on from
    settings: Mapped[Facts]  # see studio.engine.lora.config
    resident: Mapped[Facts] = mapped_column(default=dict)  # what is loaded again after it, see studio.jobs.training
    host: Mapped[str] = mapped_column(String(255), default="")
    pid: Mapped[int | None]
    birthmark: Mapped[str] = mapped_column(String(32), default="")  # tells a process from a later one with that pid
    last: Mapped[Facts] = mapped_column(default=dict)  # the newest event with numbers
    error: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
