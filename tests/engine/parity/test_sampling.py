"""Whole runs give the original's latents: the recorded inputs go through the engine's public steps.

Where February and May differ, the case's arguments choose (golden/README.md): a turbo case without `infer_steps` used
only the schedules turbo was distilled on, and February's base ignored custom timesteps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

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
    if len(schedule.levels) < len(case.whole_schedule().levels):
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
        return 1 if self.given["first_only"] else 2

    @property
    def turbo(self) -> bool:
        return self.recording.defaults.family is Family.TURBO

    def number(self, key: str, default: float) -> float:
        return cast(float, self.given.get(key, default))

    def seeded(self, seeds: object) -> Tensor:
        """A list has one generator a take, a single number one for the batch."""
        _, frames, channels = self.recording.inputs["src_latents"].shape
        if isinstance(seeds, list):
            return Noise(seeds[: self.takes], frames, channels, torch.device("cpu"), torch.float32).draw()
        generator = torch.Generator().manual_seed(cast(int, seeds))
        return torch.randn(self.takes, frames, channels, generator=generator)

    def noise(self) -> Tensor:
        noise = self.seeded(self.given["seed"])
        if "retake_variance" in self.given:
            noise = turn_noise(noise, self.seeded(self.given["retake_seed"]), self.number("retake_variance", 0))
        return noise

    def fresh_noise(self) -> Noise | None:
        """The original renoises from the global generator, which the recording seeded."""
        if self.given["manual_seed"] is None:
            return None
        _, frames, channels = self.recording.inputs["src_latents"].shape
        seed = cast(int, self.given["manual_seed"])
        return _SharedNoise(seed, (self.takes, frames, channels))

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
        return cast(list[str], self.given["extra"])

    @property
    def cover_strength(self) -> float:
        return self.number("audio_cover_strength", 1.0)

    def whole_schedule(self) -> Schedule:
        timesteps = cast(list[float] | None, self.given.get("timesteps"))
        if not self.recording.obeys_base_timesteps:
            timesteps = None
        wanted = Sampling(
            steps=cast(int | None, self.given.get("infer_steps")) if timesteps is None else None,
            shift=cast(float | None, self.given.get("shift")),
            timesteps=tuple(timesteps) if timesteps else None,
            trained_only=self.turbo and "infer_steps" not in self.given,
        )
        return schedule_for(wanted, self.recording.defaults)

    def schedule(self) -> Schedule:
        strength = self.number("cover_noise_strength", 0.0)
        return self.whole_schedule().from_level(1 - strength) if strength > 0 else self.whole_schedule()

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
            guidance_scale=self.number("diffusion_guidance_sale", 1.0),
            adg=bool(self.given.get("use_adg", False)),
            guided=(self.number("cfg_interval_start", 0.0), self.number("cfg_interval_end", 1.0)),
            switch=int(steps * self.cover_strength) if self.cover_strength < 1 else None,
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


class _SharedNoise(Noise):
    """Noise of the whole batch from one generator."""

    def __init__(self, seed: int, shape: tuple[int, int, int]) -> None:
        self._generator, self._whole = torch.Generator().manual_seed(seed), shape

    def draw(self) -> Tensor:
        return torch.randn(self._whole, generator=self._generator)
