"""Working datasets as rows: read as what they stand for, and changed one revision after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TypedDict, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from studio.engine.dataset.files import dataset_from, dataset_row
from studio.engine.dataset.samples import Dataset, Sample
from studio.errors import NotFound
from studio.storage import models

_AT_ONCE = 500  # keys a query may name


class LabelWork(TypedDict):
    """How far a labelling job got; ids of songs, so that it goes on where it was."""

    job: str
    todo: list[str]
    done: list[str]
    faults: dict[str, str]  # id -> why it failed
    notes: dict[str, str]  # id -> what was left out of it


class PrepareWork(TypedDict):
    """What came of making tensors."""

    job: str
    folder: str
    written: int
    skipped: int
    faults: list[str]
    notes: list[str]


def find_row(session: Session, dataset_id: str) -> models.Dataset:
    """Return a dataset's row, locked until the transaction ends; raises NotFound."""
    row = session.get(models.Dataset, dataset_id, with_for_update=True)
    if row is None:
        raise NotFound("this dataset was removed")
    return row


def dataset_of(row: models.Dataset) -> Dataset:
    """Return the dataset a row holds."""
    return dataset_from(row.document, Path("/"))


def store(row: models.Dataset, dataset: Dataset, now: datetime) -> None:
    """Make `dataset` what the row holds."""
    row.document = dataset_row(dataset)
    row.name = dataset.name[:255]
    row.revision += 1
    row.updated_at = now


def song(dataset: Dataset, sample_id: str) -> Sample:
    """Return a song by its id; raises NotFound."""
    for sample in dataset.samples:
        if sample.id == sample_id:
            return sample
    raise NotFound(f"there is no song {sample_id!r} in this dataset")


def with_songs(dataset: Dataset, changed: Iterable[Sample]) -> Dataset:
    """Put songs in the place of those with their ids."""
    new = {sample.id: sample for sample in changed}
    return replace(dataset, samples=tuple(new.get(sample.id, sample) for sample in dataset.samples))


def label_work(row: models.Dataset) -> LabelWork | None:
    """Return how far the last labelling got, None before the first."""
    work = row.work.get("label")
    return cast(LabelWork | None, {"notes": {}, **work} if isinstance(work, dict) else None)  # older ones had no notes


def prepare_work(row: models.Dataset) -> PrepareWork | None:
    """Return what came of the last time tensors were made."""
    return cast(PrepareWork | None, row.work.get("prepare"))


def song_key(path: str) -> str | None:
    """Return the key under which a file's measurement is kept; None when the file is gone."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return hashlib.sha256(f"{path}|{found.st_size}|{found.st_mtime_ns}".encode()).hexdigest()


def heard(session: Session, keys: Iterable[str]) -> dict[str, models.HeardSong]:
    """Return what was measured of files, by key; files that were not are left out."""
    wanted = sorted(set(keys))
    found: dict[str, models.HeardSong] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        query = select(models.HeardSong).where(models.HeardSong.key.in_(wanted[start : start + _AT_ONCE]))
        found |= {row.key: row for row in session.scalars(query)}
    return found
