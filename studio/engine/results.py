"""What the engine gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # needs torch, which those who only read takes don't
    from studio.engine.score.lyrics import FinishedTake


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One finished piece of audio with what was asked, what was done and how long it took."""

    audio: NDArray[np.float32]  # [channels, samples], within -1..1
    sample_rate: int  # Hz
    seed: int
    requested: Mapping[str, object]  # see snapshot.settings_of
    effective: Mapping[str, object]  # same keys, with every default filled in, plus `instruction` and `model`
    timings: Mapping[str, float]  # seconds by step: encode, denoise, decode, total
    trace: FinishedTake | None = None  # what lyric times and scores are computed from; None for takes without lyrics

    @property
    def duration(self) -> float:
        """Length in seconds."""
        samples: int = self.audio.shape[1]
        return samples / self.sample_rate
