"""Songs whose words the language model writes first, from a wish or from words to be put better."""

from __future__ import annotations

from dataclasses import replace

from studio.engine.lm.requests import UNKNOWN, CreateRequest, FormatRequest
from studio.engine.lm.snapshot import kind_of
from studio.engine.planned import generate_planned
from studio.engine.requests import Metas, TextToMusic
from studio.engine.results import Take
from studio.engine.run import Run
from studio.engine.snapshot import settings_of
from studio.engine.thinking import Thinking, thinking_settings
from studio.jobs.resident import MusicEngine
from studio.jobs.resident_lm import LanguageWriter
from studio.jobs.writing import Stored, answer
from studio.storage.models import Facts


def sung(
    engine: MusicEngine,
    writer: LanguageWriter,
    request: TextToMusic,
    thinking: Thinking,
    words: CreateRequest | FormatRequest,
    run: Run,
) -> list[Take]:
    """Return the takes of a request, made from the words written for it; its own facts are kept.

    What a take was asked for stays the request as it came; raises what the Planner and the engine raise.
    """
    found = answer(writer, words, run)
    asked = {**settings_of(request), **thinking_settings(thinking), "words": kind_of(words).value}
    used = {key: found[key] for key in ("lm_model", "lm_backend")}
    takes = generate_planned(engine, writer, worded(request, found), replace(thinking, formatted=True), run)
    return [
        replace(
            take,
            requested={**take.requested, **asked},
            effective={**take.effective, **used, "notes": _notes(found.get("lm_notes"), take.effective.get("notes"))},
        )
        for take in takes
    ]


def worded(request: TextToMusic, found: Facts) -> TextToMusic:
    """Return `request` with the caption and the lyrics of an answer, and with its facts where it has none."""
    told, metas = Stored(found), request.metas
    bpm, language = told.number("bpm"), told.text("vocal_language")
    return replace(
        request,
        caption=told.text("caption") or request.caption,
        lyrics=told.text("lyrics") or "",
        vocal_language=request.vocal_language if language in (None, UNKNOWN) else language,
        metas=Metas(
            bpm=metas.bpm if metas.bpm is not None or bpm is None else int(bpm),
            key_scale=metas.key_scale or told.text("keyscale"),
            time_signature=metas.time_signature or told.text("timesignature"),
        ),
        duration=told.number("duration") if request.duration is None else request.duration,
    )


def _notes(*lists: object) -> list[object]:
    return [note for notes in lists if isinstance(notes, list) for note in notes]
