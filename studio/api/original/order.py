"""From the fields of release_task to a form, with the original's defaults (product.md 4.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from babel import Locale

from studio.api.original.fields import FIELDS, FORM_KEYS, as_list, original_names, read_fields
from studio.engine.lm.prompts import NO_INPUT
from studio.engine.prompts import instruction_for
from studio.engine.requests import LANGUAGES, Task
from studio.errors import InvalidRequest
from studio.services import reading
from studio.services.asks import UNKNOWN, CreateSample, Format, LmSampling
from studio.services.forms import DEFAULTS, build_thinking, complete_form

_OWN_DEFAULTS: Mapping[str, object] = {"vocal_language": "en", "inference_steps": 8, "shift": 3.0, "lm_cfg_scale": 2.5}
_STATED: Mapping[str, tuple[str, ...]] = {  # clients write these out; they leave it to the checkpoint and the server
    "guidance_scale": ("7", "7.0"),
    "lm_backend": ("vllm",),
}
_FIXED: Mapping[str, tuple[bool, str]] = {
    "use_tiled_decode": (True, "be true; the studio always decodes in tiles"),
    "constrained_decoding": (True, "be true; the studio always holds the language model to its grammar"),
    "analysis_only": (False, "be false; a task of this studio always makes music"),
    "full_analysis_only": (False, "be false; a task of this studio always makes music"),
}
_NOT_NAMED = ("la", "sa", UNKNOWN)  # in a wish "Latin" is a kind of music


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A task as our services take it; a model that was named must be the one that is loaded."""

    form: Mapping[str, object]
    words: CreateSample | Format | None
    model: str = ""
    lm_model: str = ""
    lm_backend: str = ""


def read_order(sent: Mapping[str, object]) -> Order:
    """Return what a client asks for.

    Raises InvalidRequest, by the original's name of the field, for whatever the studio can't do as it is asked.
    """
    given = read_fields(sent, FIELDS)
    for name, (only, rule) in _FIXED.items():
        if given.get(name, only) != only:
            raise InvalidRequest(name, rule, given[name])
    for name, stated in _STATED.items():
        if str(given.get(name)) in stated:
            del given[name]
    with original_names(FORM_KEYS):
        form = _form(given)
        words = _words(given, form)
        if isinstance(words, CreateSample):
            form |= {"caption": words.description or NO_INPUT}
            form |= {"instrumental": words.instrumental, "vocal_language": words.language}
        _check_instruction(given, form)
    model, lm, backend = (str(given.get(name, "")) for name in ("model", "lm_model_path", "lm_backend"))
    return Order(form=form, words=words, model=model, lm_model=lm, lm_backend=backend)


def read_format(given: Mapping[str, object]) -> Format:
    """Return what the language model is to put better; raises InvalidRequest by the original's name of a field."""
    with original_names(FORM_KEYS):
        return _format({**_form(given), "vocal_language": given.get("vocal_language", UNKNOWN)})


def _form(given: Mapping[str, object]) -> dict[str, object]:
    form = {**DEFAULTS, **_OWN_DEFAULTS}
    for name, key in FORM_KEYS.items():
        if name in given:
            form[key] = given[name]
    if isinstance(form["timesteps"], list):
        form["timesteps"] = ", ".join(map(str, form["timesteps"]))
    form["complete_track_classes"] = as_list("track_classes", form["complete_track_classes"])
    return complete_form(form)


def _words(given: Mapping[str, object], form: Mapping[str, object]) -> CreateSample | Format | None:
    if given.get("sample_mode") or "sample_query" in given:
        return _wish(given, form)
    return _format(form) if given.get("use_format") else None


def _wish(given: Mapping[str, object], form: Mapping[str, object]) -> CreateSample:
    """The language and whether anybody sings may stand in the words of the wish; what is given as a field wins."""
    if given.get("use_format"):
        raise InvalidRequest("use_format", "be false with a sample, whose words the language model writes anyway", True)
    for name in ("prompt", "lyrics"):
        if name in given:
            raise InvalidRequest(name, "be empty with a sample, for which the language model writes it", given[name])
    wish = reading.text({"sample_query": "", **given}, "sample_query")
    words = set(re.findall(r"[^\W\d_]+", wish.lower()))
    spoken = reading.text(form, "vocal_language") if "vocal_language" in given else _language_in(words)
    alone = bool(words & {"instrumental", "solo"})
    return CreateSample(description=wish, instrumental=alone, language=spoken, sampling=_sampling(form))


def _format(form: Mapping[str, object]) -> Format:
    return Format(
        caption=reading.text(form, "caption"),
        lyrics=reading.text(form, "lyrics"),
        bpm=reading.whole(form, "bpm"),
        key_scale=reading.text(form, "keyscale"),
        time_signature=reading.label(form, "timesignature"),
        duration=reading.number(form, "duration"),
        language=reading.text(form, "vocal_language"),
        sampling=_sampling(form),
    )


def _sampling(form: Mapping[str, object]) -> LmSampling:
    thinking = build_thinking(form)
    draw = thinking.draw
    return LmSampling(
        temperature=draw.temperature,
        top_k=draw.top_k,
        top_p=draw.top_p,
        repetition_penalty=draw.repetition_penalty,
        debug=thinking.debug,
    )


def _language_in(words: set[str]) -> str:
    return next((code for name, code in _languages().items() if name in words), UNKNOWN)


@cache
def _languages() -> dict[str, str]:
    names = Locale("en").languages
    return {"bengali": "bn", **{names[code].lower(): code for code in LANGUAGES if code not in _NOT_NAMED}}


def _check_instruction(given: Mapping[str, object], form: Mapping[str, object]) -> None:
    if "instruction" not in given or form["task_type"] not in list(Task):
        return
    tracks = [name for name in (form["track_name"], *reading.names(form, "complete_track_classes")) if name]
    own = instruction_for(str(form["task_type"]), [str(name) for name in tracks])
    if str(given["instruction"]).strip().rstrip(":") != own.rstrip(":"):
        raise InvalidRequest("instruction", f"be empty or {own!r}, which the task brings along", given["instruction"])
