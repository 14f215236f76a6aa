"""Asks of the language model, answered as the JSON a job's row keeps."""

from __future__ import annotations

from studio.engine.lm.quality import Quality, ScoreRequest
from studio.engine.lm.requests import CreateRequest, FormatRequest
from studio.engine.lm.results import Description
from studio.engine.lm.snapshot import Ask
from studio.engine.run import Run
from studio.jobs.resident_lm import LanguageWriter
from studio.storage.models import Facts


def answer(writer: LanguageWriter, ask: Ask, run: Run) -> Facts:
    """Return what came of an ask; raises what the Planner raises."""
    status = writer.status()
    own: Facts = {"lm_backend_requested": status["lm_backend_requested"]}
    if isinstance(ask, ScoreRequest):
        model = {key: status[key] for key in ("lm_model", "lm_backend", "lm_notes")}
        return {**own, **model, **quality_row(writer.score(ask, run)), "score_scale": ask.sensitivity}
    own["seed"] = ask.seed
    if isinstance(ask, CreateRequest):
        return {**own, **_words(writer.create(ask, run))}
    if isinstance(ask, FormatRequest):
        return {**own, **_words(writer.format(ask, run))}
    return {**own, **_words(writer.understand(ask, run))}


def quality_row(quality: Quality) -> Facts:
    """Return a score as JSON: the whole, its parts, and every field with its raw value."""
    return {
        "score": quality.total,
        "score_parts": dict(quality.parts),
        "scores": {name: part.score for name, part in quality.fields.items()},
        "score_raw": {name: part.raw for name, part in quality.fields.items()},
    }


def _words(found: Description) -> Facts:
    log: Facts = {"lm_log": list(found.log)} if found.log else {}
    return {**found.effective, **log, "timings": {f"lm_{name}": lap for name, lap in found.timings.items()}}
