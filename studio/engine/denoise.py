"""The loop from noise to latents."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from studio.engine.guidance import ProjectedGuidance
from studio.engine.run import Phase, Run
from studio.engine.samplers import euler_step
from studio.engine.tasks import Conditions
from studio.errors import SilentOutput

if TYPE_CHECKING:  # takes eight seconds to import; only loader.py does
    from diffusers.models.transformers.ace_step_transformer import AceStepTransformer1DModel


def denoise(
    transformer: AceStepTransformer1DModel,
    noise: Tensor,
    conditions: Conditions,
    levels: Sequence[float],
    guidance_scale: float,
    run: Run,
) -> Tensor:
    """Follow the flow from `noise` `[B, T, C]` through all noise `levels`; gives latents `[B, T, C]`, float32.

    The latents stay in float32 between steps whatever the model computes in. Cancel takes effect before the next step.
    Raises Cancelled, and SilentOutput when the result is not finite or zero everywhere (engine.md 6.7).
    """
    velocity = _Velocity(transformer, conditions, noise.shape[0], guidance_scale)
    latents = noise
    for step, (level, next_level) in enumerate(pairwise(levels)):
        run.step(Phase.DIFFUSION, step, len(levels) - 1)
        latents = euler_step(latents, velocity(latents, level), level, next_level)
    check_latents(latents)
    return latents


def check_latents(latents: Tensor) -> None:
    """Raise SilentOutput when there is nothing to decode."""
    if not torch.isfinite(latents).all():
        raise SilentOutput("the model's result holds values that are not numbers; nothing can be heard in it")
    if not latents.any():
        raise SilentOutput("the model's result is zero everywhere; nothing can be heard in it")


class _Velocity:
    """The DiT as a function of latents and noise level, guided when the scale is above 1."""

    def __init__(
        self, transformer: AceStepTransformer1DModel, conditions: Conditions, takes: int, guidance_scale: float
    ) -> None:
        self._transformer = transformer
        self._guidance = ProjectedGuidance(guidance_scale) if guidance_scale > 1 else None
        states = conditions.states.expand(takes, -1, -1)
        context = conditions.context.expand(takes, -1, -1)
        if self._guidance:  # one pass over a doubled batch: prompted first, then unprompted
            states = torch.cat([states, conditions.null.expand_as(states)])
            context = torch.cat([context, context])
        self._states, self._context = states, context

    def __call__(self, latents: Tensor, level: float) -> Tensor:
        """Return the velocity `[B, T, C]` at noise `level`, float32."""
        if self._guidance is None:
            return self._predict(latents, level)
        prompted, unprompted = self._predict(torch.cat([latents, latents]), level).chunk(2)
        return self._guidance(prompted, unprompted)

    def _predict(self, latents: Tensor, level: float) -> Tensor:
        dtype = self._states.dtype
        moment = torch.full((latents.shape[0],), level, device=latents.device, dtype=dtype)
        velocity: Tensor
        (velocity,) = self._transformer(
            hidden_states=latents.to(dtype),
            timestep=moment,
            timestep_r=moment,
            encoder_hidden_states=self._states,
            context_latents=self._context,
            return_dict=False,
        )
        return velocity.float()
