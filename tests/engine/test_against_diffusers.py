"""Our steps against diffusers' own on the tiny checkpoints, where both claim the same behaviour."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from studio.engine.effective import fill
from studio.engine.engine import Engine
from studio.engine.guidance import ProjectedGuidance
from studio.engine.loader import quiet
from studio.engine.material import Material
from studio.engine.requests import Metas, TextToMusic
from studio.engine.run import Run
from studio.engine.sampling import Sampling

with quiet():
    from diffusers import AceStepPipeline, AutoencoderOobleck, FlowMatchEulerDiscreteScheduler
    from diffusers.guiders.adaptive_projected_guidance import MomentumBuffer, normalized_guidance

ROOT = Path(__file__).parents[2]
REQUEST = TextToMusic(
    caption="bright pop",
    lyrics="[verse]\nhello",
    vocal_language="en",
    metas=Metas(bpm=120, key_scale="C major", time_signature="4"),
    seeds=(1, 2),
    duration=10.0,
    sampling=Sampling(steps=4, shift=3.0),
)


@pytest.fixture(params=["turbo", "base"])
def both(request: pytest.FixtureRequest) -> Iterator[tuple[Engine, AceStepPipeline]]:
    ours: Engine = request.getfixturevalue("engine" if request.param == "turbo" else "base_engine")
    path: Path = request.getfixturevalue(f"{request.param}_path")
    with quiet():
        pipeline = AceStepPipeline.from_pretrained(path, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    yield ours, pipeline


@pytest.mark.slow
def test_latents_equal_those_of_the_pipeline(both: tuple[Engine, AceStepPipeline]) -> None:
    engine, pipeline = both
    ours, theirs = _latents(engine, pipeline)
    torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["acestep-mini-turbo", "acestep-mini-base"])
def test_latents_of_the_bundled_models_equal_those_of_the_pipeline(name: str) -> None:
    """Diffusers' pipeline around the same modules; its autoencoder only says the rate, for latents are compared."""
    engine = Engine.load(name, device="cpu", dirs=[ROOT / "data" / "models"])
    parts = engine._loaded.parts
    with quiet():
        pipeline = AceStepPipeline(
            vae=AutoencoderOobleck(
                encoder_hidden_size=8,
                channel_multiples=[1] * 5,
                decoder_channels=8,
                downsampling_ratios=[2, 4, 4, 6, 10],
                sampling_rate=48000,
            ),
            text_encoder=parts.text_encoder,
            tokenizer=parts.tokenizer,
            transformer=parts.transformer,
            condition_encoder=parts.condition_encoder,
            scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0),
        )
    pipeline.set_progress_bar_config(disable=True)
    ours, theirs = _latents(engine, pipeline)
    torch.testing.assert_close(ours, theirs, atol=2e-4 * float(theirs.square().mean().sqrt()), rtol=0)


def _latents(engine: Engine, pipeline: AceStepPipeline) -> tuple[torch.Tensor, torch.Tensor]:
    """What both make of the same request and noise, `[B, T, C]`."""
    effective = fill(REQUEST, engine.spec)
    noise = engine.prepare_noise(REQUEST, effective)
    with torch.inference_mode():
        conditions = engine.encode(REQUEST, Material(), effective, None, Run())
        latents = engine.denoise(noise, conditions, effective, Run())
    theirs = pipeline(
        prompt=[REQUEST.caption] * 2,
        lyrics=[REQUEST.lyrics] * 2,
        vocal_language="en",
        audio_duration=10.0,
        bpm=120,
        keyscale="C major",
        timesignature="4",
        num_inference_steps=4,
        guidance_scale=effective.how.guidance_scale,
        shift=3.0,
        latents=noise.start,
        output_type="latent",
    ).audios
    return latents, theirs if theirs.shape == latents.shape else theirs.transpose(1, 2)


def test_guidance_equals_diffusers() -> None:
    generator = torch.Generator().manual_seed(0)
    ours, momentum = ProjectedGuidance(7.0), MomentumBuffer(momentum=-0.75)
    for _ in range(3):
        prompted, plain = (torch.randn(2, 40, 8, generator=generator) for _ in range(2))
        theirs = normalized_guidance(
            prompted,
            plain,
            guidance_scale=6.0,
            momentum_buffer=momentum,
            eta=0.0,
            norm_threshold=2.5,
            use_original_formulation=True,
            norm_dim=(1,),
        )
        torch.testing.assert_close(ours(prompted, plain), theirs)


def test_guidance_between_equal_velocities_changes_nothing() -> None:
    velocity = torch.randn(1, 10, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ProjectedGuidance(7.0)(velocity, velocity), velocity)
