"""The studio as `python app.py` starts it, with an engine that hums at once: for what a browser does with takes."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from studio.cli import main
from studio.config import Settings
from studio.engine.requests import TextToMusic
from studio.engine.results import Take
from studio.engine.run import Run
from studio.engine.setup import Setup
from studio.services import open_studio
from studio.ui import runtime
from tests.jobs.fakes import STEPS, FakeEngine

RATE, SECONDS = 24000, 10


class Hummer(FakeEngine):
    """Ten seconds a seed, each batch's second take twice as loud as its first."""

    def generate(self, request: TextToMusic, run: Run) -> list[Take]:
        return [self._hum(take, 0.2 * (1 + index)) for index, take in enumerate(super().generate(request, run))]

    def _hum(self, take: Take, level: float) -> Take:
        time = np.arange(RATE * SECONDS) / RATE
        beat = 0.5 + 0.5 * np.cos(2 * np.pi * 2 * time) ** 8
        wave = level * beat * np.sin(2 * np.pi * (220 + take.seed % 220) * time)
        settings = dict(take.requested)
        return Take(
            audio=np.stack([wave, wave]).astype(np.float32),
            sample_rate=RATE,
            seed=take.seed,
            requested=settings,
            effective={**settings, "inference_steps": STEPS, "duration": float(SECONDS), "model": self.spec.name},
            timings={"denoise": 0.1, "total": 0.2},
        )


def load(model: str, setup: Setup, settings: Settings, run: Run) -> Hummer:
    return Hummer(model)


if __name__ == "__main__":
    runtime.open_studio = partial(open_studio, engine_factory=load)
    sys.exit(main(["serve", *sys.argv[1:]]))
