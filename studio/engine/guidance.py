"""Guidance of base and sft checkpoints: steering away from what the model would do unprompted."""

from __future__ import annotations

import torch
from torch import Tensor

MOMENTUM = -0.75
LARGEST = 2.5  # norm over time, a channel


class ProjectedGuidance:
    """Adaptive projected guidance; one object per run, for it remembers the last steps (engine.md 6.5)."""

    def __init__(self, scale: float) -> None:
        self._scale = scale
        self._running: Tensor | None = None

    def __call__(self, conditional: Tensor, unconditional: Tensor) -> Tensor:
        """Return the guided velocity of two velocities `[B, T, C]`.

        The difference is smoothed, limited in norm and stripped of the part parallel to the conditional velocity;
        all norms run over time, for each channel alone.
        """
        difference = conditional - unconditional
        self._running = difference if self._running is None else difference + MOMENTUM * self._running
        norm = torch.linalg.vector_norm(self._running, dim=1, keepdim=True)
        # A zero norm gives an infinite ratio, which the limit turns into 1.
        limited = self._running * (LARGEST / norm).clamp(max=1.0)
        return conditional + (self._scale - 1) * _orthogonal(limited, conditional)


def _orthogonal(vector: Tensor, direction: Tensor) -> Tensor:
    """The part of `vector` at a right angle to `direction`, over time."""
    precise = torch.float32 if vector.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
    along = torch.nn.functional.normalize(direction.to(precise), dim=1)
    v = vector.to(precise)
    return (v - (v * along).sum(dim=1, keepdim=True) * along).to(vector.dtype)
