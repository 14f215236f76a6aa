"""The worker's own row: who it is, what it has loaded, and that it is alive."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import delete, or_, select
from sqlalchemy.orm import Session

from studio.engine.model_spec import ModelSpec
from studio.jobs.process import birthmark, runs
from studio.storage.database import Database
from studio.storage.models import Worker, new_id
from studio.storage.states import WorkerState
from studio.storage.times import Clock

FORGET_AFTER = timedelta(days=1)
LM = "lm"  # the key of `loaded` under which the language model is told
_BEST_FIRST = (WorkerState.READY, WorkerState.LOADING, WorkerState.TRAINING, WorkerState.FAILED, WorkerState.EMPTY)


class Presence:
    """What one worker tells about itself; its two threads share it."""

    def __init__(self, database: Database, clock: Clock, host: str = "") -> None:
        self.id = new_id()
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._lm: dict[str, object] = {}
        self._row = Worker(
            id=self.id,
            host=host or socket.gethostname(),
            pid=os.getpid(),
            birthmark=birthmark(os.getpid()) or "",
            started_at=clock(),
        )
        self._set(WorkerState.EMPTY)

    def beat(self) -> None:
        """Tell that the worker is alive; also brings the row back should it have been taken for dead."""
        with self._lock:
            self._store()

    def empty(self) -> None:
        """Tell that nothing is loaded."""
        self._tell(WorkerState.EMPTY)

    def loading(self, model: str) -> None:
        """Tell which checkpoint is being loaded."""
        self._tell(WorkerState.LOADING, model=model)

    def ready(self, spec: ModelSpec, device: str, dtype: str, loaded: Mapping[str, object]) -> None:
        """Tell what is loaded, where and how."""
        with self._lock:
            self._set(WorkerState.READY, model=spec.name)
            self._row.family, self._row.device, self._row.dtype = spec.family.value, device, dtype
            self._row.loaded = {**loaded, **self._row.loaded}
            self._row.defaults = {
                "steps": spec.defaults.steps,
                "max_steps": spec.defaults.max_steps,
                "shift": spec.defaults.shift,
                "duration": spec.duration,
                "max_duration": spec.max_duration,
                "codebook": spec.codebook if spec.codes else 0,
            }
            self._store()

    def training(self, model: str) -> None:
        """Tell that nothing is loaded because a training run has the device."""
        self._tell(WorkerState.TRAINING, model=model)

    def failed(self, model: str, error: str) -> None:
        """Tell why the last load failed; nothing is loaded now."""
        self._tell(WorkerState.FAILED, model=model, error=error)

    @property
    def language_model(self) -> Mapping[str, object]:
        """What is told of the language model; empty when there is none."""
        return self._lm

    def tell_lm(self, status: Mapping[str, object]) -> None:
        """Tell what became of the language model, beside whatever the engine does; empty when there is none."""
        with self._lock:
            self._lm = dict(status)
            self._row.loaded = {key: value for key, value in self._row.loaded.items() if key != LM} | self._about_lm()
            self._store()

    def leave(self) -> None:
        """Remove the row: this worker stops in good order."""
        with self._lock, self._database.write() as session:
            if row := session.get(Worker, self.id):
                session.delete(row)

    def _tell(self, state: WorkerState, *, model: str = "", error: str = "") -> None:
        with self._lock:
            self._set(state, model=model, error=error)
            self._store()

    def _set(self, state: WorkerState, *, model: str = "", error: str = "") -> None:
        self._row.state, self._row.model, self._row.error = state, model, error
        self._row.family = self._row.device = self._row.dtype = ""
        self._row.defaults = {}
        self._row.loaded = self._about_lm()

    def _about_lm(self) -> dict[str, object]:
        return {LM: self._lm} if self._lm else {}

    def _store(self) -> None:
        self._row.heartbeat_at = self._clock()
        with self._database.write() as session:
            session.merge(self._row)


def bury(session: Session, clock: Clock) -> list[str]:
    """Delete the rows of workers that are gone; return the ids of those whose process on this machine ended."""
    here = session.scalars(select(Worker).where(Worker.host == socket.gethostname()))
    gone = [worker.id for worker in here if not runs(worker.pid, worker.birthmark)]
    forgotten = Worker.heartbeat_at < clock() - FORGET_AFTER
    session.execute(delete(Worker).where(or_(Worker.id.in_(gone), forgotten)))
    return gone


def best_worker(session: Session, clock: Clock, lease_seconds: float) -> Worker | None:
    """Return the worker a user can hope for most, of those heard of within `lease_seconds`."""
    since = clock() - timedelta(seconds=lease_seconds)
    alive = session.scalars(select(Worker).where(Worker.heartbeat_at >= since).order_by(Worker.started_at))
    return min(alive, key=lambda worker: _BEST_FIRST.index(worker.state), default=None)
