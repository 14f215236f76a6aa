"""The same checkpoint twice, as the engine's components and as diffusers' pipeline, at mini or at published size.

The published size is filled with random numbers from one seed, in its number type and in memory only; its text encoder
has the published width but two layers and the mini's tokenizer, for it costs both sides the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import nn

from studio.engine.model_spec import FAMILIES, Family, ModelSpec, Sound, VaeClass, spec_for
from studio.engine.run import Run

if TYPE_CHECKING:
    from diffusers import AceStepPipeline

    from studio.engine.loader import Components

MINI = Path(__file__).resolve().parents[1] / "data" / "models" / "acestep-mini-turbo"
SOUND = Sound(
    vae_class=VaeClass.OOBLECK, sample_rate=48000, hop_length=1920, channels=2, latent_channels=64
)  # of the published checkpoints
POOL = 2**20 - 3  # numbers drawn, which repeat: drawing two billion takes longer than the run; odd, so no rows repeat
SPREAD = 0.02  # standard deviation of random weights, as the published config initialises them
Model = TypeVar("Model", bound=nn.Module)


class Size(StrEnum):
    """What is measured."""

    MINI = "mini"  # the bundled checkpoint
    TURBO = "turbo"  # 2B, no guidance
    BASE = "base"  # 2B, with guidance


@dataclass(frozen=True, slots=True)
class Setup:
    """One checkpoint on one device."""

    size: Size
    device: str
    dtype: torch.dtype
    layers: int = 24  # of the 2B DiT; fewer for a quick look

    def spec(self) -> ModelSpec:
        """What the engine has to know of it."""
        if self.size is Size.MINI:
            return spec_for(MINI)
        family = Family(self.size.value)
        return ModelSpec(
            name=f"random-{family}",
            family=family,
            wide=False,
            defaults=FAMILIES[family],
            duration=30.0,
            max_duration=600.0,
            sound=SOUND,
            codes=False,
        )

    def components(self) -> Components:
        """Load or make the weights; the same in every process."""
        from studio.engine.loader import load_components, quiet

        if self.size is Size.MINI:
            return load_components(MINI, self.spec(), device=torch.device(self.device), dtype=self.dtype, run=Run())
        with quiet():
            return _random_components(self)


def pipeline_of(parts: Components) -> AceStepPipeline:
    """Diffusers' pipeline around the same modules; its autoencoder only says the rate, for latents are compared."""
    from diffusers import AceStepPipeline, AutoencoderOobleck, FlowMatchEulerDiscreteScheduler

    vae = AutoencoderOobleck(  # its weights are never used
        encoder_hidden_size=8,
        channel_multiples=[1] * 5,
        decoder_channels=8,
        downsampling_ratios=[2, 4, 4, 6, 10],
        sampling_rate=SOUND.sample_rate,
    )
    pipeline = AceStepPipeline(
        vae=vae,
        text_encoder=parts.text_encoder,
        tokenizer=parts.tokenizer,
        transformer=parts.transformer,
        condition_encoder=parts.condition_encoder,
        scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0),
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def _random_components(setup: Setup) -> Components:
    from diffusers import AceStepTransformer1DModel, AutoencoderOobleck
    from diffusers.pipelines.ace_step import AceStepConditionEncoder
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

    from studio.engine.loader import Components

    tokenizer = PreTrainedTokenizerFast.from_pretrained(MINI / "tokenizer", local_files_only=True)
    text = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=1024,
        intermediate_size=3072,
        num_hidden_layers=2,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=128,
    )
    is_turbo = setup.size is Size.TURBO
    family = setup.size.value
    return Components(
        # The defaults of these classes are the 2B configuration (engine.md 1.3).
        transformer=_filled(
            setup,
            lambda: AceStepTransformer1DModel(num_hidden_layers=setup.layers, is_turbo=is_turbo, model_version=family),
        ),
        condition_encoder=_filled(setup, AceStepConditionEncoder),
        vae=AutoencoderOobleck(encoder_hidden_size=8, channel_multiples=[1] * 5, decoder_channels=8).to(setup.dtype),
        text_encoder=_filled(setup, lambda: Qwen3Model(text)),
        tokenizer=tokenizer,
        audio_tokenizer=None,
        audio_token_detokenizer=None,
        device=torch.device(setup.device),
        dtype=setup.dtype,
    )


def _filled(setup: Setup, make: Callable[[], Model]) -> Model:
    """A model with random weights that never exist in another number type."""
    from accelerate import init_empty_weights

    drawn = torch.empty(POOL, dtype=setup.dtype, device=setup.device)
    drawn.normal_(0, SPREAD, generator=torch.Generator(setup.device).manual_seed(1))
    with init_empty_weights(include_buffers=False):
        model = make()
    state = {}
    for number, (name, parameter) in enumerate(model.named_parameters()):
        shifted = drawn.roll(number * 7919)  # so that no two layers are the same
        state[name] = shifted.repeat(-(-parameter.numel() // POOL))[: parameter.numel()].clone().view(parameter.shape)
        if name.endswith(("norm.weight", "norm_q.weight", "norm_k.weight", "norm_out.weight", "layernorm.weight")):
            state[name] += 1
    model.load_state_dict(state, strict=False, assign=True)
    if isinstance(silence := getattr(model, "silence_latent", None), torch.Tensor):
        silence.normal_(generator=torch.Generator(silence.device).manual_seed(2))
    return model.to(setup.device, setup.dtype).eval().requires_grad_(False)
