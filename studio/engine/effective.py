"""What a request comes to on one checkpoint: every open choice filled in, every rule of that checkpoint checked.

Torch-free, so that a service can tell a user before the job runs what will be used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from studio.engine import prompts
from studio.engine.edits import Complete, Cover, Extract, Lego, Repaint, RepaintMode, SourceRequest
from studio.engine.integration import Integration
from studio.engine.model_spec import FAMILIES, MIN_FRAMES, Defaults, Family, ModelSpec
from studio.engine.requests import Request, Task, TextToMusic
from studio.engine.sampling import Guidance, Method
from studio.engine.schedule import Schedule, schedule_for
from studio.engine.snapshot import settings_of
from studio.errors import InvalidRequest

FRAMES_A_CODE = 5  # latent frames of one 5 Hz code
CROSSFADE_FRAMES, CROSSFADE_SECONDS = 25, 0.05  # the widest, of a conservative repaint (engine.md 5.8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effective:
    """The choices one run is made with."""

    duration: float  # seconds asked for, filled in, or the source's
    frames: int  # latent frames computed
    shift: float | None  # None with custom timesteps
    how: Integration
    guidance: Guidance
    cover_strength: float  # share of the steps that follow the source or the codes
    quantized: bool  # whether the source is heard through its 5 Hz codes
    start_level: float  # noise level the source is noised to as a start; 1 = pure noise
    keeps_outside: bool  # a repaint gives back what lies outside its span
    crossfade: float  # seconds outside a repainted span over which sound fades into the source
    instruction: str
    caption: str
    lyrics: str
    notes: tuple[str, ...]  # what a user should know about these choices

    def prompt(self, request: Request) -> prompts.Prompt:
        """Return the texts the model reads."""
        return self._prompt(request, self.instruction)

    def later_prompt(self, request: Request) -> prompts.Prompt:
        """Return the texts of the last steps when the cover strength is below 1: plain text2music (engine.md 3.4)."""
        return self._prompt(request, prompts.instruction_for(Task.TEXT2MUSIC))

    def _prompt(self, request: Request, instruction: str) -> prompts.Prompt:
        metas = prompts.metas_text(request.metas, self.duration)
        return prompts.Prompt(
            caption=prompts.caption_prompt(instruction, self.caption, metas),
            lyrics=prompts.lyrics_prompt(self.lyrics, request.vocal_language),
        )


def fill(request: Request, spec: ModelSpec, source_seconds: float | None = None) -> Effective:
    """Fill the request's open choices from the checkpoint's defaults.

    `source_seconds` is the length of the source with what a repaint adds to it; requests without a source need none.
    Raises InvalidRequest when the checkpoint can't do what is asked.
    """
    _check_task(request, spec)
    guidance = _guidance(request.guidance, spec.defaults)
    duration, frames = _length(request, spec, source_seconds)
    schedule = whole = schedule_for(request.sampling, spec.defaults)
    if isinstance(request, Cover) and request.noise_strength > 0:
        schedule = schedule.from_level(1 - request.noise_strength)
    strength = _cover_strength(request)
    how = _integration(request, spec.defaults.family, schedule, guidance, strength)
    if isinstance(request, Repaint):
        how = _repaint(how, request, spec.defaults.family)
    return Effective(
        duration=duration,
        frames=frames,
        shift=whole.shift,
        how=how,
        guidance=guidance,
        cover_strength=strength,
        quantized=isinstance(request, Cover) and (spec.codes if request.quantized is None else request.quantized),
        start_level=schedule.levels[0] if schedule is not whole else 1.0,
        keeps_outside=isinstance(request, Repaint),
        crossfade=_crossfade(request),
        instruction=_instruction(request),
        caption=_caption(request),
        lyrics=prompts.sung_lyrics(request.lyrics, request.instrumental),
        notes=(*whole.notes, *_notes(request, spec, duration)),
    )


def _check_task(request: Request, spec: ModelSpec) -> None:
    if request.task not in spec.defaults.tasks:
        known, everything = ", ".join(spec.defaults.tasks), FAMILIES[spec.family].tasks
        why = f"{spec.family} checkpoints know no more; base ones do"
        if request.task in everything:
            why = "this checkpoint was trained for no more"
        raise InvalidRequest("task_type", f"be one of {known} with {spec.name}: {why}", request.task.value)
    if isinstance(request, TextToMusic) and request.audio_codes:
        _check_codes(request.audio_codes, spec)
    if not spec.codes and isinstance(request, Cover) and request.quantized:
        rule = f"be off with {spec.name}, which has no audio tokenizer"
        raise InvalidRequest("cover_quantized", rule, request.quantized)


def _check_codes(codes: tuple[int, ...], spec: ModelSpec) -> None:
    """A code outside the codebook would crash the lookup on CUDA, or sound like another one."""
    if not spec.codes:
        raise InvalidRequest("audio_codes", f"be empty with {spec.name}, which has no audio tokenizer", "codes")
    if (highest := max(codes)) >= spec.codebook:
        raise InvalidRequest("audio_codes", f"be whole numbers from 0 to {spec.codebook - 1} with {spec.name}", highest)


def _guidance(wanted: Guidance, defaults: Defaults) -> Guidance:
    """Fill in the scale; a family with guidance built in refuses any other."""
    if defaults.guided:
        return replace(wanted, scale=defaults.guidance_scale if wanted.scale is None else float(wanted.scale))
    family = f"on {defaults.family} checkpoints, which have guidance built in"
    if wanted.scale not in (None, 1.0):
        raise InvalidRequest("guidance_scale", f"be 1 or empty {family}", wanted.scale)
    if wanted.adg:
        raise InvalidRequest("use_adg", f"be off {family}", wanted.adg)
    return replace(wanted, scale=1.0)


def _length(request: Request, spec: ModelSpec, source_seconds: float | None) -> tuple[float, int]:
    """Seconds and latent frames of the result (engine.md 4.5, 5.4)."""
    sound = spec.sound
    if isinstance(request, TextToMusic) and request.audio_codes:
        frames = FRAMES_A_CODE * len(request.audio_codes)
        duration = frames * sound.hop_length / sound.sample_rate
    elif isinstance(request, TextToMusic):
        duration = spec.duration if request.duration is None else float(request.duration)
        frames = sound.frames(duration)
    elif source_seconds is None:
        raise ValueError(f"{request.task} needs the length of its source")
    else:
        duration = source_seconds
        frames = -(-round(duration * sound.sample_rate) // sound.hop_length)
    if duration > spec.max_duration:
        raise InvalidRequest("duration", f"be at most {spec.max_duration:g} seconds with {spec.name}", duration)
    return duration, max(frames, MIN_FRAMES)


def _integration(
    request: Request, family: Family, schedule: Schedule, guidance: Guidance, strength: float
) -> Integration:
    sampling, steps = request.sampling, schedule.steps
    turbo = family is Family.TURBO
    # Base and sft renoise to evenly spaced levels whatever the shift, as the original does (engine.md 6.4).
    even = tuple(1 - (step + 1) / steps for step in range(steps))
    return Integration(
        levels=schedule.levels,
        method=sampling.method,
        solver=sampling.solver,
        renoised=even if sampling.method is Method.SDE and not turbo else (),
        corrects_last=not turbo,
        guidance_scale=guidance.scale or 1.0,
        adg=guidance.adg,
        guided=guidance.levels,
        switch=int(steps * strength) if strength < 1 else None,
        velocity_limit=sampling.velocity_limit,
        velocity_smoothing=sampling.velocity_smoothing,
        wavelet=sampling.wavelet,
    )


def _repaint(how: Integration, request: Repaint, family: Family) -> Integration:
    """Engine.md 5.8; turbo's last step goes to the result itself, so nothing is set back after it."""
    kept = 1 - _freedom(request)
    most = how.steps - 1 if family is Family.TURBO else how.steps
    return replace(how, injected=min(round(kept * how.steps), most), blended=round(CROSSFADE_FRAMES * kept))


