"""Which checkpoints there are, and which one is loaded."""

from __future__ import annotations

from typing import cast

from studio.config import Settings
from studio.engine.checkpoint import find_checkpoints
from studio.engine.model_spec import ModelSpec
from studio.errors import ModelNotReady
from studio.jobs.presence import best_worker
from studio.services.views import ModelView, StatusView, WorkerState
from studio.storage.database import Database
from studio.storage.models import Worker
from studio.storage.times import Clock

_WHY_NOT = {
    WorkerState.EMPTY: "no model is loaded; initialize one first",
    WorkerState.LOADING: "the model is still being loaded; try again when the badge is green",
    WorkerState.FAILED: "the model could not be loaded: {error}",
    WorkerState.GONE: "no worker is running; start the studio or `studio worker` again",
}


class Models:
    """The checkpoints on disk and the state of the worker."""

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock

    def usable(self) -> list[ModelView]:
        """Return the checkpoints that passed every check, by name."""
        found = find_checkpoints((self._settings.models_dir, self._settings.checkpoints_dir))
        return [_view(info.spec) for info in found if info.spec is not None]

    def status(self) -> StatusView:
        """Return what the best living worker says of itself."""
        with self._database.read() as session:
            worker = best_worker(session, self._clock, self._settings.lease_seconds)
        return StatusView(state=WorkerState.GONE) if worker is None else _status(worker)

    def ready(self) -> ModelView:
        """Return the loaded model; raises ModelNotReady with the reason when there is none."""
        status = self.status()
        if status.model is None:
            raise ModelNotReady(_WHY_NOT[status.state].format(error=status.error))
        return status.model


def _view(spec: ModelSpec) -> ModelView:
    return ModelView(
        name=spec.name,
        family=spec.family.value,
        steps=spec.defaults.steps,
        max_steps=spec.defaults.max_steps,
        shift=spec.defaults.shift,
        duration=spec.duration,
        max_duration=spec.max_duration,
    )


def _status(worker: Worker) -> StatusView:
    return StatusView(
        state=worker.state,
        model=_loaded(worker) if worker.state == WorkerState.READY else None,
        device=worker.device,
        dtype=worker.dtype,
        loaded=worker.loaded,
        error=worker.error,
    )


def _loaded(worker: Worker) -> ModelView:
    facts = cast(dict[str, float], worker.defaults)
    return ModelView(
        name=worker.model,
        family=worker.family,
        steps=int(facts["steps"]),
        max_steps=int(facts["max_steps"]),
        shift=facts["shift"],
        duration=facts["duration"],
        max_duration=facts["max_duration"],
    )
