"""A studio whose worker has loaded the stand-in engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import monotonic, sleep

import pyloudnorm  # noqa: F401 - takes seconds, which a worker would take in the middle of a test
import pytest

from studio.config import Settings
from studio.engine.checkpoint import CheckpointInfo
from studio.services import Studio, open_studio
from studio.services.views import JobView
from tests.databases import migrated  # noqa: F401 - for every test here
from tests.jobs.fakes import Garage, spec

FORM = {"caption": "calm piano", "audio_format": "wav", "seed": "7", "use_random_seed": False, "batch_size": 1}


def until(condition: Callable[[], bool]) -> None:
    """Wait for what a worker thread does."""
    deadline = monotonic() + 300  # a hang, not a speed: machines are noisy
    while not condition():
        assert monotonic() < deadline, "waited five minutes for nothing"
        sleep(0.005)


def finish(studio: Studio, job_id: str) -> JobView:
    """Wait for the job's end."""
    until(lambda: not studio.generation.job(job_id).active)
    return studio.generation.job(job_id)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings inside a fresh folder, in which two checkpoints seem to lie."""

    def found(dirs: Iterable[Path]) -> list[CheckpointInfo]:
        good = [CheckpointInfo(name=name, path=tmp_path / name, spec=spec(name)) for name in ("fake", "other")]
        return [*good, CheckpointInfo(name="torn", path=tmp_path / "torn", spec=None, problem="truncated")]

    monkeypatch.setattr("studio.services.models.find_checkpoints", found)
    return Settings(data_dir=tmp_path / "data", models_dir=tmp_path / "m", checkpoints_dir=tmp_path / "c", model="fake")


@pytest.fixture
def garage() -> Garage:
    """Where the stand-in engines are built."""
    return Garage()


@pytest.fixture
def studio(settings: Settings, garage: Garage) -> Iterator[Studio]:
    """A studio that is ready."""
    studio = open_studio(settings, engine_factory=garage)
    studio.start_worker()
    until(lambda: studio.status().ready)
    yield studio
    studio.close()


@pytest.fixture
def idle(settings: Settings) -> Iterator[Studio]:
    """A studio without a worker."""
    studio = open_studio(settings)
    yield studio
    studio.close()
