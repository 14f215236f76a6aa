"""What pages are told of a training run; frozen copies, safe to keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from studio.errors import StudioError
from studio.jobs.training.log import Point
from studio.storage.states import TrainingState

__all__ = ["OutlookView", "Point", "TrainingState", "TrainingView"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingView:
    """One run as its row and its log say."""

    id: str
    job_id: str
    state: TrainingState
    stopping: bool  # it was asked to stop and has not ended yet
    model: str
    tensors: Path
    out: Path
    settings: Mapping[str, object]
    last: Mapping[str, object]  # the newest update: epoch, step, loss, learning_rate, grad_norm and so on
    points: tuple[Point, ...]  # the loss, thinned
    lines: tuple[str, ...]  # the newest of the log
    saved: tuple[Path, ...]  # oldest first
    samples: tuple[Mapping[str, object], ...]
    elapsed: float  # seconds
    memory: float | None  # GB of RAM its process has; None when it doesn't run here
    resumable: bool
    error: str
    created_at: datetime

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in (TrainingState.WAITING, TrainingState.RUNNING)

    @property
    def left(self) -> float | None:
        """Seconds to go, where that can be told."""
        left = self.last.get("seconds_left")
        return float(left) if isinstance(left, int | float) and self.active else None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlookView:
    """What pressing Start would come to."""

    songs: int = 0
    batch: int = 1  # effective: batch size times accumulation
    updates: int = 0  # in an epoch
    steps: int = 0  # in all
    needed: float | None = None  # GB, estimated
    free: float | None = None  # GB there will be once the models are unloaded
    notes: tuple[str, ...] = ()
    problem: StudioError | None = None  # why it would be refused
