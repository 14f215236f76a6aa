"""The studio as `python app.py` starts it, with the real engine, whose memory runs out when a test asks for it.

A file `starve` in the data folder asks; it is gone afterwards, so the next run has memory again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from studio.cli import main
from studio.config import Settings
from studio.engine.requests import Request
from studio.engine.results import Take
from studio.engine.run import Run
from studio.engine.setup import Setup
from studio.jobs.resident import MusicEngine, load_engine
from studio.services import open_studio
from studio.ui import runtime


def load(model: str, setup: Setup, settings: Settings, run: Run) -> MusicEngine:
    engine = load_engine(model, setup, settings, run)
    engine.generate = partial(generate, settings.data_dir / "starve", engine.generate)  # type: ignore[method-assign]
    return engine


def generate(asked: Path, real: Callable[[Request, Run], Sequence[Take]], request: Request, run: Run) -> list[Take]:
    """Do what the engine does, or fail as torch does on a full card."""
    if asked.is_file():
        asked.unlink()
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")
    return list(real(request, run))


if __name__ == "__main__":
    runtime.open_studio = partial(open_studio, engine_factory=load)
    sys.exit(main(["serve", *sys.argv[1:]]))
