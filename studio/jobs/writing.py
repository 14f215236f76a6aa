"""Asks of the language model, answered as the JSON a job's row keeps; and what a take is scored by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from studio.engine.lm.metadata import Facts
from studio.engine.lm.quality import Quality, ScoreRequest
from studio.engine.lm.requests import UNKNOWN, CreateRequest, FormatRequest
from studio.engine.lm.results import Description
from studio.engine.lm.snapshot import Ask
from studio.engine.run import Run
from studio.jobs.resident_lm import LanguageWriter
from studio.storage.models import Facts as Row


def answer(writer: LanguageWriter, ask: Ask, run: Run) -> Row:
    """Return what came of an ask; raises what the Planner raises."""
    own: Row = {"lm_backend_requested": writer.status()["lm_backend_requested"], "seed": ask.seed}
    if isinstance(ask, CreateRequest):
        return {**own, **_words(writer.create(ask, run))}
    if isinstance(ask, FormatRequest):
        return {**own, **_words(writer.format(ask, run))}
    return {**own, **_words(writer.understand(ask, run))}


def used_model(writer: LanguageWriter) -> Row:
    """Return which language model reads, by which backend, and why by another than asked."""
    status = writer.status()
    return {key: status[key] for key in ("lm_model", "lm_backend", "lm_backend_requested", "lm_notes")}


def score_request(
    requested: Mapping[str, object], effective: Mapping[str, object], sensitivity: float
) -> ScoreRequest | None:
    """Return what a take is scored by, only from what was stored with it (product.md 2.5); None without codes.

    The facts are the model's where it chose them and else the user's.
    """
    stored, asked = Stored(effective), Stored(requested)
    codes = cast(list[int], effective.get("audio_codes") or [])
    if not codes:
        return None
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
