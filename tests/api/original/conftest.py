"""One studio for the tests of a file, with both models loaded; only engine and language model are stand-ins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from starlette.testclient import TestClient

from studio.api import original
from studio.config import Settings
from studio.engine.checkpoint import CheckpointInfo
from studio.engine.dataset.preparation import Preparation, Prepared, Progress
from studio.engine.dataset.samples import Dataset
from studio.services import Studio, open_studio
from studio.services.views import LmView
from tests.jobs.fakes import Garage, spec
from tests.jobs.writers import Desk, HearingEngine
from tests.services.conftest import finish, until


class Workshop(HearingEngine):
    """Makes empty tensor files too."""

    def prepare_songs(self, dataset: Dataset, folder: Path, how: Preparation, progress: Progress) -> Prepared:
        folder.mkdir(parents=True)
        for done, sample in enumerate(dataset.labeled):
            progress(done, len(dataset.labeled), sample.filename)
            (folder / f"{sample.id}.pt").write_bytes(b"")
        return Prepared(written=len(dataset.labeled), skipped=0, faults=())


@pytest.fixture(scope="module")
def gate() -> Event:
    """Closed, it holds the stand-in engine before its fourth step."""
    gate = Event()
    gate.set()
    return gate


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, gate: Event) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("studio")

    def held(step: int) -> None:
        assert step != 3 or gate.wait(20)

    found = [CheckpointInfo(name="fake", path=folder / "fake", spec=spec("fake"))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("studio.services.models.find_checkpoints", lambda dirs: found)
        patch.setattr("studio.services.models.Models.language_models", lambda self: [LmView(name="lm")])
        paths = {"data_dir": folder / "data", "models_dir": folder / "models", "checkpoints_dir": folder / "own"}
        settings = Settings(**paths, model="fake", queue_limit=2)
        studio = open_studio(settings, engine_factory=Garage(Workshop(before_step=held)), lm_factory=Desk())
        studio.start_worker()
        until(lambda: studio.status().ready)
        assert finish(studio, studio.generation.initialize("fake", init_llm=True)).error == ""
        yield studio
        gate.set()
        studio.close()


@pytest.fixture
def client(studio: Studio, gate: Event) -> Iterator[TestClient]:
    """A client of somebody who need not sign in."""
    yield TestClient(original.build(lambda: studio, sign_in=lambda: False), base_url="http://127.0.0.1:8001")
    gate.set()
