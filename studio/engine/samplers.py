"""Noise and single steps along the flow (engine.md 5.9, 6.1, 6.4)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from studio.engine.sampling import WaveletCorrection, WaveletMode

_TINY = 1e-10


class Noise:
    """Gaussian noise of a batch, drawn for each take alone; further draws continue where the last ended.

    A generator of its own makes a take independent of the batch it is made in. Numbers are drawn on the model's device
    and in its type, as in the original, so equal seeds give the original's noise.
    """

    def __init__(
        self, seeds: Sequence[int], frames: int, channels: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        self._shape = (1, frames, channels)
        self._device, self._dtype = device, dtype

    def draw(self) -> Tensor:
        """Return the next noise `[B, frames, channels]`, float32."""
        takes = [
            torch.randn(self._shape, generator=generator, device=self._device, dtype=self._dtype)
            for generator in self._generators
        ]
        return torch.cat(takes).float()


def turn_noise(noise: Tensor, other: Tensor, variance: float) -> Tensor:
    """Return `noise` turned by a share of a right angle towards `other`; both `[B, T, C]` (engine.md 5.9)."""
    angle = variance * math.pi / 2
    return math.cos(angle) * noise + math.sin(angle) * other


def euler_step(latents: Tensor, velocity: Tensor, level: float, next_level: float) -> Tensor:
    """Return the latents at `next_level`: x − v·(t − t_next); the velocity is noise minus data."""
    return latents - velocity * (level - next_level)


def renoise_step(latents: Tensor, velocity: Tensor, level: float, next_level: float, noise: Tensor) -> Tensor:
    """Return τ·ε + (1 − τ)·x₀ with x₀ = x − t·v: the SDE's step to level τ."""
    return next_level * noise + (1 - next_level) * (latents - level * velocity)


def limit_velocity(velocity: Tensor, latents: Tensor, threshold: float) -> Tensor:
    """Scale down a velocity whose norm is above `threshold` norms of its latents, each take alone."""
    norms = [torch.linalg.vector_norm(part, dim=(1, 2), keepdim=True) + _TINY for part in (latents, velocity)]
    factor: Tensor = (threshold * norms[0] / norms[1]).clamp(max=1.0)
    return velocity * factor


def correct_wavelet(latents: Tensor, predicted: Tensor, level: float, correction: WaveletCorrection) -> Tensor:
    """Push `latents` `[B, T, C]` away from the predicted data, the two Haar bands over time each by its share (DCW).

    The low band is scaled with the noise level, the high band with the rest; with an odd T the last frame is paired
    with silence. As the transform is linear, only the difference is taken apart.
    """
    difference = latents - predicted
    if correction.mode is WaveletMode.PIXEL:
        return latents + correction.strength * difference
    frames = difference.shape[1]
    padded = torch.nn.functional.pad(difference, (0, 0, 0, frames % 2))
    pairs = padded.reshape(len(padded), -1, 2, padded.shape[2])
    mean = pairs.mean(dim=2, keepdim=True)
    low = mean.expand_as(pairs).flatten(1, 2)[:, :frames]
    high = (pairs - mean).flatten(1, 2)[:, :frames]
    if correction.mode is not WaveletMode.HIGH:
        latents = latents + level * correction.strength * low
    if correction.mode is WaveletMode.LOW:
        return latents
    strength = correction.strength if correction.mode is WaveletMode.HIGH else correction.high_strength
    return latents + (1 - level) * strength * high
