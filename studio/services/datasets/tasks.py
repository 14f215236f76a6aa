"""What the worker is asked to do with a dataset: have it labelled, turn it into tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from studio.engine.dataset.labelling import Labelling, Skip, to_label, unknown
from studio.engine.dataset.preparation import Preparation
from studio.engine.dataset.samples import Dataset
from studio.errors import InvalidRequest, ModelNotReady, NotFound
from studio.jobs import datasets
from studio.jobs.queue import Queue
from studio.jobs.spec import JobKind, Label, Prepare
from studio.services.models import Models
from studio.services.places import place_of
from studio.services.principal import Principal
from studio.storage import models
from studio.storage.database import Database
from studio.storage.states import JobState
from studio.storage.times import Clock

BULK = -2  # priority: after everything somebody waits for, the next batch of AutoGen too


class DatasetTasks:
    """Submits jobs on the datasets of one user."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        known: Models,
        roots: Sequence[Path],
        *,
        principal: Principal,
        wake: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._database = database
        self._queue = queue
        self._models = known
        self._roots = roots
        self._principal = principal
        self._wake = wake
        self._clock = clock

    def label(self, dataset_id: str, how: Labelling) -> str | None:
        """Have songs labelled and return the job's id; without a model it is done at once, and there is none.

        Raises InvalidRequest when there is nothing to label or a job works on the dataset already, ModelNotReady with
        what is missing, NotFound.
        """
        with self._database.write() as session:
            row, dataset = self._find(session, dataset_id)
            chosen = to_label(dataset, how)
            if not dataset.samples:
                raise InvalidRequest("dataset", "hold songs; scan a folder or load a dataset first", 0)
            if not chosen:
                raise InvalidRequest("only_unlabelled", "be off, for every song is labelled", True)
            self._refuse_second(session, dataset_id)
            if how.skip is Skip.MODEL:
                changed = [unknown(sample) for sample in chosen]
                datasets.store(row, datasets.with_songs(dataset, changed), self._clock())
                return None
            payload = self._label(dataset_id, how)
            job_id = self._queue.submit(session, payload, user_id=self._principal.user_id, priority=BULK)
        self._wake()
        return job_id

    def prepare(self, dataset_id: str, folder: str, how: Preparation) -> str:
        """Have tensors made of the labelled songs and return the job's id; the folder is made when it is missing.

        Raises InvalidRequest when nothing is labelled or a job works on the dataset already, ModelNotReady, NotFound.
        """
        place = place_of(self._roots, folder, "folder", self._principal)
        with self._database.write() as session:
            _row, dataset = self._find(session, dataset_id)
            if not dataset.labeled:
                rule = "hold labelled songs; label them, or save changes to them, first"
                raise InvalidRequest("dataset", rule, f"{len(dataset.samples)} songs, none labelled")
            self._refuse_second(session, dataset_id)
            payload = Prepare(dataset_id=dataset_id, model=self._models.ready().name, folder=place, how=how)
            job_id = self._queue.submit(session, payload, user_id=self._principal.user_id, priority=BULK)
        self._wake()
        return job_id

    def running(self, dataset_id: str) -> str | None:
        """Return the id of the job that works on a dataset or waits to."""
        with self._database.read() as session:
            return self._active(session, dataset_id)

    def _label(self, dataset_id: str, how: Labelling) -> Label:
        model = self._models.ready()
        if not model.codebook:
            rule = "be one with an audio tokenizer, or the language model can't hear songs"
            raise InvalidRequest("model", rule, model.name)
        if not self._models.status().lm.ready:
            raise ModelNotReady(
                "no language model is loaded; initialize one on Generate (Initialize 5Hz LM), or label with N/A values"
            )
        return Label(dataset_id=dataset_id, model=model.name, lm=self._models.ready_lm(), how=how)

    def _find(self, session: Session, dataset_id: str) -> tuple[models.Dataset, Dataset]:
        row = datasets.find_row(session, dataset_id)
        if not self._principal.sees(row.user_id, row.visibility):
            raise NotFound("this dataset was removed")
        self._principal.check_owns(row.user_id)
        return row, datasets.dataset_of(row)

    def _refuse_second(self, session: Session, dataset_id: str) -> None:
        if (job_id := self._active(session, dataset_id)) is not None:
            raise InvalidRequest("dataset", "be worked on by one job at a time", f"job {job_id}")

    def _active(self, session: Session, dataset_id: str) -> str | None:
        query = select(models.Job).where(
            models.Job.kind.in_((JobKind.LABEL, JobKind.PREPARE)),
            models.Job.state.in_((JobState.QUEUED, JobState.RUNNING)),
        )
        return next((job.id for job in session.scalars(query) if job.requested["dataset_id"] == dataset_id), None)
