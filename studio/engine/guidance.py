"""Guidance of base and sft checkpoints: steering away from what the model would do unprompted (engine.md 6.5)."""

from __future__ import annotations

import torch
from torch import Tensor

MOMENTUM = -0.75
LARGEST = 2.5  # norm over time, a channel
WIDEST_TURN = 3.14 / 6  # radians; the original's figure, not exactly pi / 6
SMALL_SINE = 1e-3  # below it the ratio of sines is replaced by the ratio of angles


class ProjectedGuidance:
    """Adaptive projected guidance; one object per run, for it remembers the last steps."""

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


def plain_guidance(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Return u + w·(c − u)."""
    return unconditional + scale * (conditional - unconditional)


def angle_guidance(latents: Tensor, conditional: Tensor, unconditional: Tensor, level: float, scale: float) -> Tensor:
    """Return the guided velocity by adaptive dual guidance (ADG); all tensors `[B, T, C]`, `level` above 0.

    Turns the data predicted with the prompt further away from the data predicted without, frame by frame, by at most
    30 degrees.
    """
    weight = max(scale - 1, 0.0) + 0.001
    with_prompt, without = latents - level * conditional, latents - level * unconditional
    difference = with_prompt - without
    precise = torch.float32 if latents.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
    cosine = torch.nn.functional.cosine_similarity(with_prompt.to(precise), without.to(precise), dim=2)
    # Equal vectors may give a cosine a rounding error above 1, whose angle is not a number.
    angle = cosine.clamp(-1 + 1e-6, 1 - 1e-6).acos().unsqueeze(2)
    turned = (weight * angle).clamp(-WIDEST_TURN, WIDEST_TURN)
    along = (difference * without).sum(2, keepdim=True) / ((without * without).sum(2, keepdim=True) + 1e-8)
    aside = difference - along * without
    ratio = torch.where(angle.sin() > SMALL_SINE, turned.sin() / angle.sin(), weight).to(latents.dtype)
    predicted = turned.cos().to(latents.dtype) * with_prompt + aside * ratio
    return (latents - predicted) / level


def _orthogonal(vector: Tensor, direction: Tensor) -> Tensor:
    """The part of `vector` at a right angle to `direction`, over time."""
    precise = torch.float32 if vector.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
    along = torch.nn.functional.normalize(direction.to(precise), dim=1)
    v = vector.to(precise)
    return (v - (v * along).sum(dim=1, keepdim=True) * along).to(vector.dtype)
