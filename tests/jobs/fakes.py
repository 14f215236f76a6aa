"""A stand-in engine that hums a sine without torch, and a clock that tests move."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from studio.config import Settings
from studio.engine.lora.wanted import AdapterSet
from studio.engine.model_spec import FAMILIES, Family, ModelSpec, Sound, VaeClass
from studio.engine.requests import AudioFormat, TextToMusic
from studio.engine.results import Take
from studio.engine.run import Phase, Run
from studio.engine.setup import Setup
from studio.engine.snapshot import settings_of
from studio.errors import NotFound
from studio.jobs.spec import Generate, Initialize
from studio.storage.database import Database
from studio.storage.migrate import migrate

STEPS = 8
RATE = 8000  # Hz; known to wav, flac and mp3


def spec(name: str = "fake") -> ModelSpec:
    """A turbo checkpoint of this name."""
    return ModelSpec(
        name=name,
        family=Family.TURBO,
        wide=False,
        defaults=FAMILIES[Family.TURBO],
        duration=10.0,
        max_duration=60.0,
        sound=Sound(vae_class=VaeClass.SPECTRAL, sample_rate=RATE, hop_length=320, channels=1, latent_channels=8),
        codes=True,
    )


class FakeAdapters:
    """Remembers what was worn; one that isn't on the model and whose folder is gone fails, as a real one does."""

    def __init__(self) -> None:
        self.worn: list[AdapterSet] = []

    def wear(self, wanted: AdapterSet) -> None:
        there = self.worn[-1].adapters if self.worn else ()
        for one in wanted.adapters:
            if one.sha256 not in [held.sha256 for held in there] and not Path(one.path).exists():
                raise NotFound(f"there is no adapter at {one.path}")
        self.worn.append(wanted)

    def state(self) -> dict[str, object]:
        return (self.worn or [AdapterSet()])[-1].told()


class FakeEngine:
    """Counts its diffusion steps and hums one second a seed."""

    device = "cpu"
    dtype = "float32"

    def __init__(self, name: str = "fake", before_step: Callable[[int], None] = lambda step: None) -> None:
        self.spec = spec(name)
        self.steps_run: list[int] = []
        self.unloaded = False
        self.amplitude = 0.5
        self.adapters = FakeAdapters()
        self._before_step = before_step

    def status(self) -> dict[str, object]:
        return {"model": self.spec.name, "device": self.device, **self.adapters.state()}

    def generate(self, request: TextToMusic, run: Run) -> list[Take]:
        run.step(Phase.PREPARING, 0, 1)
        for step in range(STEPS):
            run.step(Phase.DIFFUSION, step, STEPS)
            self._before_step(step)
            self.steps_run.append(step)
        run.step(Phase.DECODING, 0, 1)
        return [self._take(request, seed) for seed in request.seeds]

    def unload(self) -> None:
        self.unloaded = True

    def _take(self, request: TextToMusic, seed: int) -> Take:
        pitch = 110.0 + seed % 1000
        wave = self.amplitude * np.sin(2 * np.pi * pitch * np.arange(RATE) / RATE)
        effective = {**settings_of(request), "inference_steps": STEPS, "model": self.spec.name} | self.adapters.state()
        return Take(
            audio=wave[None].astype(np.float32),
            sample_rate=RATE,
            seed=seed,
            requested=settings_of(request),
            effective=effective,
            timings={"denoise": 0.1, "total": 0.2},
        )


class Garage:
    """An engine factory that remembers what it built; `broken` models fail to load with the error given."""

    def __init__(self, engine: FakeEngine | None = None) -> None:
        self.engine = engine
        self.built: list[FakeEngine] = []
        self.broken: dict[str, Exception] = {}
        self.setups: list[Setup] = []

    def __call__(self, model: str, setup: Setup, settings: Settings, run: Run) -> FakeEngine:
        self.setups.append(setup)
        run.step(Phase.LOADING, 0, 1)
        if model in self.broken:
            raise self.broken[model]
        engine = self.engine if self.engine is not None else FakeEngine(model)
        self.built.append(engine)
        return engine


class HandClock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, 12, tzinfo=UTC)
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        with self._lock:
            return self.now

    def advance(self, seconds: float) -> None:
        with self._lock:
            self.now += timedelta(seconds=seconds)


def make_settings(folder: Path, **changes: object) -> Settings:
    """Settings whose every path is inside `folder`, with a migrated database."""
    paths = {"data_dir": folder / "data", "models_dir": folder / "models", "checkpoints_dir": folder / "own"}
    settings = Settings(**{**paths, **changes})  # type: ignore[arg-type]
    migrate(settings)
    return settings


def open_database(settings: Settings) -> Database:
    """The database of `settings`."""
    return Database(settings.resolved_database_url)


def song(*seeds: int, model: str = "fake") -> Generate:
    """A request for one take a seed."""
    request = TextToMusic(caption="calm piano", seeds=seeds or (7,))
    return Generate(model=model, audio_format=AudioFormat.WAV, request=request)


def load(model: str = "fake") -> Initialize:
    """A request to load a checkpoint."""
    return Initialize(model=model)
