"""Per-task inputs of the DiT: context latents and chunk mask (engine.md 5)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Everything that steers the DiT; a leading 1 serves the whole batch."""

    states: Tensor  # [1 or B, L, width], what cross-attention reads
    context: Tensor  # [1 or B, T, 2C], source latents and chunk mask side by side
    null: Tensor  # [1, 1, width], the learned "no condition" of guidance
    notes: tuple[str, ...] = ()


def text2music_context(silence: Tensor) -> Tensor:
    """Return the context `[1, T, 2C]` of making everything anew: silence `[1, T, C]` as source, mask 1 everywhere."""
    return torch.cat([silence, torch.ones_like(silence)], dim=-1)
