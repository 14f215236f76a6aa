"""What a training process says of itself: JSON lines in its output folder, read while they are written."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

EVENTS, WORDS, SETTINGS = "train.jsonl", "train.log", "settings.json"
TAIL = 200  # newest lines that are kept
_LAST_WORDS = 2000  # bytes of the error text that are looked at


@dataclass(frozen=True, slots=True)
class Point:
    """One update."""

    step: int
    loss: float
    smoothed: float
    rate: float


@dataclass(slots=True)
class TrainingLog:
    """The events of one output folder; `read` takes in what has come since the last time.

    A run that goes on from a checkpoint begins before the newest update there; what lies behind that point is dropped,
    so the curve is that of the weights. Losses that are no numbers are dropped too.
    """

    folder: Path
    points: list[Point] = field(default_factory=list)
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL))
    last: Mapping[str, object] = field(default_factory=dict)  # the newest update
    saved: list[str] = field(default_factory=list)  # folders, oldest first
    samples: list[Mapping[str, object]] = field(default_factory=list)  # what was rendered meanwhile
    ended: str = ""  # completed or stopped; "" while it runs, or when it was killed
    _offset: int = 0

    def read(self) -> TrainingLog:
        """Take in the lines written since; a half-written last one waits for the next time."""
        try:
            with (self.folder / EVENTS).open("rb") as file:
                self._take(file)
        except FileNotFoundError:
            pass
        return self

    def last_words(self) -> str:
        """Return the last line of the newest process on the error output, where it says why it gave up."""
        try:
            with (self.folder / WORDS).open("rb") as file:
                file.seek(0, 2)
                file.seek(max(0, file.tell() - _LAST_WORDS))
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return text.splitlines()[-1].strip().removeprefix("studio: ") if text.strip() else ""

    def _take(self, file: BinaryIO) -> None:
        file.seek(self._offset)
        for line in file:
            if not line.endswith(b"\n"):
                break
            self._offset += len(line)
            self._hear(line.decode(errors="replace").strip())

    def _hear(self, line: str) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            return  # a line that a full disk or a kill cut in two
        if not isinstance(event, dict):
            return
        self.lines.append(line)
        match event.get("event"):
            case "launched":  # written by whoever starts the process, which may end before it says anything
                self.ended = ""
            case "started":
                at = int(event.get("at", 0))
                self.points = [point for point in self.points if point.step <= at]
            case "step":
                self._step(event)
            case "saved":
                self.saved.append(str(event["path"]))
            case "sample":
                self.samples.append(event)
            case "ended":
                self.ended = str(event.get("status", ""))

    def _step(self, event: Mapping[str, object]) -> None:
        self.last = event
        loss, smoothed, rate = (cast(float, event[key]) for key in ("loss", "smoothed", "learning_rate"))
        if math.isfinite(loss) and math.isfinite(smoothed):
            self.points.append(Point(cast(int, event["step"]), loss, smoothed, rate))


def thinned(points: list[Point], most: int) -> list[Point]:
    """Return at most `most` points, evenly chosen, first and last among them."""
    if len(points) <= most:
        return points
    stride = (len(points) - 1) / (most - 1)
    return [points[round(number * stride)] for number in range(most)]
