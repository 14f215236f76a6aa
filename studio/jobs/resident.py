"""The one engine in memory, and which checkpoint it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from studio.config import Settings
from studio.engine.dataset.preparation import Preparation, Prepared, Progress
from studio.engine.dataset.samples import Dataset
from studio.engine.lora.wanted import AdapterSet
from studio.engine.model_spec import ModelSpec
from studio.engine.requests import Request
from studio.engine.results import Take
from studio.engine.run import Run
from studio.engine.score.results import Alignment, LyricScores
from studio.engine.setup import Setup
from studio.errors import Cancelled, LeaseLost, StudioError
from studio.jobs.fetching import fetch_missing
from studio.jobs.loading import setup_of
from studio.jobs.outcome import outcome
from studio.jobs.presence import Presence


class LoadedAdapters(Protocol):
    """What the worker needs of an engine's adapters, see studio.engine.lora.adapters.Adapters."""

    def wear(self, wanted: AdapterSet) -> object:
        """Have exactly these adapters on the model."""


class MusicEngine(Protocol):
    """What the worker needs of an engine: studio.engine.engine.Engine here, a quick stand-in in the tests."""

    spec: ModelSpec
    device: str
    dtype: str

    @property
    def adapters(self) -> LoadedAdapters:
        """The LoRA adapters on the model."""

    def generate(self, request: Request, run: Run) -> list[Take]:
        """Make one take a seed."""

    def to_codes(self, source: Path, run: Run, *, cut: bool = False) -> tuple[int, ...]:
        """Turn audio into codes; with `cut` the beginning of what is too long."""

    def prepare_songs(self, dataset: Dataset, folder: Path, how: Preparation, progress: Progress) -> Prepared:
        """Write what training reads of a dataset."""

    def time_lyrics(self, take: Take) -> Alignment:
        """Say when the lines of a take are sung."""

    def score_lyrics(self, take: Take) -> LyricScores:
        """Say how well a take follows its lyrics, and how well noise would."""

    def status(self) -> Mapping[str, object]:
        """Say what is loaded and how."""

    def unload(self) -> None:
        """Give the memory back."""


EngineFactory = Callable[[str, Setup, Settings, Run], MusicEngine]


def load_engine(model: str, setup: Setup, settings: Settings, run: Run) -> MusicEngine:
    """Load the checkpoint called `model` as `setup` wants it, with torch, which is imported here and nowhere before.

    A published one that isn't here is fetched first.
    """
    from studio.engine.engine import Engine

    fetch_missing(model, settings, run)
    dirs = (settings.models_dir, settings.checkpoints_dir)
    return Engine.load(model, setup=setup, dirs=dirs, run=run)


class Resident:
    """Holds at most one engine and tells the worker's row what it holds."""

    def __init__(self, settings: Settings, presence: Presence, factory: EngineFactory) -> None:
        self._settings = settings
        self._presence = presence
        self._factory = factory
        self._engine: MusicEngine | None = None
        self._setup: Setup | None = None  # what the engine was loaded with
        self._adapters = AdapterSet()  # what was put on the engine; a job may wear others meanwhile

    @property
    def named(self) -> str:
        """The name of the checkpoint in memory; empty when there is none."""
        return "" if self._engine is None else self._engine.spec.name

    @property
    def quantization(self) -> str:
        """How the weights of the engine are stored; none without one."""
        return "none" if self._engine is None else str(self._engine.status().get("quantization", "none"))

    @property
    def setup(self) -> Mapping[str, object] | None:
        """What the engine was loaded with, JSON-ready."""
        return None if self._setup is None else asdict(self._setup)

    @property
    def adapters(self) -> AdapterSet:
        """The adapters that somebody put on the engine and that it tells of; the job at work may have others."""
        return self._adapters

    def require(self, model: str, run: Run) -> MusicEngine:
        """Return the engine of `model`, loading it when another or none is in memory."""
        if self._engine is not None and self._engine.spec.name == model:
            return self._engine
        return self.load(model, None, run)

    def load(self, model: str, setup: Setup | None, run: Run) -> MusicEngine:
        """Put `model` in place of what is loaded, as the settings say without a `setup`.

        When that fails nothing is loaded and the row says why.
        """
        self.unload()
        self._presence.loading(model)
        self._setup = setup or setup_of(self._settings)
        engine = self._try(model, self._setup, run)
        self._tell(engine)
        return engine

    def dressed(self, model: str, adapters: AdapterSet, run: Run) -> MusicEngine:
        """Return the engine of `model` with exactly these adapters, for one job; nobody is told.

        The model isn't loaded again for them. Raises what `Adapters.wear` raises.
        """
        engine = self.require(model, run)
        engine.adapters.wear(adapters)
        return engine

    def adapt(self, model: str, adapters: AdapterSet, run: Run) -> MusicEngine:
        """Put adapters on the model in place of those there are, and tell so; raises what `Adapters.wear` raises."""
        engine = self.dressed(model, adapters, run)
        self._adapters = adapters
        self._tell(engine)
        return engine

    def unload(self) -> None:
        """Give the memory of the engine back."""
        if self._engine is not None:
            self._engine.unload()
            self._engine = None
            self._adapters = AdapterSet()

    def _tell(self, engine: MusicEngine) -> None:
        loaded = {**engine.status(), **self._adapters.as_row()}
        self._presence.ready(engine.spec, engine.device, engine.dtype, loaded)

    def _try(self, model: str, setup: Setup, run: Run) -> MusicEngine:
        loaded: list[MusicEngine] = []
        error = outcome(lambda: loaded.append(self._factory(model, setup, self._settings, run)))
        if error is not None:
            self._say_why_not(model, error)
            raise error
        self._engine = loaded[0]
        return self._engine

    def _say_why_not(self, model: str, error: StudioError) -> None:
        """A load that was stopped is no failure: the badge turns grey, not red."""
        if isinstance(error, Cancelled | LeaseLost):
            self._presence.empty()
        else:
            self._presence.failed(model, str(error))
