"""Seconds by phase; a phase that runs several times is added up."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Starts when it is made. The backends read every token back, so nothing is left queued on the device."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._laps: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def lap(self, name: str) -> Iterator[None]:
        """Add the seconds spent inside to `name`."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self._laps[name] += time.perf_counter() - started

    def timings(self) -> dict[str, float]:
        """Return the laps, and the seconds since the start as `total`."""
        return {**self._laps, "total": time.perf_counter() - self._started}
