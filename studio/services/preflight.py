"""What pressing Generate would mean, said before it is pressed: length, memory, time and every limit that applies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import cast

from sqlalchemy import or_, select

from studio.engine.memory import Work
from studio.engine.requests import TextToMusic
from studio.engine.snapshot import settings_of
from studio.engine.thinking import Thinking
from studio.errors import InvalidRequest
from studio.services.forms import build_request, build_thinking, complete_form
from studio.services.limits import check_limits, fits
from studio.services.models import Models
from studio.services.views import ModelView, StatusView
from studio.storage.database import Database
from studio.storage.models import Batch, Take

LOOKED_AT = 40  # past batches of the model, newest first
# What the time of a run depends on; a past run counts when it was asked for the same of each.
_SAME = ("inference_steps", "timesteps", "duration", "batch_size", "guidance_scale", "use_adg", "infer_method")
_BYTES = {"float32": 4}  # of a number, where it isn't 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightView:
    """The outlook on a run."""

    duration: float | None = None  # seconds of music
    steps: int | None = None
    memory: float | None = None  # GB the takes need beside the weights
    free: float | None = None  # GB the device has
    seconds: float | None = None  # the median time of like runs; None without one
    runs: int = 0  # like runs that were found
    notes: tuple[str, ...] = ()
    problem: InvalidRequest | None = None  # why it would be refused


class Preflight:
    """Looks ahead for the loaded model."""

    def __init__(self, database: Database, models: Models) -> None:
        self._database = database
        self._models = models

    def look(self, form: Mapping[str, object], status: StatusView) -> PreflightView:
        """Return what a form comes to on the loaded model; nothing is loaded or stored."""
        if status.model is None:
            return PreflightView()
        try:
            whole = complete_form(form)
            request = build_request(whole, reference=Path("reference") if whole["reference_audio"] else None)
            thinking = build_thinking(whole)
            if not isinstance(request, TextToMusic):
                return PreflightView()  # how long it gets is known to the job, which reads the source
            check_limits(request, status.model, status.loaded, thinking)
        except InvalidRequest as problem:
            return PreflightView(problem=problem)
        return self._outlook(request, thinking, status.model, status)

    def _outlook(self, request: TextToMusic, thinking: Thinking, model: ModelView, status: StatusView) -> PreflightView:
        times = self._times(request, thinking, model.name, status.device)
        seconds = median(times) if times else None
        known = self._models.spec(model.name)
        if known is None:
            return PreflightView(seconds=seconds, runs=len(times))
        spec, width = known
        try:
            effective = fits(request, spec, thinking)
        except InvalidRequest as problem:
            return PreflightView(problem=problem)
        takes = len(request.seeds)
        work = Work(
            family=spec.family,
            wide=spec.wide,
            duration=effective.duration,
            takes=takes,
            width=width,
            number_bytes=_BYTES.get(status.dtype, 2),
        )
        memory = status.loaded.get("memory_gb")
        return PreflightView(
            duration=effective.duration,
            steps=effective.how.steps,
            memory=takes * work.per_take,
            free=cast(Mapping[str, float], memory).get("free") if isinstance(memory, dict) else None,
            seconds=seconds,
            runs=len(times),
            notes=effective.notes,
        )

    def _times(self, request: TextToMusic, thinking: Thinking, model: str, device: str) -> list[float]:
        """Return the seconds that like batches of this machine took, newest first."""
        wanted = settings_of(request)
        place = Take.effective["device"].as_string()
        query = (
            select(Batch.request, Batch.form, Take.timings)
            .join(Take, Take.batch_id == Batch.id)
            .where(Batch.model == model, Take.index == 0, or_(place == device, place.is_(None)))
            .order_by(Batch.created_at.desc())
            .limit(LOOKED_AT)
        )
        with self._database.read() as session:
            rows = session.execute(query).all()
        found = [
            timings
            for asked, form, timings in rows
            if form.get("thinking") == thinking.codes and all(asked.get(key) == wanted.get(key) for key in _SAME)
        ]
        return [float(wall) for timings in found if isinstance(wall := timings.get("wall"), int | float)]
