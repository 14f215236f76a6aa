"""From noise towards data: the starting noise and one step along the flow (engine.md 6.1, 6.4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def draw_noise(seeds: Sequence[int], frames: int, channels: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return starting noise `[B, frames, channels]`, float32, drawn for each seed alone.

    A generator of its own makes a take independent of the batch it is made in. Numbers are drawn on the model's device
    and in its type, as in the original, so equal seeds give the original's noise.
    """
    takes = []
    for seed in seeds:
        generator = torch.Generator(device).manual_seed(seed)
        takes.append(torch.randn(1, frames, channels, generator=generator, device=device, dtype=dtype))
    return torch.cat(takes).float()


def euler_step(latents: Tensor, velocity: Tensor, level: float, next_level: float) -> Tensor:
    """Return the latents at `next_level`: x − v·(t − t_next); the velocity is noise minus data."""
    return latents - velocity * (level - next_level)
