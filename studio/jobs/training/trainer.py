"""The worker's part in a training run: it clears the device, starts the process, follows it and loads the model again.

The process goes on when the worker stops. Its job is put back first in the queue, and the next worker takes up the
process that still runs instead of starting another.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import cast

from sqlalchemy import select

from studio.config import Settings
from studio.engine.lora.layout import trained
from studio.engine.lora.wanted import adapter_set_from
from studio.engine.run import Phase, Run
from studio.engine.setup import Quantization, setup_from
from studio.errors import Cancelled, InvalidRequest, LeaseLost, ModelNotReady, NotFound
from studio.jobs import registering
from studio.jobs.lease import Lease
from studio.jobs.outcome import outcome
from studio.jobs.presence import Presence
from studio.jobs.resident import Resident
from studio.jobs.resident_lm import ResidentLm
from studio.jobs.spec import JobKind, Train, language_model_from
from studio.jobs.training.log import TrainingLog
from studio.jobs.training.process import Child, Order, found, start
from studio.storage.database import Database
from studio.storage.models import Job, Training
from studio.storage.states import JobState, TrainingState
from studio.storage.times import Clock

FIRST = 100  # the priority of a run that has begun: after a restart nothing may load a model before it is found again
POLL = 0.5  # seconds between looks at the process
STOP_PATIENCE = 900.0  # seconds that an asked process has to finish its update and save
_KILLED = (
    "the training process ended before it was done, and didn't say why; too little memory is the usual cause. "
    "What it had saved is kept: resume it, with smaller settings if it was memory"
)

logger = logging.getLogger(__name__)


class Trainer:
    """Does the training jobs of one worker."""

    def __init__(
        self,
        *,
        resident: Resident,
        lm: ResidentLm,
        presence: Presence,
        database: Database,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._resident = resident
        self._lm = lm
        self._presence = presence
        self._database = database
        self._settings = settings
        self._clock = clock

    def train(self, payload: Train, lease: Lease, run: Run) -> None:
        """Do the job to its end; raises Cancelled when the worker stops first, and leaves the process alone then."""
        row = self._row(payload.training_id)
        child = found(row.pid, row.birthmark) if row.host == socket.gethostname() else None
        if child is not None:
            self._presence.training(row.model)
        elif row.pid is None:
            error = outcome(lambda: self._clear(row))
            if error is None:
                child = self._begin(row, lease)
            else:
                self._end(row, lease, TrainingState.FAILED, str(error))
                return
        log = TrainingLog(Path(row.out))
        stopped = self._follow(row, child, log, lease, run) if child is not None else lease.cancel_requested()
        self._close(row, log.read(), lease, stopped)
        for after in (self._register, self._bring_back):
            if (error := outcome(partial(after, payload.training_id))) is not None:
                logger.error("after training: %s", error)

    def holds_device(self) -> bool:
        """Return whether a process that an earlier worker started trains on this machine; tell so if it does."""
        query = (
            select(Training)
            .join(Job, Job.id == Training.job_id)
            .where(Job.kind == JobKind.TRAIN, Job.state.in_((JobState.QUEUED, JobState.RUNNING)))
        )
        with self._database.read() as session:
            rows = [(row.model, row.host, row.pid, row.birthmark) for row in session.scalars(query)]
        for model, host, pid, mark in rows:
            if host == socket.gethostname() and found(pid, mark) is not None:
                self._presence.training(model)
                return True
        return False

    def _clear(self, row: Training) -> None:
        """Unload model and language model, and note what they were; raises for what can't be trained on."""
        if not self._resident.named or self._resident.named != row.model:
            raise ModelNotReady(f"{row.model} is not loaded, so it was not trained; initialize it and start again")
        quantization = self._resident.quantization
        if quantization != Quantization.NONE:
            raise InvalidRequest("quantization", "be none for training; load the model without it", quantization)
        adapters = self._resident.adapters.as_row()
        row.resident = {"setup": self._resident.setup, "lm": self._lm.wanted, "adapters": adapters}
        self._lm.unload()
        self._resident.unload()
        self._presence.training(row.model)

    def _begin(self, row: Training, lease: Lease) -> Child:
        out = Path(row.out)
        order = Order(
            model=row.model,
            device=row.device,
            tensors=Path(row.tensors),
            out=out,
            settings=row.settings,
            resume=row.resume,
        )
        child = start(order, self._settings)
        facts = {"pid": child.pid, "birthmark": child.mark, "host": socket.gethostname(), "resident": row.resident}
        with self._database.write() as session:
            stored = session.get_one(Training, row.id)
            for name, value in facts.items():
                setattr(stored, name, value)
            stored.state, stored.started_at = TrainingState.RUNNING, self._clock()
            session.get_one(Job, lease.job_id).priority = FIRST
        return child

    def _follow(self, row: Training, child: Child, log: TrainingLog, lease: Lease, run: Run) -> bool:
        """Bring the events to the rows until the process ends; return whether it was asked to."""
        patience: float | None = None
        while child.lives():
            before = len(log.lines)
            if log.read().last and log.last != row.last:
                self._tell(row, log.last)
            if patience is None:
                if not self._step(log, lease, run):
                    child.stop()
                    patience = monotonic() + STOP_PATIENCE
            elif monotonic() > patience and before == len(log.lines):
                child.kill()
            sleep(POLL)
        return patience is not None

    def _step(self, log: TrainingLog, lease: Lease, run: Run) -> bool:
        """Report how far it is; False when the person wants it to stop. Raises Cancelled when the worker must."""
        done, total = (cast(int, log.last.get(key, 0)) for key in ("step", "steps"))
        try:
            run.step(Phase.TRAINING, done, total)
        except Cancelled:
            if lease.cancel_requested():
                return False
            raise
        except LeaseLost:
            self._presence.empty()
            raise
        return True

    def _tell(self, row: Training, last: Mapping[str, object]) -> None:
        row.last = dict(last)
        with self._database.write() as session:
            session.get_one(Training, row.id).last = row.last

    def _close(self, row: Training, log: TrainingLog, lease: Lease, stopped: bool) -> None:
        if log.last:
            self._tell(row, log.last)
        if log.ended:
            self._end(row, lease, TrainingState(log.ended))
        elif stopped and not log.last_words():
            self._end(row, lease, TrainingState.STOPPED)
        else:
            words = log.last_words()
            self._end(row, lease, TrainingState.FAILED, words or _KILLED)

    def _end(self, row: Training, lease: Lease, state: TrainingState, error: str = "") -> None:
        logger.info("training %s: %s %s", row.id, state.value, error)
        if state is TrainingState.COMPLETED:
            with lease.complete({"training_id": row.id, "out": row.out}):
                pass
        elif state is TrainingState.STOPPED:
            lease.cancel()
        else:
            lease.fail(error)
        with self._database.write() as session:  # after the job, whose state is the one that counts
            stored = session.get_one(Training, row.id)
            stored.state, stored.error, stored.ended_at = state, error, self._clock()

    def _register(self, training_id: str) -> None:
        """Enter the adapter of a completed run among those that can be chosen."""
        row = self._row(training_id)
        if row.state is not TrainingState.COMPLETED:
            return
        found, origin = registering.read(trained(Path(row.out))), registering.origin_of(row)
        with self._database.write() as session:
            registering.register(session, found, user_id=row.user_id, now=self._clock(), origin=origin)

    def _bring_back(self, training_id: str) -> None:
        """Load again what made room; what goes wrong with it shows in the badge and is no fault of the run."""
        row = self._row(training_id)
        kept = (cast(Mapping[str, object] | None, row.resident.get(key)) for key in ("setup", "lm", "adapters"))
        setup, lm, adapters = kept

        def bring_model() -> None:
            self._resident.load(row.model, setup_from(setup) if setup else None, Run())
            self._resident.adapt(row.model, adapter_set_from(adapters or {}), Run())

        steps: list[Callable[[], object]] = [bring_model]
        if lm:
            steps.append(lambda: self._lm.require(language_model_from(lm), Run()))
        for step in steps:
            if (error := outcome(step)) is not None:
                logger.error("after training: %s", error)

    def _row(self, training_id: str) -> Training:
        with self._database.read() as session:
            row = session.get(Training, training_id)
            if row is None:
                raise NotFound(f"there is no training {training_id!r}")
            return row
