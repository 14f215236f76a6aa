"""The owner of the model: takes one job after the other and survives whatever a job does."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Protocol

from studio.config import Settings
from studio.engine.run import Run
from studio.errors import Cancelled, LeaseLost, StudioError
from studio.jobs.handlers import Handlers
from studio.jobs.heartbeat import Heartbeat
from studio.jobs.lease import Lease
from studio.jobs.outcome import outcome
from studio.jobs.presence import Presence
from studio.jobs.progress import Progress
from studio.jobs.queue import Queue
from studio.jobs.recovery import Recovery
from studio.jobs.resident import EngineFactory, Resident, load_engine
from studio.jobs.resident_lm import LmFactory, ResidentLm, load_planner
from studio.jobs.retention import Retention
from studio.jobs.spec import LASTING
from studio.jobs.training.trainer import Trainer
from studio.logs import about
from studio.storage.artifacts import ArtifactStore
from studio.storage.database import Database
from studio.storage.migrate import migrate
from studio.storage.times import Clock, utc_now

BEATS_PER_LEASE = 4
GRACE = 10.0  # seconds a stopping worker has to reach its next step

logger = logging.getLogger(__name__)


class Worker:
    """Serves the queue until `stop`, or until `drain` and the end of the job it does.

    A stop during a job puts the job back in the queue at the engine's next step, and no loss is counted: stopping
    the server is not the job's fault. A waiting job of higher priority does the same. A worker that can't reach a step
    within the grace period ends like a killed one.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        *,
        engine_factory: EngineFactory = load_engine,
        lm_factory: LmFactory = load_planner,
        clock: Clock = utc_now,
        poll_seconds: float = 1.0,
        host: str = "",
    ) -> None:
        artifacts = ArtifactStore(settings.artifacts_dir)
        self._model = settings.model
        self._poll_seconds = poll_seconds
        self._presence = Presence(database, clock, host)
        self._heartbeat = Heartbeat(self._presence, settings.lease_seconds / BEATS_PER_LEASE)
        self._resident = Resident(settings, self._presence, engine_factory)
        self._lm = ResidentLm(settings, self._presence, lm_factory)
        self._recovery = Recovery(database, artifacts, clock)
        self._retention = Retention(database, artifacts, clock, settings.trash_days)
        self._queue = Queue(database, lease_seconds=settings.lease_seconds, clock=clock)
        self._trainer = Trainer(
            resident=self._resident,
            lm=self._lm,
            presence=self._presence,
            database=database,
            settings=settings,
            clock=clock,
        )
        self._handlers = Handlers(
            self._resident,
            self._lm,
            artifacts,
            clock,
            database=database,
            queue=self._queue,
            settings=settings,
            trainer=self._trainer,
        )
        self._stopping = threading.Event()
        self._draining = threading.Event()
        self._waking = threading.Event()
        self._ended = threading.Event()

    def run(self) -> None:
        """Load the checkpoint and the language model of the settings, then serve; returns after `stop` or `drain`."""
        self._heartbeat.start()
        for work in (self._presence.empty, self._recovery.run, self._recovery.sweep, *self._loads()):
            self._report(outcome(work))
        while not (self._stopping.is_set() or self._draining.is_set()):
            self._report(outcome(self._turn))
        for work in (self._resident.unload, self._lm.unload, self._heartbeat.stop, self._presence.leave):
            self._report(outcome(work))
        self._ended.set()

    def stop(self) -> None:
        """Ask `run` to return; safe to call from another thread."""
        self._stopping.set()
        self._waking.set()

    def drain(self) -> None:
        """Ask `run` to return once the job it does is done; a lasting job goes on without a worker until the next."""
        self._draining.set()
        self._waking.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait up to `timeout` seconds until `run` has ended and return whether it has."""
        return self._ended.wait(timeout)

    def wake(self) -> None:
        """Look at the queue now instead of at the next poll."""
        self._waking.set()

    def _loads(self) -> tuple[Callable[[], None], ...]:
        """A training run that is still going has the device; it loads them when it is over."""
        held: list[bool] = []
        self._report(outcome(lambda: held.append(self._trainer.holds_device())))
        return () if any(held) else (self._load_first, self._lm.load_first)

    def _load_first(self) -> None:
        if self._model:
            self._resident.load(self._model, None, Run())

    def _turn(self) -> None:
        """Serve one job, or wait for one."""
        self._recovery.run()
        self._retention.run()
        lease = self._queue.claim(self._presence.id, self._resident.named)
        if lease is not None:
            self._serve(lease)
            return
        self._waking.wait(self._poll_seconds)
        self._waking.clear()

    def _serve(self, lease: Lease) -> None:
        run = Run(listener=Progress(lease).report, cancelled=partial(self._must_end, lease))
        with self._heartbeat.keeping(lease), about(lease.job_id):
            logger.info("%s began, attempt %d", lease.kind, lease.attempt)
            error = outcome(partial(self._handlers.handle, lease, run))
            if error is None:
                logger.info("%s is done", lease.kind)
            else:
                self._settle(lease, error)

    def _must_end(self, lease: Lease) -> bool:
        ending = self._stopping.is_set() or (self._draining.is_set() and lease.kind in LASTING)
        return lease.cancel_requested() or ending or lease.outranked()

    def _settle(self, lease: Lease, error: StudioError) -> None:
        """Write how a job ended that is not done."""
        logger.info("job %s: %s", lease.job_id, error)
        if isinstance(error, LeaseLost):
            return
        if not isinstance(error, Cancelled):
            lease.fail(str(error))
        elif lease.cancel_requested():
            lease.cancel()
        else:
            lease.release()
        self._recovery.sweep()

    def _report(self, error: StudioError | None) -> None:
        """Log a fault of the worker itself and slow down, so a broken database is not asked without pause."""
        if error is not None:
            logger.error("%s", error)
            self._stopping.wait(self._poll_seconds)


def run_worker(settings: Settings, engine_factory: EngineFactory = load_engine) -> None:
    """Serve the queue in this process until SIGTERM or Ctrl-C; call it from the main thread.

    The first of them lets the job be finished, a second one puts it back in the queue at its next step.
    """
    migrate(settings)
    database = Database(settings.resolved_database_url)
    try:
        attend(Worker(settings, database, engine_factory=engine_factory))
    finally:
        database.close()


class Servant(Protocol):
    """What serves until it is told to end: one Worker, or the keeper of those on other machines."""

    def run(self) -> None:
        """Serve."""

    def drain(self) -> None:
        """Ask `run` to return after what it does now."""

    def stop(self) -> None:
        """Ask `run` to return at the next step."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait up to `timeout` seconds until `run` has ended and return whether it has."""


def attend(servant: Servant) -> None:
    """Run `servant` until it ends; the first SIGTERM or Ctrl-C drains it, a second one stops it."""
    # A thread of its own: a signal handler may not set an Event that the thread it interrupts is waiting for.
    # Not `join`: interrupted once, it takes the thread for ended (Python 3.11), and the process would leave at once.
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=servant.run, name="studio-worker", daemon=True).start()
    _wait(servant)


def _wait(worker: Servant) -> None:
    try:
        worker.wait()
        return
    except KeyboardInterrupt:
        logger.warning("ending after this job; a second signal puts it back in the queue")
        worker.drain()
    try:
        worker.wait()
    except KeyboardInterrupt:
        worker.stop()
        worker.wait(GRACE)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
