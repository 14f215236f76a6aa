"""Stands in for `studio train`: `python apprentice.py OUT STEPS PAUSE [complaint]` tells updates without making any.

Asked to end it writes a checkpoint and says so, as the real one does; with a complaint it gives up at once.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from time import sleep


def main(out: str, steps: str, pause: str, complaint: str = "") -> int:
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
    if complaint:
        sys.stderr.write(f"studio: {complaint}\n")
        return 1
    tell(event="started", at=0)
    for step in range(1, int(steps) + 1):
        if asked:
            save(Path(out) / "checkpoints" / f"step_{step - 1}")
            tell(event="ended", status="stopped", step=step - 1)
            return 0
        numbers = {"loss": 1 / step, "smoothed": 1.0, "learning_rate": 1e-4, "grad_norm": 0.1}
        tell(event="step", epoch=step, epochs=int(steps), step=step, steps=int(steps), **numbers)
        if step % 2 == 0:
            save(Path(out) / "checkpoints" / f"epoch_{step}")
        sleep(float(pause))
    tell(event="ended", status="completed", step=int(steps))
    return 0


def tell(**event: object) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def save(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "training_state.pt").write_bytes(b"state")
    tell(event="saved", path=str(folder))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
