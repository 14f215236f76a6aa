"""Writes what a run tells as TensorBoard's event files, under the original's names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, cast

from studio.engine.quiet import quiet

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "logs"  # as the original has it
_TAGS = {
    "step": {
        "loss": "train/loss",
        "smoothed": "train/smoothed",
        "learning_rate": "train/lr",
        "grad_norm": "train/grad_norm",
    },
    "validation": {"loss": "validation/loss"},
}


class Board:
    """One run's event file in its output folder; a run that goes on adds another."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._writer: SummaryWriter | None = None

    def hear(self, event: Mapping[str, object]) -> None:
        """Write the numbers of an event; others are passed over."""
        for name, tag in _TAGS.get(str(event["event"]), {}).items():
            if self._writer is None:  # begun here: of several processes only one hears any
                with quiet():
                    from torch.utils.tensorboard import SummaryWriter

                    self._writer = SummaryWriter(str(self._out / FOLDER))
            self._writer.add_scalar(tag, cast(float, event[name]), cast(int, event["step"]))

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()
