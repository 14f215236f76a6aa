"""What happens to the work of workers that died: queued once more, then failed, and no file left without its row."""

from __future__ import annotations

import logging

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from studio.jobs.lease import requeue
from studio.jobs.presence import bury
from studio.jobs.spec import LASTING
from studio.storage.artifacts import ArtifactStore
from studio.storage.database import Database
from studio.storage.models import Job, Take
from studio.storage.states import JobState
from studio.storage.times import Clock

MAX_LOSSES = 2  # a job that was there when two workers died is the likely cause
LOST = (
    "the worker stopped twice while it made this, so it was not tried a third time; "
    "too little memory is the usual cause: try a shorter duration or a smaller batch"
)
BATCHES = "batches"  # the folder of the artifact store where each batch has its own
_ACTIVE = (JobState.QUEUED, JobState.RUNNING)

logger = logging.getLogger(__name__)


class Recovery:
    """Finds lost jobs and what they left on disk; any worker may run it at any time."""

    def __init__(self, database: Database, artifacts: ArtifactStore, clock: Clock) -> None:
        self._database = database
        self._artifacts = artifacts
        self._clock = clock

    def run(self) -> None:
        """Requeue or fail the jobs of dead workers, and sweep up when there were any."""
        with self._database.write() as session:
            lost = self._lost_jobs(session, bury(session, self._clock))
            for job in lost:
                self._settle(job)
        if lost:
            self.sweep()

    def sweep(self) -> None:
        """Delete drafts that no running attempt writes, and audio that has no row and will get none."""
        # The folders are listed before the rows: what appears in between belongs to a job that is seen running.
        drafts, batches = self._artifacts.draft_names(), self._artifacts.names(BATCHES)
        with self._database.read() as session:
            running = session.execute(select(Job.id, Job.attempt).where(Job.state == JobState.RUNNING)).all()
            awaited = set(session.scalars(select(Job.batch_id).where(Job.state.in_(_ACTIVE))))
            stored = set(session.scalars(select(Take.batch_id).distinct())) if batches else set()
        for name in drafts - {f"{job_id}.{attempt}" for job_id, attempt in running}:
            self._artifacts.drop_drafts(name)
        for name in batches - awaited - stored:
            self._artifacts.remove(f"{BATCHES}/{name}")

    def _lost_jobs(self, session: Session, dead: list[str]) -> list[Job]:
        lost = or_(Job.lease_until < self._clock(), Job.worker_id.in_(dead))
        query = select(Job).where(Job.state == JobState.RUNNING, lost)
        return list(session.scalars(query.with_for_update(skip_locked=True)))

    def _settle(self, job: Job) -> None:
        job.losses += job.kind not in LASTING
        logger.warning("job %s lost its worker %s, loss %d", job.id, job.worker_id, job.losses)
        if job.cancel_requested and job.kind not in LASTING:
            self._end(job, JobState.CANCELLED, "")
        elif job.losses >= MAX_LOSSES:
            self._end(job, JobState.FAILED, LOST)
        else:
            requeue(job)

    def _end(self, job: Job, state: JobState, error: str) -> None:
        job.state, job.error = state, error
        job.lease_until, job.finished_at = None, self._clock()
