"""Which checkpoints there are, and which one is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from sqlalchemy import select

from studio.config import Settings
from studio.engine.checkpoint import find_checkpoints
from studio.engine.lm.checkpoint import find_lms
from studio.engine.lora.wanted import AdapterSet, adapter_set_from
from studio.engine.memory import FULL_WIDTH
from studio.engine.model_spec import DEFAULT_DURATION, FAMILIES, Family, ModelSpec, read_json
from studio.engine.space import free_space
from studio.errors import ModelNotReady, NotFound
from studio.jobs.fetching import endpoints
from studio.jobs.presence import LM, best_worker
from studio.jobs.spec import JobKind, LanguageModel, language_model_from
from studio.services.views import DownloadView, LmStatusView, LmView, ModelView, StatusView, WorkerState
from studio.storage.database import Database
from studio.storage.models import Job, Worker
from studio.storage.states import JobState
from studio.storage.times import Clock

_WHY_NOT = {
    WorkerState.EMPTY: "no model is loaded; initialize one first",
    WorkerState.LOADING: "the model is still being loaded; try again when the badge is green",
    WorkerState.TRAINING: "a LoRA is being trained and has the device to itself; wait, or stop it on the Train page",
    WorkerState.FAILED: "the model could not be loaded: {error}",
    WorkerState.GONE: "no worker is running; start the studio or `studio worker` again",
}

_WHY_NO_LM = {
    "": "no language model is loaded; tick Initialize 5Hz LM and initialize, or switch Think off",
    "loading": "the language model {name} is still being loaded; try again in a moment",
    "failed": "the language model {name} could not be loaded: {error}",
}


_DIT, _LM = "acestep-v15-", "acestep-5Hz-lm-"


class Models:
    """The checkpoints on disk and the state of the worker."""

    def __init__(self, settings: Settings, database: Database, clock: Clock) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._specs: dict[str, tuple[ModelSpec, int]] = {}
        self._dirs = (settings.models_dir, settings.checkpoints_dir)

    def usable(self) -> list[ModelView]:
        """Return the checkpoints that passed every check, by name."""
        return [_view(info.spec, info.path) for info in find_checkpoints(self._dirs) if info.spec is not None]

    def published(self) -> list[ModelView]:
        """Return the published checkpoints that are not on this machine; Initialize fetches them first."""
        from studio.engine.fetch import KNOWN  # with its HTTP client, which not every process needs

        here = {info.name for info in find_checkpoints(self._dirs)}
        return [_to_come(name) for name in KNOWN if name.startswith(_DIT) and name not in here]

    def download(self, name: str) -> DownloadView:
        """Return what fetching a published model takes; raises FetchFailed when no hub can say."""
        from studio.engine.fetch import measure  # with its HTTP client, which not every process needs

        folder = self._settings.checkpoints_dir
        need = measure(name, folder, endpoints=endpoints(self._settings))
        return DownloadView(total=need.total, missing=need.missing, free=free_space(folder), folder=str(folder))

    def spec(self, name: str) -> tuple[ModelSpec, int] | None:
        """Return what is known of a checkpoint, and how wide its DiT is; looked up once."""
        if name not in self._specs:
            found = {info.name: info for info in find_checkpoints(self._dirs) if info.spec is not None}
            if (info := found.get(name)) is None or info.spec is None:
                return None
            self._specs[name] = (info.spec, _width(info.path))
        return self._specs[name]

    def language_models(self) -> list[LmView]:
        """Return the language models on disk, by name, broken ones too."""
        found = find_lms((self._settings.models_dir, self._settings.checkpoints_dir))
        return [LmView(name=info.name, problem=info.problem, folder=str(info.path.parent)) for info in found]

    def published_lms(self) -> list[LmView]:
        """Return the published language models that are not on this machine; Initialize fetches them first."""
        from studio.engine.fetch import KNOWN  # with its HTTP client, which not every process needs

        here = {model.name for model in self.language_models()}
        return [LmView(name=name, here=False) for name in KNOWN if name.startswith(_LM) and name not in here]

    def choose_lm(self, name: str) -> str:
        """Return `name`, or the first usable language model for an empty one; raises NotFound with those there are."""
        if name in {model.name for model in self.published_lms()}:
            return name
        usable = [model.name for model in self.language_models() if not model.problem]
        if not usable or (name and name not in usable):
            wanted = f"called {name!r}" if name else "on this machine"
            raise NotFound(f"no usable language model {wanted}; there are: {', '.join(usable) or 'none'}")
        return name or usable[0]

    def ready_lm(self) -> LanguageModel:
        """Return the loaded language model; raises ModelNotReady with the reason when there is none."""
        status = self.status()
        if status.state in (WorkerState.GONE, WorkerState.TRAINING):
            raise ModelNotReady(_WHY_NOT[status.state])
        lm = status.lm
        if lm.ready:
            return language_model_from(cast(dict[str, object], status.loaded[LM]))
        raise ModelNotReady(_WHY_NO_LM[lm.state].format(name=lm.name, error=lm.error))

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

    def adapters(self, user_id: str) -> AdapterSet:
        """Return the adapters that are on the model once every change that a person waits for is made."""
        changes = select(Job).where(
            Job.user_id == user_id,
            Job.kind.in_((JobKind.ADAPT, JobKind.INITIALIZE)),
            Job.state.in_((JobState.QUEUED, JobState.RUNNING)),
        )
        with self._database.read() as session:
            last = session.scalars(changes.order_by(Job.created_at.desc(), Job.id.desc()).limit(1)).first()
        if last is None:
            return adapter_set_from(self.status().loaded)
        return adapter_set_from(last.requested)  # a model that is loaded has none, and its job names none


def _width(path: Path) -> int:
    """Read the hidden size of the DiT; what the file doesn't say is taken for the published one."""
    files = [file for file in (path / "transformer" / "config.json", path / "config.json") if file.is_file()]
    size = read_json(files[0]).get("hidden_size") if files else None
    return size if isinstance(size, int) else FULL_WIDTH


