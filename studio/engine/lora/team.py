"""The processes that train one adapter together, each on a device of its own, as `accelerate launch` starts them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import torch
from torch import nn

from studio.errors import InvalidRequest

_PATIENCE = timedelta(hours=1)  # of the others while the first one makes takes or measures held-out songs


class Team:
    """This process among them; one that was started by itself is a team of one and never waits."""

    def __init__(self, device: torch.device) -> None:
        """Meet the others; raises InvalidRequest when a numbered `device` is asked for that all would have to share."""
        self.device, self.place, self.count = device, 0, 1
        if not torch.distributed.is_torchelastic_launched():
            return
        from accelerate import Accelerator, InitProcessGroupKwargs

        patience = InitProcessGroupKwargs(timeout=_PATIENCE)
        self._all = Accelerator(cpu=device.type == "cpu", kwargs_handlers=[patience])
        self.place, self.count = self._all.process_index, self._all.num_processes
        if self.count == 1:
            return
        if str(device) != device.type:
            raise InvalidRequest("device", "be without a number: every process takes one of its own", str(device))
        self.device = self._all.device

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes and tells."""
        return self.place == 0

    @property
    def rows(self) -> slice:
        """Which songs of a batch are this process's."""
        return slice(self.place, None, self.count)

    def any(self, flag: bool) -> bool:
        """Return whether a flag is set in one of the processes."""
        if self.count == 1:
            return flag
        if flag:
            self._all.set_trigger()
        return bool(self._all.check_trigger())

    def add_up(self, weights: Sequence[nn.Parameter], loss: float) -> float:
        """Give every process the sum of all gradients, and return the sum of all losses."""
        if self.count == 1:
            return loss
        own = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights]
        flat = torch.cat([grad.flatten() for grad in own] + [own[0].new_tensor([loss])])
        *grads, total = self._all.reduce(flat, "sum").split([weight.numel() for weight in weights] + [1])
        for weight, grad in zip(weights, grads, strict=True):
            weight.grad = grad.view_as(weight)
        return float(total)

    def leave(self) -> None:
        """Part from the others at the end."""
        if self.count > 1:
            self._all.end_training()
