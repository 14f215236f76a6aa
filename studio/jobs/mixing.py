"""Mixes stored recordings into a new take."""

from __future__ import annotations

from time import perf_counter

from studio.engine.audio.decoder import open_stream
from studio.engine.audio.mix import mix, read_like
from studio.engine.results import Take
from studio.engine.run import Phase, Run
from studio.jobs.spec import Mix


def mixed(payload: Mix, run: Run) -> Take:
    """Return the sum of the parts at the rate and with the channels of the first; raises AudioError."""
    start = perf_counter()
    rate, channels = _form_of(payload)
    parts = []
    for index, part in enumerate(payload.parts):
        run.step(Phase.READING, index, len(payload.parts))
        parts.append((read_like(part.path, rate, channels), part.decibels))
    total = mix(parts, rate)
    asked = {
        **payload.facts,
        "task_type": "mix",
        "parts": [{"name": part.name, "gain_db": part.decibels} for part in payload.parts],
    }
    notes = []
    if total.turned_down:
        notes.append(f"turned down by {total.turned_down:.1f} dB, or its true peak would be above -1 dBTP")
    return Take(
        audio=total.audio,
        sample_rate=rate,
        seed=0,  # nothing was drawn
        requested=asked,
        effective={**asked, "duration": total.audio.shape[1] / rate, "notes": notes},
        timings={"total": perf_counter() - start},
    )


def _form_of(payload: Mix) -> tuple[int, int]:
    first = payload.parts[0].path
    with open_stream(first, first.name) as stream:
        return stream.rate, min(2, stream.channels)