def _to_come(name: str) -> ModelView:
    """Guess from the name what a checkpoint will say of itself (product.md X-11)."""
    kinds = {Family.TURBO: "turbo" in name, Family.SFT: "sft" in name, Family.BASE: "base" in name}
    family = next((kind for kind, named in kinds.items() if named), Family.TURBO)
    defaults = FAMILIES[family]
    return ModelView(
        name=name,
        tasks=tuple(task.value for task in defaults.tasks),
        family=family.value,
        steps=defaults.steps,
        max_steps=defaults.max_steps,
        shift=defaults.shift,
        duration=DEFAULT_DURATION,
        here=False,
    )


def _view(spec: ModelSpec, path: Path) -> ModelView:
    return ModelView(
        name=spec.name,
        folder=str(path.parent),
        tasks=tuple(task.value for task in spec.defaults.tasks),
        family=spec.family.value,
        steps=spec.defaults.steps,
        max_steps=spec.defaults.max_steps,
        shift=spec.defaults.shift,
        duration=spec.duration,
        max_duration=spec.max_duration,
        codebook=spec.codebook if spec.codes else 0,
    )


def _status(worker: Worker) -> StatusView:
    return StatusView(
        state=worker.state,
        model=_loaded(worker) if worker.state == WorkerState.READY else None,
        device=worker.device,
        dtype=worker.dtype,
        loaded=worker.loaded,
        error=worker.error,
        lm=_lm_status(cast(dict[str, str], worker.loaded.get(LM, {}))),
    )


def _lm_status(told: dict[str, str]) -> LmStatusView:
    return LmStatusView(
        state=told.get("state", ""),
        name=told.get("name", ""),
        backend=told.get("lm_backend", told.get("backend", "")),
        asked=told.get("backend", ""),
        fallback=bool(told.get("fallback", False)),
        device=told.get("lm_device", ""),
        dtype=told.get("lm_dtype", ""),
        codebook=int(told.get("lm_codebook", 0)),
        notes=tuple(told.get("lm_notes", ())),
        error=told.get("error", ""),
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
        codebook=int(facts.get("codebook", 0)),
    )
