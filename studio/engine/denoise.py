"""The loop from noise to latents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from studio.engine.dit import Velocity
from studio.engine.guidance import ProjectedGuidance, angle_guidance, plain_guidance
from studio.engine.integration import Integration
from studio.engine.run import Phase, Run
from studio.engine.samplers import Noise, correct_wavelet, euler_step, limit_velocity, renoise_step
from studio.engine.sampling import Method, Solver
from studio.engine.tasks import Conditions, Repainted
from studio.errors import SilentOutput

if TYPE_CHECKING:  # takes eight seconds to import; only loader.py does
    from diffusers.models.transformers.ace_step_transformer import AceStepTransformer1DModel


def denoise(
    transformer: AceStepTransformer1DModel,
    noise: Tensor,
    conditions: Conditions,
    how: Integration,
    run: Run,
    *,
    start: Tensor | None = None,
    fresh: Noise | None = None,
    repainted: Repainted | None = None,
    compiled: bool = False,
) -> Tensor:
    """Follow the flow from `noise` `[B, T, C]` through all noise levels; gives latents `[B, T, C]`, float32.

    `start` replaces the noise as the first latents (a source noised part of the way), `fresh` is what the SDE renoises
    with, `repainted` what is kept outside regions, `compiled` runs the DiT through torch.compile. The latents stay in
    float32 between steps whatever the model computes in. Cancel takes effect before the next step. Raises Cancelled,
    and SilentOutput when the result is not finite or zero everywhere (engine.md 6.7).
    """
    latents = noise if start is None else start
    flow = _Flow(transformer, conditions, how, noise.shape[0], compiled)
    for step in range(how.steps):
        run.step(Phase.DIFFUSION, step, how.steps)
        if step == how.switch and conditions.later is not None:
            flow.follow(conditions.later)
        before, level, after = latents, how.levels[step], how.after(step)
        velocity = flow.velocity(latents, level)
        latents = _advance(flow, before, velocity, level, after, fresh)
        if how.wavelet is not None:
            latents = correct_wavelet(latents, before - level * velocity, level, how.wavelet)
        if repainted is not None and step < how.injected:
            kept = after * noise + (1 - after) * repainted.clean
            latents = torch.where(repainted.inside[..., None], latents, kept)
    if repainted is not None and how.blended > 0:
        latents = blend_outside(latents, repainted, how.blended)
    check_latents(latents)
    return latents


def _advance(flow: _Flow, latents: Tensor, velocity: Tensor, level: float, after: float, fresh: Noise | None) -> Tensor:
    """One step from `level` to `after`."""
    if flow.how.method is Method.SDE:
        if fresh is None:
            raise ValueError("the SDE needs fresh noise")
        return renoise_step(latents, velocity, level, after, fresh.draw())
    if flow.how.solver is Solver.HEUN and (after > 0 or flow.how.corrects_last):
        reached = euler_step(latents, velocity, level, after)
        velocity = (velocity + flow.corrector(reached, after, velocity)) / 2
    return euler_step(latents, velocity, level, after)


def blend_outside(latents: Tensor, repainted: Repainted, frames: int) -> Tensor:
    """Fade from the source into each region and back over `frames` frames outside it; farther out is the source.

    The ramps are the inner points of a line from 0 to 1 over the frames there are (engine.md 5.8); where those of two
    regions meet, the higher counts. Regions that are everything or nothing are left alone.
    """
    share = torch.stack([_ramps(row, frames) for row in repainted.inside])[..., None].to(latents.dtype)
    return share * latents + (1 - share) * repainted.clean


def _ramps(inside: Tensor, frames: int) -> Tensor:
    """Share of the new latents at each frame `[T]`."""
    share = inside.float()
    edges = torch.nn.functional.pad(share, (1, 1)).diff()
    firsts, lasts = (edges == 1).nonzero().flatten().tolist(), (edges == -1).nonzero().flatten().tolist()
    if not firsts or share.all():
        return torch.ones_like(share)
    for first, last in zip(firsts, lasts, strict=True):
        rising, falling = min(frames, first), min(frames, len(inside) - last)
        before, after = slice(first - rising, first), slice(last, last + falling)
        share[before] = share[before].maximum(torch.linspace(0, 1, rising + 2, device=share.device)[1:-1])
        share[after] = share[after].maximum(torch.linspace(1, 0, falling + 2, device=share.device)[1:-1])
    return share


def check_latents(latents: Tensor) -> None:
    """Raise SilentOutput when there is nothing to decode."""
    if not torch.isfinite(latents).all():
        raise SilentOutput("the model's result holds values that are not numbers; nothing can be heard in it")
    if not latents.any():
        raise SilentOutput("the model's result is zero everywhere; nothing can be heard in it")


class _Flow:
    """The velocity a run follows: the DiT's, guided, limited and smoothed; it remembers what that needs."""

    def __init__(
        self,
        transformer: AceStepTransformer1DModel,
        conditions: Conditions,
        how: Integration,
        takes: int,
        compiled: bool,
    ) -> None:
        self.how, self._compiled = how, compiled
        self._transformer, self._takes = transformer, takes
        self._projected = ProjectedGuidance(how.guidance_scale)
        self._last: Tensor | None = None
        self.follow(conditions)

    def follow(self, conditions: Conditions) -> None:
        """Take these conditions from now on; guidance and smoothing go on as they were."""
        guided = self.how.guidance_scale > 1
        self._predict = Velocity(
            self._transformer,
            conditions.states.expand(self._takes, -1, -1),
            conditions.context.expand(self._takes, -1, -1),
            conditions.null if guided else None,
            compiled=self._compiled,
        )

    def velocity(self, latents: Tensor, level: float) -> Tensor:
        """Return the velocity `[B, T, C]` of a step that starts at `level`."""
        prompted, other = self._predict(latents, level, unprompted=self.how.is_guided(level))
        if other is None:
            guided = prompted
        elif self.how.adg:
            guided = angle_guidance(latents, prompted, other, level, self.how.guidance_scale)
        else:
            guided = self._projected(prompted, other)
        guided = self._limited(guided, latents)
        if self._last is not None:
            guided = self._smoothed(guided, self._last)
        self._last = guided
        return guided

    def corrector(self, latents: Tensor, level: float, velocity: Tensor) -> Tensor:
        """Return Heun's second velocity, at the end of a step whose first was `velocity` (engine.md 6.4)."""
        prompted, other = self._predict(latents, level, unprompted=self.how.is_guided(level))
        if other is None:
            guided = prompted
        elif self.how.adg and level > 0:
            guided = angle_guidance(latents, prompted, other, level, self.how.guidance_scale)
        else:
            guided = plain_guidance(prompted, other, self.how.guidance_scale)
        return self._smoothed(self._limited(guided, latents), velocity)

    def _limited(self, velocity: Tensor, latents: Tensor) -> Tensor:
        return limit_velocity(velocity, latents, self.how.velocity_limit) if self.how.velocity_limit > 0 else velocity

    def _smoothed(self, velocity: Tensor, last: Tensor) -> Tensor:
        kept = self.how.velocity_smoothing
        return (1 - kept) * velocity + kept * last if kept > 0 else velocity
