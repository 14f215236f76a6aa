"""Draws tokens: one order of operations and one source of chance for every backend (lm.md 4.1, 4.6).

The order is: guidance, constraint, repetition penalty, temperature, top-k, top-p, draw.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

from studio.engine.lm.requests import Draw
from studio.errors import BackendError

_LIKELY = (1024, 16_384)  # how many of the likeliest are looked at before all are sorted


def uniform(seed: int, stream: str, step: int) -> float:
    """Return a number in [0, 1) that depends on nothing but its arguments: no batch, no device, no order of work."""
    digest = hashlib.blake2b(f"{seed}:{stream}:{step}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / 2**53


def guide(conditional: Tensor, unconditional: Tensor, scale: float) -> Tensor:
    """Return logits pushed away from the unconditional ones (lm.md 4.2)."""
    return unconditional + scale * (conditional - unconditional)


def penalise(logits: Tensor, written: Tensor, penalty: float) -> Tensor:
    """Make what was written before less likely; `written` is a bool tensor shaped as `logits`."""
    return torch.where(written, torch.where(logits > 0, logits / penalty, logits * penalty), logits)


def draw_tokens(logits: Tensor, draw: Draw, chances: list[float]) -> list[int]:
    """Return one column for each row of `logits` `[rows, columns]`; `chances` are the rows' uniform numbers.

    Draws by inverting the cumulative distribution in 64 bits, in the order of the columns.
    """
    if draw.temperature == 0.0:
        return _checked(logits.argmax(dim=-1), logits.amax(dim=-1))
    weights = (logits.float() / draw.temperature).softmax(dim=-1)
    if 0 < draw.top_k < weights.shape[-1]:
        cutoff = weights.topk(draw.top_k, dim=-1).values[:, -1:]
        weights = torch.where(weights >= cutoff, weights, 0.0)
    if 0.0 < draw.top_p < 1.0:
        weights = torch.where(weights >= _nucleus_cutoff(weights, draw.top_p), weights, 0.0)
    return _checked(_invert(weights, chances), logits.amax(dim=-1))


def _nucleus_cutoff(weights: Tensor, top_p: float) -> Tensor:
    """Return the least weight of the smallest set that holds `top_p` of all weight, `[rows, 1]`.

    Sorting 64,000 columns costs more than the rest of a step, so the likeliest are tried first.
    """
    wanted = top_p * weights.sum(dim=-1, keepdim=True)
    for count in (*_LIKELY, weights.shape[-1]):
        ranked = weights.topk(min(count, weights.shape[-1]), dim=-1).values
        if bool((ranked.sum(dim=-1, keepdim=True) >= wanted).all()):
            break
    before = ranked.cumsum(dim=-1) - ranked
    inside = (before < wanted).sum(dim=-1, keepdim=True).clamp(min=1)
    return ranked.gather(-1, inside - 1)


def _invert(weights: Tensor, chances: list[float]) -> Tensor:
    kind = torch.float32 if weights.device.type == "mps" else torch.float64  # MPS has no 64 bits
    total = weights.to(kind).cumsum(dim=-1)
    wanted = torch.tensor(chances, dtype=kind, device=weights.device)[:, None] * total[:, -1:]
    columns = torch.searchsorted(total, wanted, right=True)
    # A chance just below 1 can round up to the whole sum: take the last column that has any weight.
    last = torch.searchsorted(total, total[:, -1:].contiguous())
    return torch.minimum(columns, last)[:, 0]


def _checked(columns: Tensor, evidence: Tensor) -> list[int]:
    """Return the columns as numbers, in one transfer; `evidence` of each row must be finite."""
    fine = evidence.isfinite().to(columns.dtype)
    values: list[list[int]] = torch.stack([columns, fine]).tolist()
    if 0 in values[1]:
        raise BackendError("the language model's output is not a number; its weights or its number type are broken")
    return values[0]
