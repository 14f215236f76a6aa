"""The LoRA adapters of the loaded model: load, weigh, switch, unload; each is a job of the model's owner.

A job names all that are to be on the model then, so what is asked for is worked out here, from what is there once the
jobs that wait are done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec

from studio.engine.lora.wanted import AdapterSet, Wanted
from studio.engine.setup import Quantization
from studio.errors import InvalidRequest, ModelNotReady, NotFound
from studio.jobs.queue import Queue
from studio.jobs.spec import Adapt
from studio.services.known_adapters import KnownAdapters
from studio.services.models import Models
from studio.storage.database import Database


class Adapters:
    """Submits what one user wants done with the adapters and returns the job's id; `known` lists all there are."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        models: Models,
        known: KnownAdapters,
        *,
        user_id: str,
        wake: Callable[[], None],
    ) -> None:
        self.known = known
        self._database = database
        self._queue = queue
        self._models = models
        self._user_id = user_id
        self._wake = wake

    def load(self, path: str, scale: float = 1.0, *, beside: bool = False) -> str:
        """Put the adapter of a folder on the model, in place of those there are or beside them, and switch it on.

        It is entered among the known ones. Raises InvalidRequest for a path that `known.read` refuses, a scale outside
        0 to 1, an adapter that is there already and a quantised model, NotFound or CheckpointError for a folder that
        holds none, ModelNotReady without a model or without peft.
        """
        found = self.known.read(path)
        if find_spec("peft") is None:
            raise ModelNotReady("adapters need the package peft; install the studio with its group engine")
        others = self._models.adapters(self._user_id).adapters if beside else ()
        if found.sha256 in [one.sha256 for one in others]:
            raise InvalidRequest("lora_path", "be another adapter than those that are loaded", path)
        name = found.info.name
        if name in [one.name for one in others]:
            name = f"{name} {found.sha256[:8]}"
        one = Wanted(name=name, path=found.path, sha256=found.sha256, scale=scale)
        job_id = self._submit(AdapterSet(adapters=(*others, one), on=True))
        self.known.enter(found)
        return job_id

    def unload(self, name: str = "") -> str:
        """Take one adapter off, or all; raises InvalidRequest when there is none and NotFound for another name."""
        there = self._loaded("lora_path")
        if not name:
            return self._submit(AdapterSet())
        kept = tuple(one for one in there.adapters if one is not _called(there, name))
        return self._submit(AdapterSet(adapters=kept, on=there.on and bool(kept)))

    def use(self, on: bool) -> str:
        """Switch the adapters on or off without unloading them; raises InvalidRequest when there is none."""
        return self._submit(replace(self._loaded("use_lora"), on=on))

    def weigh(self, name: str, scale: float) -> str:
        """Set how strong an adapter is, 0 to 1.

        Raises InvalidRequest when there is none and for another scale, NotFound for another name.
        """
        there = self._loaded("lora_scale")
        heavier = replace(_called(there, name), scale=scale)
        return self._submit(
            replace(there, adapters=tuple(heavier if one.name == name else one for one in there.adapters))
        )

    def put_back(self, wanted: AdapterSet) -> str | None:
        """Have the adapters that a batch was made with, found by their contents; None when they are there already.

        Raises NotFound that names those that are gone, nothing is changed then, InvalidRequest on a quantised model,
        and ModelNotReady.
        """
        if wanted.told() == self._models.adapters(self._user_id).told():
            return None
        found = [self.known.locate(one) for one in wanted.adapters]
        if missing := [one.name for one, place in zip(wanted.adapters, found, strict=True) if place is None]:
            raise NotFound(
                f"these adapters are not where they were and not among the known ones: {', '.join(missing)}; "
                "load them by their path, the adapters in use stay as they are"
            )
        return self._submit(replace(wanted, adapters=tuple(one for one in found if one is not None)))

    def _loaded(self, field: str) -> AdapterSet:
        there = self._models.adapters(self._user_id)
        if not there.adapters:
            raise InvalidRequest(field, "wait for an adapter; none is loaded", "")
        return there

    def _submit(self, adapters: AdapterSet) -> str:
        kind = self._models.status().loaded.get("quantization", Quantization.NONE)
        if adapters.adapters and kind != Quantization.NONE:
            raise InvalidRequest("quantization", "be none for adapters; initialize the model without it", kind)
        payload = Adapt(model=self._models.ready().name, adapters=adapters)
        with self._database.write() as session:
            job_id = self._queue.submit(session, payload, user_id=self._user_id)
        self._wake()
        return job_id


def _called(there: AdapterSet, name: str) -> Wanted:
    for one in there.adapters:
        if one.name == name:
            return one
    raise NotFound(f"no adapter called {name!r} is loaded; there are: {', '.join(one.name for one in there.adapters)}")