def _freedom(request: Repaint) -> float:
    """How far a repaint may leave the source: 0 conservative, 1 aggressive."""
    fixed = {RepaintMode.CONSERVATIVE: 0.0, RepaintMode.AGGRESSIVE: 1.0}
    return fixed.get(request.mode, request.repaint_strength)


def _crossfade(request: Request) -> float:
    return CROSSFADE_SECONDS * (1 - _freedom(request)) if isinstance(request, Repaint) else 0.0


def _cover_strength(request: Request) -> float:
    if isinstance(request, Cover):
        return float(request.strength)
    if isinstance(request, TextToMusic) and request.audio_codes:
        return float(request.cover_strength)
    return 1.0


def _instruction(request: Request) -> str:
    """Text2music with codes is told to do what a cover does (engine.md 5.1)."""
    if isinstance(request, TextToMusic) and request.audio_codes:
        return prompts.instruction_for(Task.COVER)
    if isinstance(request, Lego | Extract):
        return prompts.instruction_for(request.task, (request.track,))
    return prompts.instruction_for(request.task, request.tracks if isinstance(request, Complete) else ())


def _caption(request: Request) -> str:
    """An extraction without words is captioned with its track, as the original's page does."""
    if isinstance(request, Extract) and not request.caption.strip():
        return request.track.value
    return request.caption


def _notes(request: Request, spec: ModelSpec, duration: float) -> Iterable[str]:
    if isinstance(request, TextToMusic) and request.audio_codes:
        if request.duration is not None and request.duration != duration:
            yield f"{duration:g} s, the length of the audio codes, instead of {request.duration:g} s"
    elif isinstance(request, TextToMusic) and request.cover_strength < 1:
        yield "audio_cover_strength has no effect without audio codes"
    if isinstance(request, Cover) and request.quantized is None and not spec.codes:
        yield f"{spec.name} has no audio tokenizer, so it follows the source's latents as they are"


def settings(
    request: Request,
    effective: Effective,
    spec: ModelSpec,
    circumstances: Mapping[str, object],
    notes: Iterable[str] = (),
) -> dict[str, object]:
    """Return the flat JSON-ready mapping every take stores beside the requested one.

    `circumstances` say how the model was kept, `notes` are the run's own.
    """
    how, (lowest, highest) = effective.how, effective.guidance.levels
    filled: Mapping[str, object] = {
        "caption": effective.caption,
        "lyrics": effective.lyrics,
        "duration": effective.duration,
        "inference_steps": how.steps,
        "shift": effective.shift,
        "noise_levels": list(how.levels),
        "guidance_scale": effective.guidance.scale,
        "guided_noise_levels": [lowest, highest],
        "instruction": effective.instruction,
        "model": spec.name,
        "family": spec.family.value,
        **circumstances,
        "sample_rate": spec.sound.sample_rate,
        "notes": [*effective.notes, *notes],
    }
    if isinstance(request, SourceRequest):
        filled = {**filled, "audio_cover_strength": effective.cover_strength}
    if isinstance(request, Cover):
        filled = {**filled, "cover_quantized": effective.quantized}
    if how.switch is not None:
        filled = {**filled, "cover_steps": how.switch}
    return {**settings_of(request), **filled}
