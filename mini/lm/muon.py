"""Muon with its products in the precision this machine is fast in; `torch.optim.Muon` always multiplies in half.

A matrix moves along its momentum with all singular values made about one by five steps of Newton and Schulz
(K. Jordan, https://kellerjordan.github.io/posts/muon), scaled to the size of an AdamW step.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

HALVES = torch.cpu._is_avx512_bf16_supported()  # elsewhere half precision takes ten times as long as full
MOMENTUM = 0.95
QUINTIC = (3.4445, -4.7750, 2.0315)
STEPS = 5
SMALLEST = 1e-7  # norm a matrix is divided by at least
ADAM_SIZE = 0.2  # root mean square of a step of AdamW, in rates


class Muon(torch.optim.Optimizer):
    """For matrices alone; `weight_decay` is a share of each matrix, in rates a step."""

    def __init__(self, matrices: Iterable[Tensor], lr: float, weight_decay: float) -> None:
        super().__init__(list(matrices), {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every matrix that has a gradient."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                momentum = self.state[matrix].setdefault("momentum_buffer", torch.zeros_like(matrix))
                momentum.lerp_(matrix.grad, 1 - MOMENTUM)
                move = evened(matrix.grad.lerp(momentum, MOMENTUM))
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(move, alpha=-group["lr"] * ADAM_SIZE * max(matrix.shape) ** 0.5)


def evened(matrix: Tensor) -> Tensor:
    """The matrix `[m, n]` with every singular value about one, between .7 and 1.2, in its own precision."""
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    whole = wide.to(torch.bfloat16 if HALVES else torch.float32)
    whole = whole / whole.norm().clamp(min=SMALLEST)
    linear, cubic, quintic = QUINTIC
    for _ in range(STEPS):
        square = whole @ whole.T
        whole = linear * whole + (cubic * square + quintic * square @ square) @ whole
    return (whole.T if matrix.shape[0] > matrix.shape[1] else whole).to(matrix.dtype)
