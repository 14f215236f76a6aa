"""Times 10 s of text2music on the bundled model: loading, the first run (which warms caches up) and the second."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from studio.engine.engine import Engine
from studio.engine.requests import TextToMusic
from studio.engine.run import Run

ROOT = Path(__file__).resolve().parents[1]
MODEL = "acestep-mini-turbo"


def main() -> int:
    """Print seconds, one line a measurement."""
    start = time.perf_counter()
    engine = Engine.load(MODEL, dirs=[ROOT / "data" / "models"])
    print(f"load        {time.perf_counter() - start:7.2f} s")
    request = TextToMusic(caption="fast electronic track with drums and bass, 140 bpm", duration=10.0, seeds=(7,))
    for name in ("first run", "second run"):
        take = engine.generate(request, Run())[0]
        parts = ", ".join(f"{part} {seconds:.2f}" for part, seconds in take.timings.items() if part != "total")
        print(f"{name:11} {take.timings['total']:7.2f} s  ({parts}; {take.duration:.1f} s of audio)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
