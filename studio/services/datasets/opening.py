"""Where a working dataset comes from: a folder of songs, a dataset file, or an upload."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import select
from sqlalchemy.orm import Session

from studio.engine.dataset.files import dataset_row, load_dataset
from studio.engine.dataset.samples import Dataset, TagPosition
from studio.engine.dataset.scan import Progress, scan
from studio.errors import Conflict
from studio.jobs import datasets
from studio.jobs.queue import Queue
from studio.jobs.spec import Listen
from studio.services.datasets.uploading import check_name, unpack
from studio.services.datasets.views import Scan, Uploaded
from studio.services.places import UPLOADS, place_of
from studio.services.principal import Principal, Right
from studio.storage import models
from studio.storage.database import Database
from studio.storage.times import Clock

DEFAULT_NAME = "my_lora_dataset"
MEASURING = -3  # priority: after everything, labelling and encoding too


class Opening:
    """Opens the datasets of one user; every path stays below the roots."""

    def __init__(
        self, database: Database, queue: Queue, roots: Sequence[Path], *, principal: Principal, clock: Clock
    ) -> None:
        self._database = database
        self._queue = queue
        self._roots = roots
        self._principal = principal
        self._clock = clock

    def scan(self, folder: str, current: str | None, progress: Progress | None = None) -> Scan:
        """Make a dataset of the songs below a folder; the `current` one is completed if it is of the same folder.

        Raises InvalidRequest for a folder outside the roots or without audio, NotFound when there is none, Conflict
        when the current dataset was changed while the folder was read.
        """
        place = place_of(self._roots, folder, "folder", self._principal)
        known, revision = self._of_folder(current, place)
        found = scan(place, known or Dataset(name=DEFAULT_NAME, tag_position=TagPosition.REPLACE), progress)
        with self._database.write() as session:
            if known is not None and current is not None:
                row = datasets.find_row(session, current)
                if row.revision != revision:
                    raise Conflict("the dataset was changed while the folder was read; scan again")
                datasets.store(row, found.dataset, self._clock())
            else:
                row = self._add(session, found.dataset, folder=str(place))
            self._listen(session, row.id)
            return Scan(dataset_id=row.id, songs=len(found.dataset.samples), used=found.used, faults=found.faults)

    def load(self, path: str) -> str:
        """Open a dataset file and return the working dataset's id.

        One that was opened from it before is brought up to date, unless it holds changes that were never saved: those
        stay, and another is made. Raises InvalidRequest, also for a song outside the roots, and NotFound.
        """
        file = place_of(self._roots, path, "dataset", self._principal)
        dataset = load_dataset(file)
        for place, sample in enumerate(dataset.samples):
            place_of(self._roots, sample.audio_path, f"samples[{place}].audio_path", self._principal)
        with self._database.write() as session:
            mine = models.Dataset.user_id == self._principal.user_id, models.Dataset.path == str(file)
            clean = models.Dataset.saved == models.Dataset.revision
            row = session.scalars(select(models.Dataset).where(*mine, clean).limit(1)).one_or_none()
            if row is None:
                row = self._add(session, dataset, path=str(file))
            else:
                datasets.store(row, dataset, self._clock())
            mark_saved(row, file)
            self._listen(session, row.id)
            return row.id

    def upload(self, name: str, files: Sequence[tuple[str, BinaryIO]]) -> Uploaded:
        """Keep songs and their sidecars, plain or in zips, in a folder of this person's, to be scanned.

        Raises InvalidRequest, StorageError, PermissionDenied; nothing is kept then.
        """
        self._principal.check(Right.MAKE)
        folder = self._roots[0] / UPLOADS / self._principal.user_id / check_name(name)
        arrived = unpack(files, folder)
        return Uploaded(folder=str(folder), songs=arrived.songs, left_out=arrived.left_out)

    def _of_folder(self, dataset_id: str | None, folder: Path) -> tuple[Dataset | None, int]:
        if dataset_id is None:
            return None, 0
        with self._database.read() as session:
            row = session.get(models.Dataset, dataset_id)
        if row is None or row.user_id != self._principal.user_id or row.folder != str(folder):
            return None, 0
        return datasets.dataset_of(row), row.revision

    def _add(self, session: Session, dataset: Dataset, *, path: str = "", folder: str = "") -> models.Dataset:
        now: datetime = self._clock()
        row = models.Dataset(
            user_id=self._principal.user_id,
            name=dataset.name[:255],
            document=dataset_row(dataset),
            revision=1,
            saved=0,
            path=path,
            folder=folder,
            work={},
            alike={},
            created_at=now,
            updated_at=now,
        )
        session.add(row)
        session.flush()
        return row

    def _listen(self, session: Session, dataset_id: str) -> None:
        payload = Listen(dataset_id=dataset_id)
        self._queue.submit(session, payload, user_id=self._principal.user_id, priority=MEASURING)


def mark_saved(row: models.Dataset, file: Path) -> None:
    """Remember that a file holds what the row holds."""
    row.saved, row.path = row.revision, str(file)
    row.work = {**row.work, "file": {"time": os.stat(file).st_mtime_ns}}


def changed_since(row: models.Dataset, file: Path) -> bool:
    """Whether a file is another one, or not as this dataset last wrote or read it."""
    known = row.work.get("file")
    time = known.get("time") if isinstance(known, dict) else None
    return str(file) != row.path or time != os.stat(file).st_mtime_ns
