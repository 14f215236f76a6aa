"""One run of the engine, seen from outside: progress goes out and cancel comes in, here only."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from studio.errors import Cancelled


class Phase(StrEnum):
    """What the engine is doing, in the order it happens."""

    FETCHING = "fetching"
    LOADING = "loading"
    THINKING = "thinking"  # the language model writes facts or lyrics
    CODES = "codes"  # the language model writes audio codes
    READING = "reading"  # the language model scores what is there
    PREPARING = "preparing"
    DIFFUSION = "diffusion"
    DECODING = "decoding"
    SAVING = "saving"
    LABELLING = "labelling"  # song after song of a dataset is described
    ENCODING = "encoding"  # song after song of a dataset becomes tensors
    TRAINING = "training"  # of an adapter, which has the device to itself


Listener = Callable[[Phase, int, int], None]


class Run:
    """Reports progress to a listener and stops the work when it is cancelled."""

    def __init__(
        self,
        listener: Listener | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        self._listener = listener
        self._cancelled = cancelled

    def step(self, phase: Phase, done: int, total: int) -> None:
        """Report `done` of `total` units of `phase`; raise `Cancelled` if the user asked to stop."""
        if self._cancelled is not None and self._cancelled():
            raise Cancelled(f"cancelled during {phase} at {done} of {total}")
        if self._listener is not None:
            self._listener(phase, done, total)
