"""Pages on a real Studio in a temporary folder; only the engine is a quick stand-in."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pyloudnorm  # noqa: F401 - takes seconds, which a worker would take in the middle of a test
import pytest
import streamlit as st
from safetensors.numpy import save_file
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from studio.config import ROOT, Settings
from studio.engine.model_spec import ModelSpec, spec_for
from studio.engine.requests import TextToMusic
from studio.engine.results import Take
from studio.engine.run import Phase, Run
from studio.engine.setup import Setup
from studio.engine.snapshot import settings_of
from studio.services import Studio, open_studio
from studio.services.views import WorkerState
from studio.ui import runtime
from tests.databases import migrated  # noqa: F401 - for every test here
from tests.jobs.fakes import FakeAdapters
from tests.jobs.writers import Desk
from tests.pages.play import MODEL, wait_for

PARTS = {  # folder -> config and weights file of a checkpoint that passes every check and holds nothing
    "transformer": ({"_class_name": "AceStepTransformer1DModel", "is_turbo": True}, "diffusion_pytorch_model"),
    "condition_encoder": ({"_class_name": "AceStepConditionEncoder"}, "diffusion_pytorch_model"),
    "vae": (
        {"_class_name": "SpectralAutoencoder", "sampling_rate": 8000, "hop_length": 320, "latent_channels": 4},
        "diffusion_pytorch_model",
    ),
    "text_encoder": ({"architectures": ["Qwen3Model"]}, "model"),
}


class Conductor:
    """What a test does to the engine: hold it after a step, make it fail."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.go.set()
        self.hold_at = 0  # step of the diffusion before which the engine waits for `go`
        self.failing: Exception | None = None
        self.codes = False  # whether the checkpoint has an audio tokenizer
        self.limits: dict[str, object] = {}  # what the engine says of its tier
        self.load_failing: Exception | None = None
        self.arrived = (0, 0)  # bytes, and bytes of all: what loading says before it waits for `go`


class FakeEngine:
    """Gives half a second of noise where the real engine gives music."""

    device, dtype = "cpu", "float32"

    def __init__(self, conductor: Conductor, spec: ModelSpec) -> None:
        self._conductor = conductor
        self.spec = spec
        self.adapters = FakeAdapters()

    def status(self) -> dict[str, object]:
        own = {"model": self.spec.name, "device": self.device, "quantization": "none"}
        return {**own, **self._conductor.limits, **self.adapters.state()}

    def generate(self, request: TextToMusic, run: Run) -> list[Take]:
        steps = request.sampling.steps or 8
        for step in range(steps + 1):
            run.step(Phase.DIFFUSION, step, steps)
            if step == self._conductor.hold_at:
                while not self._conductor.go.wait(0.02):
                    run.step(Phase.DIFFUSION, step, steps)
        if self._conductor.failing:
            raise self._conductor.failing
        requested = settings_of(request)
        effective = {
            **requested,
            "duration": getattr(request, "duration", None) or self.spec.duration,
            "inference_steps": steps,
        }
        return [
            Take(
                audio=np.random.default_rng(seed).uniform(-0.5, 0.5, (2, 4000)).astype(np.float32),
                sample_rate=8000,
                seed=seed,
                requested=requested,
                effective={**effective, **self.adapters.state(), "notes": ["a note about the steps"]},
                timings={"total": 0.5},
            )
            for seed in request.seeds
        ]

    def to_codes(self, source: Path, run: Run, *, cut: bool = False) -> tuple[int, ...]:
        return (5, 6, 7)

    def unload(self) -> None:
        pass


@pytest.fixture(scope="session", autouse=True)
def components() -> Iterator[None]:
    """Look through the installed packages for Streamlit's components once, not for every AppTest: it takes a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture
def conductor() -> Conductor:
    return Conductor()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    write_checkpoint(tmp_path / "models" / MODEL)
    return Settings(
        data_dir=tmp_path,
        models_dir=tmp_path / "models",
        checkpoints_dir=tmp_path / "checkpoints",
        secret="only for tests",
        huggingface_endpoint="http://127.0.0.1:9",  # nobody listens there
        modelscope_endpoint="http://127.0.0.1:9",
    )


@pytest.fixture
def studio(settings: Settings, conductor: Conductor, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """The studio the pages will see; its worker is not started."""

    def load(name: str, setup: Setup, given: Settings, run: Run) -> FakeEngine:
        if conductor.load_failing:
            raise conductor.load_failing
        while not conductor.go.wait(0.02):
            run.step(Phase.FETCHING, *conductor.arrived)
        return FakeEngine(conductor, replace(spec_for(given.models_dir / name), codes=conductor.codes))

    st.cache_resource.clear()
    st.cache_data.clear()
    monkeypatch.setattr(runtime, "open_studio", partial(open_studio, engine_factory=load, lm_factory=Desk()))
    monkeypatch.setattr(runtime, "_chosen", [settings])
    yield runtime.studio()
    conductor.go.set()
    st.cache_resource.clear()


@pytest.fixture
def ready(studio: Studio) -> Studio:
    """The studio with its model loaded."""
    studio.start_worker()
    studio.generation.initialize(MODEL)
    wait_for(lambda: studio.status().state == WorkerState.READY)
    return studio


@pytest.fixture
def app(studio: Studio) -> AppTest:
    """Home, drawn once."""
    return AppTest.from_file(ROOT / "Home.py", default_timeout=60).run()


def write_checkpoint(path: Path) -> None:
    """Write a folder that passes the checks of studio.engine.checkpoint."""
    for folder, (config, weights) in PARTS.items():
        (path / folder).mkdir(parents=True)
        (path / folder / "config.json").write_text(json.dumps(config))
        save_file({"nothing": np.zeros(1, np.float32)}, path / folder / f"{weights}.safetensors")
    (path / "tokenizer").mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (path / "tokenizer" / name).write_text("{}")
    own = {"name": path.name, "default_duration": 10.0, "max_duration": 60.0}
    (path / "model_index.json").write_text(json.dumps({"studio": own}))
