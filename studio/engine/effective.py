"""What a request comes to on one checkpoint: every open choice filled in, every rule of that checkpoint checked.

Torch-free, so that a service can tell a user before the job runs what will be used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from studio.engine import prompts
from studio.engine.audio.shape import NORMALIZATION_DB
from studio.engine.model_spec import ModelSpec
from studio.engine.requests import TextToMusic, settings_of
from studio.engine.schedule import untrained
from studio.errors import InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """The choices one run is made with."""

    duration: float  # seconds asked for or filled in
    frames: int  # latent frames computed
    steps: int
    shift: float
    guidance_scale: float  # 1.0 = no guidance
    instruction: str
    lyrics: str
    notes: tuple[str, ...]  # what a user should know about these choices

    def prompt(self, request: TextToMusic) -> prompts.Prompt:
        """Return the texts the model reads."""
        metas = prompts.metas_text(request.metas, self.duration)
        return prompts.Prompt(
            caption=prompts.caption_prompt(self.instruction, request.caption, metas),
            lyrics=prompts.lyrics_prompt(self.lyrics, request.vocal_language),
        )


def fill(request: TextToMusic, spec: ModelSpec) -> Effective:
    """Fill the request's open choices from the checkpoint's defaults.

    Raises InvalidRequest when the checkpoint can't do what is asked.
    """
    defaults = spec.defaults
    steps = defaults.steps if request.sampling.steps is None else request.sampling.steps
    shift = defaults.shift if request.sampling.shift is None else float(request.sampling.shift)
    duration = spec.duration if request.duration is None else float(request.duration)
    if steps > defaults.max_steps:
        raise InvalidRequest("steps", f"be at most {defaults.max_steps} on {spec.family} checkpoints", steps)
    if duration > spec.max_duration:
        raise InvalidRequest("duration", f"be at most {spec.max_duration:g} seconds with {spec.name}", duration)
    return Effective(
        duration=duration,
        frames=spec.sound.frames(duration),
        steps=steps,
        shift=shift,
        guidance_scale=defaults.guidance_scale,
        instruction=prompts.instruction_for(request.task),
        lyrics=prompts.sung_lyrics(request.lyrics, request.instrumental),
        notes=tuple(untrained(steps, shift, defaults)),
    )


def settings(
    request: TextToMusic, effective: Effective, spec: ModelSpec, device: str, dtype: str, notes: Iterable[str] = ()
) -> dict[str, object]:
    """Return the flat JSON-ready mapping every take stores beside the requested one; `notes` are the run's own."""
    filled: Mapping[str, object] = {
        "lyrics": effective.lyrics,
        "duration": effective.duration,
        "inference_steps": effective.steps,
        "shift": effective.shift,
        "guidance_scale": effective.guidance_scale,
        "instruction": effective.instruction,
        "model": spec.name,
        "family": spec.family.value,
        "device": device,
        "dtype": dtype,
        "sample_rate": spec.sound.sample_rate,
        "normalization_db": NORMALIZATION_DB,
        "notes": [*effective.notes, *notes],
    }
    return {**settings_of(request), **filled}
