"""A worker process to be killed: `python -m tests.jobs.mortal_worker DATA_DIR SECONDS_A_STEP [draft | file]`.

The last argument makes it kill itself as kill -9 does: with drafts written, or with the first file in its place.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from time import sleep

from studio.config import Settings
from studio.engine.run import Run
from studio.engine.setup import Setup
from studio.jobs.worker import run_worker
from studio.storage.artifacts import ArtifactStore
from tests.jobs.fakes import FakeEngine


def _die_at(point: str) -> None:
    put = ArtifactStore.put

    def deadly(store: ArtifactStore, key: str, draft: Path) -> None:
        if point == "file":
            put(store, key, draft)
        os.kill(os.getpid(), signal.SIGKILL)

    ArtifactStore.put = deadly  # type: ignore[method-assign]


def main(data_dir: str, pause: str, point: str = "") -> None:
    """Serve the queue of `data_dir` with the stand-in engine."""

    def build(model: str, setup: Setup, settings: Settings, run: Run) -> FakeEngine:
        return FakeEngine(model, before_step=lambda step: sleep(float(pause)))

    if point:
        _die_at(point)
    run_worker(Settings(data_dir=Path(data_dir)), build)


if __name__ == "__main__":
    main(*sys.argv[1:])
