"""Asks of the language model, answered as the JSON a job's row keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from studio.engine.lm.metadata import Facts
from studio.engine.lm.quality import Quality, ScoreRequest
from studio.engine.lm.requests import UNKNOWN, CreateRequest, FormatRequest
from studio.engine.lm.results import Description
from studio.engine.lm.snapshot import Ask
from studio.engine.run import Run
from studio.errors import InvalidRequest
from studio.jobs.resident_lm import LanguageWriter
from studio.storage.models import Facts as Row


def answer(writer: LanguageWriter, ask: Ask, run: Run) -> Row:
    """Return what came of an ask; raises what the Planner raises."""
    status = writer.status()
    own: Row = {"lm_backend_requested": status["lm_backend_requested"]}
    if isinstance(ask, ScoreRequest):
        model = {key: status[key] for key in ("lm_model", "lm_backend", "lm_notes")}
        return {**own, **model, **quality_row(writer.score(ask, run)), "score_scale": ask.sensitivity}
    own["seed"] = ask.seed
    if isinstance(ask, CreateRequest):
        return {**own, **_words(writer.create(ask, run))}
    if isinstance(ask, FormatRequest):
        return {**own, **_words(writer.format(ask, run))}
    return {**own, **_words(writer.understand(ask, run))}


def score_request(requested: Mapping[str, object], effective: Mapping[str, object], sensitivity: float) -> ScoreRequest:
    """Return what a take is scored by, only from what was stored with it (product.md 2.5).

    The facts are the model's where it chose them and else the user's. Raises InvalidRequest for a take without codes.
    """
    stored, asked = Stored(effective), Stored(requested)
    codes = cast(list[int], effective.get("audio_codes") or [])
    if not codes:
        rule = "be in a take that is scored; this one was made without Think and without codes of your own"
        raise InvalidRequest("audio_codes", rule, [])
    duration, bpm = stored.number("cot_duration") or asked.number("duration"), stored.number("bpm")
    language = stored.text("vocal_language")
    return ScoreRequest(
        codes=tuple(codes),
        caption=stored.text("cot_caption") or stored.text("caption") or "",
        lyrics=stored.text("lyrics") or "",
        facts=Facts(
            bpm=None if bpm is None else int(bpm),
            duration=None if duration is None else int(duration),
            keyscale=stored.text("keyscale"),
            language=None if language == UNKNOWN else language,
            timesignature=stored.text("timesignature"),
        ),
        sensitivity=sensitivity,
    )


class Stored:
    """Values of a JSON mapping by their kind; another kind counts as absent."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def text(self, key: str) -> str | None:
        """Return a text."""
        value = self._values.get(key)
        return value if isinstance(value, str) else None

    def number(self, key: str) -> float | None:
        """Return a number."""
        value = self._values.get(key)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def quality_row(quality: Quality) -> Row:
    """Return a score as JSON: the whole, its parts, and every field with its raw value."""
    return {
        "score": quality.total,
        "score_parts": dict(quality.parts),
        "scores": {name: part.score for name, part in quality.fields.items()},
        "score_raw": {name: part.raw for name, part in quality.fields.items()},
    }


def _words(found: Description) -> Row:
    log: Row = {"lm_log": list(found.log)} if found.log else {}
    return {**found.effective, **log, "timings": {f"lm_{name}": lap for name, lap in found.timings.items()}}
