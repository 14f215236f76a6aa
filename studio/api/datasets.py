"""Datasets for training: opened, labelled, edited, saved, turned into tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Form, UploadFile

from studio.api.bodies import DatasetSettings, File, Folder, HowToLabel, SaveAs, Sight, SongChanges, Tensors
from studio.api.doors import Making, Seat
from studio.errors import Conflict
from studio.services import Studio
from studio.services.datasets.views import DatasetName, DatasetView, Scan, Uploaded
from studio.services.views import JobView

router = APIRouter(prefix="/datasets", tags=["datasets"])


@router.get("")
def datasets(studio: Seat) -> list[DatasetName]:
    """List the working datasets, the one that was changed last first."""
    return studio.datasets.all()


@router.post("/scan", status_code=201)
def scan(studio: Making, body: Folder) -> Scan:
    """Make a dataset of the songs in a folder."""
    return studio.datasets.opening.scan(body.folder, body.dataset)


@router.post("/load", status_code=201)
def load(studio: Making, body: File) -> DatasetView:
    """Open a dataset file."""
    return studio.datasets.get(studio.datasets.opening.load(body.path))


@router.post("/upload", status_code=201)
def upload(studio: Making, name: Annotated[str, Form()], files: list[UploadFile]) -> Uploaded:
    """Bring songs and their sidecars along, plain or in zips, to a folder that can be scanned."""
    return studio.datasets.opening.upload(name, [(file.filename or "", file.file) for file in files])


@router.get("/{dataset_id}")
def dataset(studio: Seat, dataset_id: str) -> DatasetView:
    """Give a dataset with its songs."""
    return studio.datasets.get(dataset_id)


@router.patch("/{dataset_id}")
def configure(studio: Making, dataset_id: str, body: DatasetSettings) -> DatasetView:
    """Change settings that hold for all songs."""
    seen = _seen(studio, dataset_id, body.revision).dataset
    studio.datasets.configure(dataset_id, body.settings, seen)
    return studio.datasets.get(dataset_id)


@router.patch("/{dataset_id}/songs")
def edit(studio: Making, dataset_id: str, body: SongChanges) -> DatasetView:
    """Change values of songs, all or none."""
    seen = _seen(studio, dataset_id, body.revision).dataset
    studio.datasets.edit(dataset_id, body.songs, {sample.id: sample for sample in seen.samples})
    return studio.datasets.get(dataset_id)


@router.post("/{dataset_id}/label", status_code=202)
def label(studio: Making, dataset_id: str, body: HowToLabel) -> JobView | None:
    """Have songs labelled; with `skip` set to `model` it is done at once, and there is no job."""
    job_id = studio.datasets.tasks.label(dataset_id, body)
    return None if job_id is None else studio.generation.job(job_id)


@router.post("/{dataset_id}/prepare", status_code=202)
def prepare(studio: Making, dataset_id: str, body: Tensors) -> JobView:
    """Have tensors made of the labelled songs."""
    return studio.generation.job(studio.datasets.tasks.prepare(dataset_id, body.folder, body.how))


@router.post("/{dataset_id}/save")
def save(studio: Making, dataset_id: str, body: SaveAs) -> Path:
    """Write a dataset to a file and give its path."""
    return studio.datasets.save(dataset_id, body.path, over=body.over)


@router.put("/{dataset_id}/visibility")
def show(studio: Making, dataset_id: str, body: Sight) -> DatasetView:
    """Let the team look at a dataset, or not any more."""
    studio.datasets.show(dataset_id, body.visibility)
    return studio.datasets.get(dataset_id)


@router.delete("/{dataset_id}", status_code=204)
def remove(studio: Making, dataset_id: str) -> None:
    """Forget a working dataset; files stay."""
    studio.datasets.remove(dataset_id)


def _seen(studio: Studio, dataset_id: str, revision: int) -> DatasetView:
    """Return a dataset as the program saw it; raises Conflict when it was changed since."""
    view = studio.datasets.get(dataset_id)
    if view.revision != revision:
        raise Conflict(f"the dataset has revision {view.revision} by now; look again before you change it")
    return view
