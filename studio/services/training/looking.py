"""Makes the view of a run out of its row, its job and its log."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # psutil ships no types
from sqlalchemy import select
from sqlalchemy.orm import Session

from studio.engine.lora.layout import checkpoints
from studio.engine.memory import GB
from studio.errors import NotFound
from studio.jobs.process import runs
from studio.jobs.training.log import TrainingLog, thinned
from studio.services.training.views import TrainingView
from studio.storage.database import Database
from studio.storage.models import Job, Training
from studio.storage.states import JobState, TrainingState
from studio.storage.times import Clock

POINTS = 500  # of the loss plot
LINES = 60
_ENDS: Mapping[JobState, TrainingState] = {  # of a run whose row was not told, for instance because it never began
    JobState.DONE: TrainingState.COMPLETED,
    JobState.CANCELLED: TrainingState.STOPPED,
    JobState.FAILED: TrainingState.FAILED,
}
_OVER = (TrainingState.COMPLETED, TrainingState.STOPPED, TrainingState.FAILED)


class Looking:
    """Reads runs; logs are read on from where they ended the last time."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._logs: dict[str, TrainingLog] = {}

    def row(self, training_id: str, user_id: str) -> Training:
        """Return a run's row; raises NotFound."""
        with self._database.read() as session:
            row = session.get(Training, training_id)
        if row is None or row.user_id != user_id:
            raise NotFound(f"there is no training {training_id!r}")
        return row

    def of_folder(self, out: Path, user_id: str) -> Training | None:
        """Return the newest run of a person that writes to a folder."""
        here = select(Training).where(Training.user_id == user_id, Training.out == str(out))
        with self._database.read() as session:
            return session.scalars(here.order_by(Training.created_at.desc()).limit(1)).first()

    def latest(self, user_id: str) -> TrainingView | None:
        """Return the newest run of a person; only the newest can be going on."""
        newest = select(Training).where(Training.user_id == user_id).order_by(Training.created_at.desc()).limit(1)
        with self._database.read() as session:
            row = session.scalars(newest).first()
            return None if row is None else self._view(row, _job(session, row))

    def _view(self, row: Training, job: Job | None) -> TrainingView:
        state, out = _state(row, job), Path(row.out)
        log = TrainingLog(out) if row.started_at is None else self._read(out)
        started, end = row.started_at, row.ended_at or self._clock()
        return TrainingView(
            id=row.id,
            job_id=row.job_id or "",
            state=state,
            stopping=bool(job and job.cancel_requested and state not in _OVER),
            model=row.model,
            tensors=Path(row.tensors),
            out=out,
            settings=row.settings,
            last=dict(log.last) or row.last,
            points=tuple(thinned(log.points, POINTS)),
            lines=tuple(log.lines)[-LINES:],
            saved=tuple(Path(path) for path in log.saved if Path(path).is_dir()),
            samples=tuple(log.samples),
            elapsed=(end - started).total_seconds() if started else 0.0,
            memory=_memory(row) if state is TrainingState.RUNNING else None,
            resumable=state in (TrainingState.STOPPED, TrainingState.FAILED) and bool(checkpoints(out)),
            error=row.error or (job.error if job and state is TrainingState.FAILED else ""),
            created_at=row.created_at,
        )

    def _read(self, out: Path) -> TrainingLog:
        with self._lock:
            key = str(out)
            if key not in self._logs:
                self._logs = {key: TrainingLog(out)}  # one at a time is looked at
            return self._logs[key].read()


def _job(session: Session, row: Training) -> Job | None:
    return None if row.job_id is None else session.get(Job, row.job_id)


def _state(row: Training, job: Job | None) -> TrainingState:
    if row.state in _OVER or job is None:
        return row.state
    return _ENDS.get(job.state, row.state)


def _memory(row: Training) -> float | None:
    if row.pid is None or row.host != socket.gethostname() or not runs(row.pid, row.birthmark):
        return None
    try:
        return float(psutil.Process(row.pid).memory_info().rss) / GB
    except psutil.Error:
        return None
