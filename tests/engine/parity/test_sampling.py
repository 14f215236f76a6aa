"""Whole runs give the original's latents: the recorded inputs go through the engine's public steps.

Where February and May differ, the case's arguments choose (golden/README.md): a turbo case without `infer_steps` used
only the schedules turbo was distilled on, and February's base ignored custom timesteps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeGuard, cast

import pytest
import torch
from torch import Tensor

from studio.engine.conditioning import encode_condition
from studio.engine.denoise import denoise
from studio.engine.integration import Integration
from studio.engine.model_spec import Family
from studio.engine.run import Run
from studio.engine.samplers import Noise, turn_noise
from studio.engine.sampling import Method, Sampling, Solver, WaveletCorrection, WaveletMode
from studio.engine.schedule import Schedule, schedule_for
from studio.engine.tasks import Conditions, Repainted, cover_hints
from tests.engine.parity.recordings import LARGEST_ERROR, Case, Recording, error, sampler_cases
from tests.engine.parity.test_components import texts_of


@pytest.mark.parametrize(("recording", "name"), sampler_cases())
@torch.inference_mode()
def test_latents(recording: Recording, name: str) -> None:
    case = _Case(recording, recording.cases[name])
    noise, schedule = case.noise(), case.schedule()
    source, start = recording.inputs["src_latents"][: case.takes], None
    if case.noised:
        start = schedule.levels[0] * noise + (1 - schedule.levels[0]) * source
    latents = denoise(
        recording.models.transformer,
        noise,
        case.conditions(),
        case.integration(schedule),
        Run(),
        start=start,
        fresh=case.fresh_noise(),
        repainted=case.repainted(),
    )
    assert error(latents, recording.outputs[f"{name}/latents"]) <= LARGEST_ERROR


@dataclass(frozen=True)
class _Case:
    """The arguments of one case in the engine's terms."""

    recording: Recording
    given: Case

    @property
    def takes(self) -> int:
        return 1 if self.given.get("first_only") else len(self.recording.inputs["src_latents"])

    @property
    def turbo(self) -> bool:
        return self.recording.defaults.family is Family.TURBO

    def number(self, key: str, default: float) -> float:
        return cast(float, self.given.get(key, default))

    @property
    def noised(self) -> bool:
        """Whether it starts from its source, noised part of the way."""
        return self.number("cover_noise_strength", 0.0) > 0

    def seeded(self, seeds: object) -> Tensor:
        """A list has one generator a take, a single number one for the batch; none is the global generator."""
        _, frames, channels = self.recording.inputs["src_latents"].shape
        if not isinstance(seeds, list):
            return torch.randn(self.takes, frames, channels, generator=self._generator(seeds))
        rows = [torch.randn(1, frames, channels, generator=self._generator(seed)) for seed in seeds[: self.takes]]
        own = [seed for seed in seeds[: self.takes] if _is_seed(seed)]
        if len(own) == len(rows):
            ours = Noise(own, frames, channels, torch.device("cpu"), torch.float32).draw()
            assert torch.equal(ours, torch.cat(rows))
        return torch.cat(rows)

    def _generator(self, seed: object) -> torch.Generator:
        return torch.Generator().manual_seed(seed) if _is_seed(seed) else self._global

    @cached_property
    def _global(self) -> torch.Generator:
        """Stands for the global generator, which the recording seeded before the run."""
        return torch.Generator().manual_seed(cast(int, self.given["manual_seed"]))

    def noise(self) -> Tensor:
        noise = self.seeded(self.given["seed"])
        if "retake_variance" in self.given:
            noise = turn_noise(noise, self.seeded(self.given["retake_seed"]), self.number("retake_variance", 0))
        return noise

    def fresh_noise(self) -> Noise | None:
        """The original renoises from the global generator."""
        if self.given.get("manual_seed") is None:
            return None
        _, frames, channels = self.recording.inputs["src_latents"].shape
        return _SharedNoise(self._global, (self.takes, frames, channels))

    def conditions(self) -> Conditions:
        inputs, models = self.recording.inputs, self.recording.models
        source, mask = inputs["src_latents"], inputs[str(self.given["chunk"])].float()
        frames = source.shape[1]
        if "precomputed_lm_hints_25Hz" in self.extra:
            hints = inputs["lm_hints"][:, :frames]
        else:
            hints = cover_hints(models.audio_tokenizer, models.audio_token_detokenizer, source, self.recording.silence)
        is_cover = torch.tensor(self.given["is_covers"])[:, None, None]
        silence = self.recording.silence[:, :frames].expand_as(source)
        later = self._conditions("non_cover_text", silence, mask) if self.cover_strength < 1 else None
        return self._conditions("text", torch.where(is_cover, hints, source), mask, later)

    def _conditions(self, text: str, source: Tensor, mask: Tensor, later: Conditions | None = None) -> Conditions:
        inputs, encoder = self.recording.inputs, self.recording.models.condition_encoder
        states = encode_condition(encoder, texts_of(inputs, text), inputs["refer_packed"], inputs["refer_order"])
        context = torch.cat([source, mask], dim=-1)
        return Conditions(
            states=states[: self.takes],
            context=context[: self.takes],
            null=encoder.null_condition_emb,
            later=later,
        )

    @property
    def extra(self) -> list[str]:
        return cast(list[str], self.given.get("extra", []))

    @property
    def cover_strength(self) -> float:
        return self.number("audio_cover_strength", 1.0)

    @property
    def steps(self) -> int | None:
        """The steps it asks for, within what the original's sampler takes (engine.md 6.2, 6.3)."""
        steps = cast(int | None, self.given.get("infer_steps"))
        if steps is None:
            return None
        return min(max(steps, 1), self.recording.defaults.max_steps)

    @property
    def timesteps(self) -> tuple[float, ...] | None:
        """The custom noise levels it runs through, without the last 0; None for the usual schedule."""
        wanted = list(cast(list[float] | None, self.given.get("timesteps")) or ())
        while wanted and wanted[-1] == 0:
            wanted.pop()
        if not wanted or not self.recording.obeys_base_timesteps:
            return None
        return tuple(wanted[: self.recording.defaults.max_steps])

    def whole_schedule(self) -> Schedule:
        wanted = Sampling(
            steps=self.steps if self.timesteps is None else None,
            shift=cast(float | None, self.given.get("shift")),
            timesteps=self.timesteps,
            trained_only=self.turbo and self.steps is None,
        )
        return schedule_for(wanted, self.recording.defaults)

    def schedule(self) -> Schedule:
        whole = self.whole_schedule()
        return whole.from_level(1 - self.number("cover_noise_strength", 0.0)) if self.noised else whole

    def switch(self, steps: int) -> int | None:
        """The step from which the later conditions hold; base counts the steps asked for, whatever its timesteps."""
        if self.cover_strength >= 1:
            return None
        counted = steps
        if self.recording.defaults.family is Family.BASE and not self.noised:
            counted = self.steps or steps
        return int(counted * self.cover_strength)

    def integration(self, schedule: Schedule) -> Integration:
        method = Method(str(self.given.get("infer_method", "ode")))
        steps = schedule.steps
        injected = round(self.number("repaint_injection_ratio", 0.0) * steps)
        even = tuple(1 - (step + 1) / steps for step in range(steps))
        return Integration(
            levels=schedule.levels,
            method=method,
            solver=Solver(str(self.given.get("sampler_mode", "euler"))),
            renoised=even if method is Method.SDE and not self.turbo else (),
            corrects_last=not self.turbo,
            # Turbo's sampler has the argument and never looks at it.
            guidance_scale=1.0 if self.turbo else self.number("diffusion_guidance_sale", 1.0),
            adg=bool(self.given.get("use_adg", False)),
            guided=(self.number("cfg_interval_start", 0.0), self.number("cfg_interval_end", 1.0)),
            switch=self.switch(steps),
            velocity_limit=self.number("velocity_norm_threshold", 0.0),
            velocity_smoothing=self.number("velocity_ema_factor", 0.0),
            wavelet=self._wavelet(),
            injected=min(injected, steps - 1) if self.turbo else injected,
            blended=int(self.number("repaint_crossfade_frames", 0)),
        )

    def _wavelet(self) -> WaveletCorrection | None:
        if not self.given.get("dcw_enabled", False):
            return None
        return WaveletCorrection(
            mode=WaveletMode(str(self.given.get("dcw_mode", "double"))),
            strength=self.number("dcw_scaler", 0.05),
            high_strength=self.number("dcw_high_scaler", 0.02),
        )

    def repainted(self) -> Repainted | None:
        """The recordings name the noisy latents `xt` as the clean source of a repaint."""
        if "repaint_mask" not in self.extra:
            return None
        inputs = self.recording.inputs
        clean = inputs.get("clean_src_latents", inputs["xt"])
        return Repainted(clean=clean[: self.takes], inside=inputs["repaint_mask"][: self.takes])


def _is_seed(seed: object) -> TypeGuard[int]:
    """Whether the original seeds a generator of its own with it (engine.md 6.1)."""
    return isinstance(seed, int) and seed >= 0


class _SharedNoise(Noise):
    """Noise of the whole batch from one generator."""

    def __init__(self, generator: torch.Generator, shape: tuple[int, int, int]) -> None:
        self._generator, self._whole = generator, shape

    def draw(self) -> Tensor:
        return torch.randn(self._whole, generator=self._generator)
