"""A worker process to be killed: `python -m tests.jobs.mortal_worker DATA_DIR SECONDS_A_STEP [draft | file | ADDRESS]`.

The last argument makes it kill itself as kill -9 does: with drafts written, or with the first file in its place. An
address with a port makes it the keeper of workers on the Ray cluster there.
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import sleep

from studio.config import Settings
from studio.engine.run import Run
from studio.engine.setup import Setup
from studio.jobs.worker import run_worker
from studio.storage.artifacts import ArtifactStore
from tests.jobs.fakes import FakeEngine

CLUSTER_LEASE = 4.0  # seconds; nobody looks at processes of other nodes, so it is what tells a dead one


def _die_at(point: str) -> None:
    put = ArtifactStore.put

    def deadly(store: ArtifactStore, key: str, draft: Path) -> None:
        if point == "file":
            put(store, key, draft)
        os.kill(os.getpid(), signal.SIGKILL)

    ArtifactStore.put = deadly  # type: ignore[method-assign]


def build(pause: float, model: str, setup: Setup, settings: Settings, run: Run) -> FakeEngine:
    """Give a stand-in engine that takes `pause` seconds a step."""
    return FakeEngine(model, before_step=lambda step: sleep(pause))


def main(data_dir: str, pause: str, point: str = "") -> None:
    """Serve the queue of `data_dir` with the stand-in engine."""
    settings, factory = Settings(data_dir=Path(data_dir)), partial(build, float(pause))
    if ":" in point:
        from studio.jobs.cluster import run_cluster

        run_cluster(point, replace(settings, lease_seconds=CLUSTER_LEASE), factory)
        return
    if point:
        _die_at(point)
    run_worker(settings, factory)


if __name__ == "__main__":
    main(*sys.argv[1:])
