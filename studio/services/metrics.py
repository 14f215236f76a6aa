"""What Prometheus reads of a studio: counted from the rows at every look, so it is true whichever process answers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from studio import __version__
from studio.config import Settings
from studio.jobs.standing import served
from studio.jobs.turns import WINDOW
from studio.services.operations import Operations
from studio.storage.database import Database
from studio.storage.models import Job, Take
from studio.storage.states import JobState, WorkerState
from studio.storage.times import Clock

_ACTIVE = (JobState.QUEUED, JobState.RUNNING)


class Metrics(Collector):
    """The figures of the whole studio, of everybody's jobs."""

    def __init__(self, settings: Settings, database: Database, operations: Operations, clock: Clock) -> None:
        self._settings = settings
        self._database = database
        self._operations = operations
        self._clock = clock
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        """Return every figure in Prometheus' text format."""
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Name nothing ahead, so that registering reads no rows."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Count."""
        yield InfoMetricFamily("studio", "This studio", {"version": __version__})
        yield from self._jobs()
        workers = GaugeMetricFamily("studio_workers", "Workers by state", labels=["state"])
        states = [worker.state for worker in self._operations.workers()]
        for state in WorkerState:
            workers.add_metric([state.value], states.count(state))
        yield workers
        yield _gauge("studio_queue_paused", "1 while nothing is begun", self._operations.paused() is not None)
        free = shutil.disk_usage(self._settings.data_dir).free
        yield _gauge("studio_data_free_bytes", "Room left where the audio lies", free)

    def _jobs(self) -> Iterator[Metric]:
        now = self._clock()
        active = GaugeMetricFamily("studio_jobs", "Jobs that wait or run", labels=["kind", "state"])
        ended = CounterMetricFamily("studio_jobs_ended", "Jobs that ended", labels=["kind", "state"])
        with self._database.read() as session:
            for kind, state, count in session.execute(
                select(Job.kind, Job.state, func.count()).group_by(Job.kind, Job.state)
            ):
                (active if state in _ACTIVE else ended).add_metric([kind, state.value], count)
            oldest = session.scalars(select(func.min(Job.created_at)).where(Job.state == JobState.QUEUED)).one()
            busy = sum(job.seconds(now - WINDOW, now) for job in served(session, now))
            takes = session.scalars(select(func.count()).select_from(Take)).one()
        yield from (active, ended)
        waited = 0.0 if oldest is None else (now - oldest).total_seconds()
        yield _gauge("studio_oldest_wait_seconds", "Age of the job that was queued first", waited)
        yield _gauge("studio_busy_seconds", "Seconds of all workers in the last 15 minutes", busy)
        yield _gauge("studio_takes", "Takes that are stored", takes)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=value)
