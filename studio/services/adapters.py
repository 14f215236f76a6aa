"""The LoRA adapter of the loaded model: load, weigh, switch, unload; each is a job of the model's owner."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from studio.engine.lora.formats import inspect_adapter
from studio.errors import InvalidRequest, ModelNotReady
from studio.jobs.queue import Queue
from studio.jobs.spec import Adapt, AdaptAction
from studio.services.models import Models
from studio.storage.database import Database


class Adapters:
    """Submits what one user wants done with the adapter and returns the job's id."""

    def __init__(
        self, database: Database, queue: Queue, models: Models, *, user_id: str, wake: Callable[[], None]
    ) -> None:
        self._database = database
        self._queue = queue
        self._models = models
        self._user_id = user_id
        self._wake = wake

    def load(self, path: str, scale: float = 1.0) -> str:
        """Put the adapter of a folder on the model, in place of the one there is, and switch it on.

        Raises InvalidRequest for an empty path, NotFound or CheckpointError for a folder that holds no adapter,
        ModelNotReady without a model or without peft.
        """
        if not path.strip():
            raise InvalidRequest("lora_path", "name the folder of an adapter", path)
        folder = inspect_adapter(path.strip()).path
        if find_spec("peft") is None:
            raise ModelNotReady("adapters need the package peft; install the studio with its group engine")
        return self._submit(AdaptAction.LOAD, path=str(folder.resolve()), scale=scale)

    def unload(self) -> str:
        """Take the adapter off; raises InvalidRequest when there is none."""
        self._check_loaded("lora_path")
        return self._submit(AdaptAction.UNLOAD)

    def use(self, on: bool) -> str:
        """Switch the adapter on or off without unloading it; raises InvalidRequest when there is none."""
        self._check_loaded("use_lora")
        return self._submit(AdaptAction.USE, on=on)

    def weigh(self, scale: float) -> str:
        """Set how strong the adapter is, 0 to 1; raises InvalidRequest when there is none."""
        self._check_loaded("lora_scale")
        return self._submit(AdaptAction.SCALE, scale=min(max(scale, 0.0), 1.0))

    def _check_loaded(self, field: str) -> None:
        if not self._models.status().loaded.get("adapters"):
            raise InvalidRequest(field, "wait for an adapter; none is loaded", "")

    def _submit(self, action: AdaptAction, *, path: str = "", scale: float = 1.0, on: bool = True) -> str:
        payload = Adapt(model=self._models.ready().name, action=action, path=path, scale=scale, on=on)
        with self._database.write() as session:
            job_id = self._queue.submit(session, payload, user_id=self._user_id)
        self._wake()
        return job_id
