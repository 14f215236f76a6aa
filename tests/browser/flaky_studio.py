"""The studio as `python app.py` starts it, with the real engine, which fails or falls silent when a test asks it to.

A file in the data folder asks: `fail` makes every batch fail with the file's text, `silence` gives takes without sound.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from studio.cli import main
from studio.config import Settings
from studio.engine.requests import Request
from studio.engine.results import Take
from studio.engine.run import Run
from studio.engine.setup import Setup
from studio.errors import StudioError
from studio.jobs.resident import MusicEngine, load_engine
from studio.services import open_studio
from studio.ui import runtime


def load(model: str, setup: Setup, settings: Settings, run: Run) -> MusicEngine:
    engine = load_engine(model, setup, settings, run)
    engine.generate = partial(generate, settings.data_dir, engine.generate)  # type: ignore[method-assign]
    return engine


def generate(folder: Path, real: Callable[[Request, Run], Sequence[Take]], request: Request, run: Run) -> list[Take]:
    """Do what the engine does, but for what a test wants to go wrong."""
    if (why := folder / "fail").is_file():
        raise StudioError(why.read_text())
    takes = real(request, run)
    silent = (folder / "silence").is_file()
    return [replace(take, audio=np.zeros_like(take.audio)) if silent else take for take in takes]


if __name__ == "__main__":
    runtime.open_studio = partial(open_studio, engine_factory=load)
    sys.exit(main(["serve", *sys.argv[1:]]))
