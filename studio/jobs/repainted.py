"""What a repaint left of its source, measured in the very file a person gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from studio.engine.audio.io import read_audio
from studio.engine.audio.likeness import Verdict
from studio.engine.audio.outside import outside
from studio.engine.audio.source import prepare_source
from studio.engine.audio.span import span_of
from studio.engine.edits import Repaint
from studio.engine.effective import fill
from studio.engine.model_spec import ModelSpec
from studio.engine.requests import Request
from studio.engine.results import Take

OUTSIDE = "outside"  # key of a take's effective settings
Prove = Callable[[Take, Path], Take]


def proof(request: Request, spec: ModelSpec) -> Prove:
    """Return what adds to a take, given its finished file, how its outside compares with the source."""
    if not isinstance(request, Repaint):
        return lambda take, file: take
    source = prepare_source(request.source, spec.sound, limit=spec.max_duration).audio
    span = span_of(source.shape[1], request.regions, spec.sound, most=spec.max_duration)
    ramp = spec.sound.samples(fill(request, spec, span.samples / spec.sound.sample_rate).crossfade)

    def prove(take: Take, file: Path) -> Take:
        found = outside(source, read_audio(file)[0], span, ramp)
        if found is None:
            return take
        told = {"verdict": found.verdict.value, "snr": None if found.verdict is Verdict.IDENTICAL else found.snr}
        return replace(take, effective={**take.effective, OUTSIDE: told})

    return prove
