"""The one language model in memory, beside the engine; what becomes of it never touches the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Protocol

from studio.config import Settings
from studio.engine.lm.backend import BackendName
from studio.engine.lm.quality import Quality, ScoreRequest
from studio.engine.lm.requests import CreateRequest, FormatRequest, UnderstandRequest
from studio.engine.lm.results import Description
from studio.engine.planned import Writer
from studio.engine.run import Run
from studio.errors import Cancelled, LeaseLost, StudioError
from studio.jobs.fetching import fetch_missing
from studio.jobs.outcome import outcome
from studio.jobs.presence import Presence
from studio.jobs.spec import LanguageModel

AUTO = "auto"  # the first language model found


class LanguageWriter(Writer, Protocol):
    """What the worker needs of a language model: studio.engine.lm.planner.Planner here, a stand-in in the tests."""

    def create(self, request: CreateRequest, run: Run) -> Description:
        """Make up a song."""

    def format(self, request: FormatRequest, run: Run) -> Description:
        """Rewrite caption and lyrics."""

    def understand(self, request: UnderstandRequest, run: Run) -> Description:
        """Describe the music of codes."""

    def score(self, request: ScoreRequest, run: Run) -> Quality:
        """Say how well codes fit a take."""

    def unload(self) -> None:
        """Give the memory back."""


LmFactory = Callable[[LanguageModel, Settings, Run], LanguageWriter]


def load_planner(wanted: LanguageModel, settings: Settings, run: Run) -> LanguageWriter:
    """Load a language model with torch, which is imported here and nowhere before.

    A published one that isn't here is fetched first, unless it runs on another machine.
    """
    from studio.engine.lm.planner import Planner

    if wanted.backend != BackendName.REMOTE:
        fetch_missing(wanted.name, settings, run)
    return Planner.load(
        wanted.name,
        backend=wanted.backend,
        device=wanted.device or settings.device,
        fallback=wanted.fallback,
        url=settings.lm_url,
        api_key=settings.lm_api_key,
        dirs=(settings.models_dir, settings.checkpoints_dir),
        run=run,
    )


class ResidentLm:
    """Holds at most one language model and tells the worker's row what it holds."""

    def __init__(self, settings: Settings, presence: Presence, factory: LmFactory) -> None:
        self._settings = settings
        self._presence = presence
        self._factory = factory
        self._wanted: LanguageModel | None = None
        self._writer: LanguageWriter | None = None

    def settle(self, init_llm: bool | None, wanted: LanguageModel | None, run: Run) -> None:
        """Do what Initialize asks; a language model that can't be loaded is told in the row and fails nothing.

        Raises Cancelled and LeaseLost.
        """
        if init_llm is False:
            self.unload()
        elif init_llm and wanted is not None:
            error = outcome(lambda: self.require(wanted, run))
            if isinstance(error, Cancelled | LeaseLost):
                raise error

    def require(self, wanted: LanguageModel, run: Run) -> LanguageWriter:
        """Return the language model, loading it when another, none, or one loaded otherwise is in memory."""
        if self._writer is None or self._wanted != wanted:
            return self._load(wanted, run)
        return self._writer

    @property
    def wanted(self) -> Mapping[str, object] | None:
        """Which language model is in memory and how it was asked for, JSON-ready; None without one."""
        return None if self._wanted is None else asdict(self._wanted)

    def load_first(self) -> None:
        """Load the one of the settings, if they name one; raises NotFound when there is none."""
        if not self._settings.lm:
            return
        wanted = LanguageModel(
            name=self._settings.lm,
            backend=self._settings.lm_backend,
            fallback=self._settings.lm_fallback == "on",
        )
        self._load(self._found(wanted), Run())

    def status(self) -> Mapping[str, object]:
        """Return what the row tells."""
        return self._presence.language_model

    def unload(self) -> None:
        """Give the memory of the language model back."""
        writer, self._writer, self._wanted = self._writer, None, None
        if writer is not None:
            writer.unload()
        if self._presence.language_model:
            self._presence.tell_lm({})

    def _found(self, wanted: LanguageModel) -> LanguageModel:
        """Give "auto" its name."""
        from studio.engine.lm.checkpoint import choose_lm

        if wanted.name != AUTO:
            return wanted
        folders = (self._settings.models_dir, self._settings.checkpoints_dir)
        names: list[str] = []
        error = outcome(lambda: names.append(choose_lm(folders)))
        if error is not None:
            self._presence.tell_lm({"state": "failed", "name": AUTO, "error": str(error)})
            raise error
        return replace(wanted, name=names[0])

    def _load(self, wanted: LanguageModel, run: Run) -> LanguageWriter:
        self.unload()
        told = asdict(wanted)
        self._presence.tell_lm({**told, "state": "loading"})
        loaded: list[LanguageWriter] = []
        error = outcome(lambda: loaded.append(self._factory(wanted, self._settings, run)))
        if error is None:
            self._wanted, self._writer = wanted, loaded[0]
            self._presence.tell_lm({**told, **loaded[0].status(), "state": "ready"})
            return loaded[0]
        self._say_why_not(told, error)
        raise error

    def _say_why_not(self, told: Mapping[str, object], error: StudioError) -> None:
        stopped = isinstance(error, Cancelled | LeaseLost)
        self._presence.tell_lm({} if stopped else {**told, "state": "failed", "error": str(error)})
