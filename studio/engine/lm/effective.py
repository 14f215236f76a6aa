"""What a request comes to: what the model is told, what it is asked, what its answer is used for (lm.md 4.4, 4.7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from studio.engine.lm.codes import format_codes, seconds_of
from studio.engine.lm.metadata import FIELDS, Facts
from studio.engine.lm.requests import UNKNOWN, CreateRequest, FormatRequest, PlanRequest, TextRequest
from studio.engine.lm.results import Parsed
from studio.engine.requests import INSTRUMENTAL, MAX_CAPTION, MAX_LYRICS, Metas

NOT_IN_PLANS = "genres"  # the model names them only when it describes a song


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """The settings a take or a form gets, and what a user should know about them."""

    settings: Mapping[str, object]
    caption: str = ""
    lyrics: str = ""
    notes: tuple[str, ...] = ()


def told(metas: Metas | None = None, duration: float | None = None, language: str = UNKNOWN) -> dict[str, str]:
    """Return the facts the user gave, by the model's names and as the model writes them."""
    metas = metas or Metas()
    given: dict[str, object] = {
        "bpm": metas.bpm,
        "duration": None if duration is None else int(duration),
        "keyscale": metas.key_scale,
        "language": None if language == UNKNOWN else language,
        "timesignature": metas.time_signature,
    }
    return {name: str(value) for name, value in given.items() if value is not None}


def told_facts(values: Mapping[str, str]) -> Facts:
    """Return facts that hold only what the user gave."""
    return Facts(
        bpm=int(values["bpm"]) if "bpm" in values else None,
        duration=int(values["duration"]) if "duration" in values else None,
        keyscale=values.get("keyscale"),
        language=values.get("language"),
        timesignature=values.get("timesignature"),
    )


def chosen_facts(request: PlanRequest, values: Mapping[str, str]) -> tuple[str, ...]:
    """Return the facts to ask the model for; none when all are told or the user wants none chosen.

    A caption to rewrite or a language to find is asked for even when the four other facts are told (quirk 15).
    """
    if not request.choose_metas:
        return ()
    off = {NOT_IN_PLANS, *values}
    if not request.rewrite_caption:
        off.add("caption")
    if not request.choose_language:
        off.add("language")
    return tuple(name for name in FIELDS if name not in off)


def fill_plan(request: PlanRequest, facts: Facts, codes: Sequence[int], asked: bool) -> Filled:
    """Return what the DiT gets: the user's values first, then the model's; lyrics are always the user's."""
    notes = []
    caption = facts.caption if request.rewrite_caption and facts.caption else request.caption
    if asked and request.rewrite_caption and not facts.caption:
        notes.append("the language model wrote no caption; yours is used")
    duration = request.duration if request.duration is not None else facts.duration
    settings: dict[str, object] = {
        "caption": caption,
        "lyrics": request.lyrics,
        "bpm": facts.bpm,
        "keyscale": facts.keyscale,
        "timesignature": facts.timesignature,
        "vocal_language": facts.language or request.vocal_language,
        "duration": seconds_of(len(codes)) if codes else duration,
        "audio_codes": format_codes(codes),
        "lm_chose": sorted(facts.known().keys() - told(request.metas, request.duration, request.vocal_language).keys()),
        **_drawn(request),
    }
    return Filled(settings=settings, notes=tuple(notes))


def fill_text(request: TextRequest, parsed: Parsed) -> Filled:
    """Return what the form gets; where the model wrote nothing, the user's own text stays.

    A model that repeats itself can write more than a song may have: what is left out is said.
    """
    notes: list[str] = []
    caption = _fitting(parsed.facts.caption or "", " ", MAX_CAPTION, "caption", notes)
    lyrics = _fitting(parsed.lyrics, "\n", MAX_LYRICS, "lyrics", notes)
    if isinstance(request, FormatRequest):
        if not caption:
            caption = request.caption
            notes.append("the language model wrote no caption; yours is kept")
        if not lyrics:
            lyrics = request.lyrics
            notes.append("the language model wrote no lyrics; yours are kept")
    if isinstance(request, CreateRequest) and request.instrumental and not lyrics:
        lyrics = INSTRUMENTAL
    facts = parsed.facts
    settings: dict[str, object] = {
        "caption": caption,
        "lyrics": lyrics,
        "bpm": facts.bpm,
        "keyscale": facts.keyscale,
        "timesignature": facts.timesignature,
        "vocal_language": facts.language or UNKNOWN,
        "duration": facts.duration,
        "genres": facts.genres or "",
        **_drawn(request),
    }
    if isinstance(request, CreateRequest):
        settings["instrumental"] = request.instrumental
    return Filled(settings=settings, caption=caption, lyrics=lyrics, notes=tuple(notes))


def _fitting(text: str, joint: str, most: int, what: str, notes: list[str]) -> str:
    """Return `text` with fewer than `most` characters, cut at a `joint` where there is one in its second half."""
    if len(text) < most:
        return text
    at = text.rfind(joint, most // 2, most - 1)
    kept = text[: at if at >= 0 else most - 1]
    notes.append(f"of the {len(text)} characters of {what} the language model wrote the first {len(kept)} are used")
    return kept


def _drawn(request: PlanRequest | TextRequest) -> dict[str, object]:
    draw, guidance = request.draw, request.guidance
    return {
        "lm_temperature": draw.temperature,
        "lm_top_k": draw.top_k,
        "lm_top_p": draw.top_p or 1.0,
        "lm_repetition_penalty": draw.repetition_penalty,
        "lm_cfg_scale": guidance.scale,
        "lm_negative_prompt": guidance.negative_prompt,
    }
