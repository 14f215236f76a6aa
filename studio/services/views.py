"""What services hand to pages, routes and the command line: frozen copies of rows, safe to keep and to pass on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from studio.engine.lora.wanted import AdapterSet
from studio.jobs.spec import BACKGROUND
from studio.storage.states import JobState, Visibility, WorkerState

__all__ = [
    "BACKGROUND",
    "BatchView",
    "DownloadView",
    "JobState",
    "JobView",
    "LmStatusView",
    "LmView",
    "ModelView",
    "StatusView",
    "TakeView",
    "Visibility",
    "WorkerState",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """A checkpoint that can be initialised, with the defaults a form starts from."""

    name: str
    family: str  # turbo, sft or base
    steps: int
    max_steps: int
    shift: float
    duration: float  # seconds used when the duration is Auto
    max_duration: float = 600.0  # seconds
    folder: str = ""  # the checkpoints root it lies in, where that is known
    tasks: tuple[str, ...] = ()  # what it can make, where that is known
    codebook: int = 0  # how many audio codes it knows; 0: it has no audio tokenizer
    here: bool = True  # False: it is published, and fetched before it is loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class LmView:
    """A language model on disk; `problem` says why it can't be used, if it can't."""

    name: str
    problem: str = ""
    folder: str = ""  # the checkpoints root it lies in, where that is known
    here: bool = True  # False: it is published, and fetched before it is loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadView:
    """What fetching a published model into `folder` takes, in bytes; `missing` leaves out what is there already."""

    total: int
    missing: int
    free: int  # on the disk of `folder`
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LmStatusView:
    """What became of the language model; `state` is "", loading, ready or failed."""

    state: str = ""
    name: str = ""
    backend: str = ""  # in use once it is ready, else asked for
    asked: str = ""  # backend asked for
    fallback: bool = False  # whether pt was allowed to take its place
    device: str = ""
    dtype: str = ""
    codebook: int = 0  # how many audio codes it writes
    notes: tuple[str, ...] = ()  # such as why another backend is in use
    error: str = ""

    @property
    def ready(self) -> bool:
        """Whether it can be asked now."""
        return self.state == "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusView:
    """Who owns the model and whether it is ready."""

    state: WorkerState
    model: ModelView | None = None
    device: str = ""
    dtype: str = ""
    loaded: Mapping[str, object] = field(default_factory=dict)  # everything, see Engine.status
    error: str = ""
    lm: LmStatusView = field(default_factory=LmStatusView)

    @property
    def ready(self) -> bool:
        """Whether music can be made now."""
        return self.state == WorkerState.READY


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """One job as its row says."""

    id: str
    kind: str  # see studio.jobs.spec.JobKind; pages hide those in BACKGROUND
    batch_id: str | None
    state: JobState
    phase: str  # a value of studio.engine.run.Phase, or ""
    step: int
    total: int
    position: int  # jobs ahead in the queue; 0 when running or finished
    begins_in: float | None  # seconds, from what such jobs took; None where nothing is known, or it has begun
    paused: bool  # it waits because nothing is begun now
    over_quota: bool  # its person has had the month's seconds, so everything else goes first
    error: str
    cancel_requested: bool
    ahead: bool  # prepared for the person, not asked for; gives way to everything else
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    detail: str = ""  # what the step is about, such as a file's name

    @property
    def active(self) -> bool:
        """Whether the job still waits or runs."""
        return self.state in (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeView:
    """One finished take."""

    id: str
    batch_id: str
    index: int  # from 0
    seed: int
    format: str
    duration: float  # seconds
    sample_rate: int  # Hz
    requested: Mapping[str, object]
    effective: Mapping[str, object]
    timings: Mapping[str, float]  # seconds
    created_at: datetime
    task: str = ""
    model: str = ""
    title: str = ""  # what its owner calls it
    rating: int = 0  # stars from 1 to 5; 0 = none given
    favourite: bool = False
    tags: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()  # ids
    deleted_at: datetime | None = None  # when it went to the trash
    owner: str = ""  # the id of whose it is
    visibility: Visibility = Visibility.PRIVATE


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchView:
    """One press of Generate: its complete settings, its state and its takes."""

    id: str
    task: str
    model: str
    state: JobState
    error: str
    form: Mapping[str, object]  # the form exactly as submitted; Apply restores it
    created_at: datetime
    takes: tuple[TakeView, ...]  # those that are not in the trash
    adapters: AdapterSet | None = None  # that it is made with; None where no model has a part in it
