"""The flow-matching loss of a batch (training.md 4.1, 4.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from studio.engine.lora.config import Timesteps, TrainSettings
from studio.engine.lora.examples import Batch
from studio.engine.lora.network import Trainable
from studio.engine.model_spec import Defaults, Family
from studio.engine.schedule import noise_levels

MU, SIGMA = -0.4, 1.0  # of the published models' own training
_STEPS = 8
_DROPOUT = 0.15
_ALL = slice(None)


class FlowLoss:
    """Draws noise and levels for a batch and measures how far the DiT's velocity is off."""

    def __init__(self, network: Trainable, null: Tensor, defaults: Defaults) -> None:
        """`null` `[1, 1, H]` stands for no condition."""
        self._network, self._null = network, null.float()
        settings, turbo = network.settings, defaults.family is Family.TURBO
        self.timesteps = settings.timesteps or (Timesteps.DISCRETE if turbo else Timesteps.LOGIT_NORMAL)
        self.shift = defaults.shift if settings.shift is None else settings.shift
        dropout = settings.condition_dropout
        self.dropout = (0.0 if turbo else _DROPOUT) if dropout is None else dropout

    def __call__(
        self, batch: Batch, generator: torch.Generator, *, dropping: bool = True, rows: slice = _ALL
    ) -> Tensor:
        """Return the mean squared error over the real frames, float32; the CPU `generator` decides everything.

        With `rows` it is these songs' share: the shares of all songs add up to the whole.
        """
        device, count, frames = batch.latents.device, len(batch.latents), batch.real.float().sum()
        noise = torch.randn(batch.latents.shape, generator=generator)[rows].to(device)
        levels = self.levels(count, generator)[rows].to(device)
        dropped = torch.rand(count, generator=generator)[rows].to(device) < (self.dropout if dropping else 0.0)
        batch = batch.only(rows)
        states = torch.where(dropped[:, None, None], self._null.to(device), batch.states)
        at = levels[:, None, None]
        noisy = at * noise + (1 - at) * batch.latents
        error = (self._network.velocity(noisy, levels, batch, states) - (noise - batch.latents)).square().mean(-1)
        return (error * batch.real.float()).sum() / frames

    def levels(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw noise levels `[count]`, 1 is noise."""
        if self.timesteps is Timesteps.DISCRETE:
            table = torch.tensor(noise_levels(_STEPS, self.shift)[:-1])
            return table[torch.randint(len(table), (count,), generator=generator)]
        if self.timesteps is Timesteps.LOGIT_NORMAL:
            drawn = MU + SIGMA * torch.randn(2, count, generator=generator)
            return drawn.sigmoid().amax(0)
        even = torch.rand(count, generator=generator)
        return self.shift * even / (1 + (self.shift - 1) * even)


def describe(loss: FlowLoss, settings: TrainSettings) -> dict[str, object]:
    """Return the settings in effect: what was left to the family is filled in."""
    effective = {"timesteps": loss.timesteps.value, "shift": loss.shift, "condition_dropout": loss.dropout}
    return settings.as_row() | effective
