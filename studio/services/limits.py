"""What the loaded checkpoint and its machine allow, checked before a job waits in vain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from studio.engine.effective import Effective, fill
from studio.engine.memory import Tier, tier_for
from studio.engine.model_spec import ModelSpec
from studio.engine.requests import MAX_BATCH, Request, TextToMusic
from studio.engine.thinking import Thinking
from studio.errors import InvalidRequest
from studio.jobs.presence import LM
from studio.services.forms import form_names
from studio.services.views import ModelView, StatusView


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The longest duration and the largest batch, and what they come from."""

    duration: float  # seconds
    batch: int
    tier: str = ""  # of the device, once a model is loaded


def limits_of(status: StatusView) -> Limits:
    """Return the limits of the loaded model on its device; the absolute ones while nothing is loaded."""
    if status.model is None:
        return Limits(duration=600.0, batch=MAX_BATCH)
    return _limits(status.model, status.loaded)


def check_limits(request: Request, model: ModelView, loaded: Mapping[str, object], thinking: Thinking) -> None:
    """Refuse now what the loaded checkpoint would refuse when the job's turn comes; Think ignores codes given."""
    duration = None
    if isinstance(request, TextToMusic):
        duration = request.duration
        if request.audio_codes and not thinking.codes:
            _check_codes(request.audio_codes, model)
    steps = request.sampling.steps
    if steps is not None and steps > model.max_steps:
        raise InvalidRequest("inference_steps", f"be at most {model.max_steps} with {model.name}", steps)
    limits = _limits(model, loaded)
    if duration is not None and duration > limits.duration:
        raise InvalidRequest("duration", f"be at most {limits.duration:g} seconds with {model.name}", duration)
    if len(request.seeds) > limits.batch:
        rule = f"be at most {limits.batch} on a device of tier {limits.tier}"
        raise InvalidRequest("batch_size", rule, len(request.seeds))


def check_task(request: Request, spec: ModelSpec) -> None:
    """Refuse a task the checkpoint was not made for; its other rules need the source's length, which the job knows."""
    if request.task not in spec.defaults.tasks:
        rule = f"be one of {', '.join(spec.defaults.tasks)} with {spec.name}"
        raise InvalidRequest("task_type", rule, request.task.value)


def fits(request: TextToMusic, spec: ModelSpec, thinking: Thinking) -> Effective:
    """Return what a request comes to on a checkpoint, without the codes that Think would ignore.

    Raises InvalidRequest naming the form's field for what the checkpoint can't do.
    """
    with form_names():
        return fill(replace(request, audio_codes=()) if thinking.codes else request, spec)


def _check_codes(codes: tuple[int, ...], model: ModelView) -> None:
    if not model.codebook:
        raise InvalidRequest("audio_codes", f"be empty with {model.name}, which has no audio tokenizer", "codes")
    if (highest := max(codes)) >= model.codebook:
        rule = f"be whole numbers from 0 to {model.codebook - 1} with {model.name}"
        raise InvalidRequest("audio_codes", rule, highest)


def _limits(model: ModelView, loaded: Mapping[str, object]) -> Limits:
    duration, batch = loaded.get("max_duration"), loaded.get("max_batch")
    if (tier := _tier_beside_lm(loaded)) is not None:
        duration, batch = min(model.max_duration, tier.max_duration(True)), tier.max_batch(True)
    return Limits(
        duration=min(model.max_duration, duration if isinstance(duration, int | float) else model.max_duration),
        batch=batch if isinstance(batch, int) else MAX_BATCH,
        tier=str(loaded.get("tier", "")),
    )


def _tier_beside_lm(loaded: Mapping[str, object]) -> Tier | None:
    """Return the device's tier when a language model shares it; what the engine says of itself is without one."""
    lm, memory = loaded.get(LM), loaded.get("memory_gb")
    if not isinstance(lm, Mapping) or lm.get("state") != "ready" or not isinstance(memory, Mapping):
        return None
    total = memory.get("total")
    tier = tier_for(total) if isinstance(total, int | float) and total > 0 else None
    return tier if tier is not None and tier.name == loaded.get("tier") else None  # a CPU has a tier of its own
