"""From a page's form to a request: every field is read, checked and named in the error by its own key."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from studio.engine.lm.codes import parse_codes
from studio.engine.lm.prompts import NO_INPUT
from studio.engine.lm.requests import Draw
from studio.engine.lm.requests import Guidance as LmGuidance
from studio.engine.requests import MAX_BATCH, MAX_CODE, AudioFormat, Metas, Output, TextToMusic, parse_key_scale
from studio.engine.sampling import Guidance, Method, Sampling
from studio.engine.thinking import Thinking
from studio.errors import InvalidRequest
from studio.services.seeds import seeds_for

AUTO = -1.0  # the duration that lets the checkpoint choose
DEFAULTS: Mapping[str, object] = {
    "caption": "",
    "lyrics": "",
    "instrumental": False,
    "vocal_language": "unknown",
    "bpm": None,
    "keyscale": "",
    "timesignature": "",
    "duration": AUTO,
    "batch_size": 2,
    "inference_steps": None,
    "shift": None,
    "seed": "-1",
    "use_random_seed": True,
    "audio_format": "mp3",
    "guidance_scale": None,
    "use_adg": False,
    "cfg_interval_start": 0.0,
    "cfg_interval_end": 1.0,
    "infer_method": Method.ODE.value,
    "timesteps": "",
    "reference_audio": "",  # key of an uploaded file
    "enable_normalization": True,
    "normalization_db": -1.0,
    "latent_shift": 0.0,
    "latent_rescale": 1.0,
    "auto_score": False,
    "auto_lrc": False,
    "score_scale": 0.5,
    "autogen": False,
    "audio_codes": "",
    "audio_cover_strength": 1.0,
    "thinking": False,
    "use_cot_metas": True,
    "use_cot_caption": True,
    "use_cot_language": True,
    "formatted": False,  # the words were written by the language model and not touched since (product.md 2.7)
    "lm_temperature": 0.85,
    "lm_top_k": 0,
    "lm_top_p": 0.9,
    "lm_repetition_penalty": 1.0,
    "lm_cfg_scale": 2.0,
    "lm_negative_prompt": NO_INPUT,
    "allow_lm_batch": True,
    "lm_batch_chunk_size": 8,
    "constrained_decoding_debug": False,
}
_KEYS = {"key_scale": "keyscale", "time_signature": "timesignature", "steps": "inference_steps"}  # request -> form


def complete_form(form: Mapping[str, object]) -> dict[str, object]:
    """Return `form` with the default of every omitted key; raises InvalidRequest for a key no form has."""
    if unknown := sorted(set(form) - set(DEFAULTS)):
        raise InvalidRequest("form", f"hold only the keys {', '.join(DEFAULTS)}", unknown[0])
    return {**DEFAULTS, **form}


def build_request(form: Mapping[str, object], reference: Path | None = None) -> TextToMusic:
    """Return the request a complete form asks for, with the file behind its reference audio.

    Raises InvalidRequest naming the form's field.
    """
    with form_names():
        return TextToMusic(
            caption=_text(form, "caption"),
            lyrics=_text(form, "lyrics"),
            instrumental=_flag(form, "instrumental"),
            vocal_language=_text(form, "vocal_language"),
            metas=Metas(
                bpm=_whole(form, "bpm"),
                key_scale=parse_key_scale(key) if (key := _text(form, "keyscale").strip()) else None,
                time_signature=_label(form, "timesignature"),
            ),
            sampling=_sampling(form),
            guidance=_guidance(form),
            output=_output(form),
            reference=reference,
            seeds=seeds_for(form["seed"], _batch_size(form), use_random=_flag(form, "use_random_seed")),
            duration=None if (seconds := _number(form, "duration")) == AUTO else seconds,
            audio_codes=read_codes(_text(form, "audio_codes")),
            cover_strength=_given(form, "audio_cover_strength"),
        )


def _sampling(form: Mapping[str, object]) -> Sampling:
    method = form["infer_method"]
    if method not in list(Method):
        raise InvalidRequest("infer_method", f"be one of {', '.join(Method)}", method)
    return Sampling(
        steps=_whole(form, "inference_steps"),
        shift=_number(form, "shift"),
        timesteps=_numbers(form, "timesteps"),
        method=Method(str(method)),
    )


def _guidance(form: Mapping[str, object]) -> Guidance:
    return Guidance(
        scale=_number(form, "guidance_scale"),
        adg=_flag(form, "use_adg"),
        start=_given(form, "cfg_interval_start"),
        end=_given(form, "cfg_interval_end"),
    )


def _output(form: Mapping[str, object]) -> Output:
    return Output(
        normalize=_flag(form, "enable_normalization"),
        peak=_given(form, "normalization_db"),
        latent_shift=_given(form, "latent_shift"),
        latent_rescale=_given(form, "latent_rescale"),
    )


def build_thinking(form: Mapping[str, object]) -> Thinking:
    """Return what a complete form asks of the language model; raises InvalidRequest naming the form's field."""
    return Thinking(
        codes=_flag(form, "thinking"),
        metas=_flag(form, "use_cot_metas"),
        caption=_flag(form, "use_cot_caption"),
        language=_flag(form, "use_cot_language"),
        formatted=_flag(form, "formatted"),
        draw=Draw(
            temperature=_given(form, "lm_temperature"),
            top_k=_whole(form, "lm_top_k") or 0,
            top_p=_given(form, "lm_top_p"),
            repetition_penalty=_given(form, "lm_repetition_penalty"),
        ),
        guidance=LmGuidance(scale=_given(form, "lm_cfg_scale"), negative_prompt=_text(form, "lm_negative_prompt")),
        parallel=_flag(form, "allow_lm_batch"),
        chunk_size=int(_given(form, "lm_batch_chunk_size", whole=True)),
        debug=_flag(form, "constrained_decoding_debug"),
    )


def auto_score(form: Mapping[str, object]) -> float | None:
    """Return the sensitivity of the score every take gets, None when none is wanted."""
    sensitivity = _given(form, "score_scale")
    if not 0.01 <= sensitivity <= 1:
        raise InvalidRequest("score_scale", "be from 0.01 to 1", form["score_scale"])
    return sensitivity if _flag(form, "auto_score") else None


def read_codes(text: str) -> tuple[int, ...]:
    """Return the codes of a codes box, none for an empty one; raises InvalidRequest for anything that is no code.

    The box refuses a number beyond the largest codebook: clamped, as the original does, it would be another sound.
    """
    if not text.strip():
        return ()
    parsed = parse_codes(text)
    if parsed.clamped:
        raise InvalidRequest("audio_codes", f"be whole numbers from 0 to {MAX_CODE}", parsed.clamped[0])
    return parsed.codes


def audio_format(form: Mapping[str, object]) -> AudioFormat:
    """Return the file format a complete form asks for."""
    value = form["audio_format"]
    if value not in list(AudioFormat):
        raise InvalidRequest("audio_format", f"be one of {', '.join(AudioFormat)}", value)
    return AudioFormat(str(value))


@contextmanager
def form_names() -> Iterator[None]:
    """Give errors of a request the names its form uses."""
    try:
        yield
    except InvalidRequest as error:
        raise InvalidRequest(_KEYS.get(error.field, error.field), error.rule, error.value) from error


def _text(form: Mapping[str, object], key: str) -> str:
    value = form[key]
    if not isinstance(value, str):
        raise InvalidRequest(key, "be text", value)
    return value


def _flag(form: Mapping[str, object], key: str) -> bool:
    value = form[key]
    if not isinstance(value, bool):
        raise InvalidRequest(key, "be true or false", value)
    return value


def _label(form: Mapping[str, object], key: str) -> str | None:
    """Read a choice that may be text or a number; empty is no choice."""
    value = form[key]
    if value is not None and type(value) not in (str, int):
        raise InvalidRequest(key, "be text", value)
    return (str(value).strip() if value is not None else "") or None


def _number(form: Mapping[str, object], key: str) -> float | None:
    """Read a number that may be given as text; empty is None."""
    value = form[key]
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidRequest(key, "be a number or empty", value)
    try:
        number = float(value)
    except (ValueError, OverflowError) as error:
        raise InvalidRequest(key, "be a number or empty", value) from error
    if not math.isfinite(number):
        raise InvalidRequest(key, "be a number or empty", value)
    return number


def _given(form: Mapping[str, object], key: str, *, whole: bool = False) -> float:
    """Read a number that has no empty state."""
    number = _whole(form, key) if whole else _number(form, key)
    if number is None:
        raise InvalidRequest(key, "be a number", form[key])
    return number


def _whole(form: Mapping[str, object], key: str) -> int | None:
    number = _number(form, key)
    if number is not None and not number.is_integer():
        raise InvalidRequest(key, "be a whole number or empty", form[key])
    return None if number is None else int(number)


def _numbers(form: Mapping[str, object], key: str) -> tuple[float, ...] | None:
    """Read numbers with commas between; empty is None. The full-width comma is what some keyboards type."""
    text = _text(form, key).replace("，", ",").strip()
    if not text:
        return None
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise InvalidRequest(key, "be numbers from 1 down to 0 with commas between", text) from error


def _batch_size(form: Mapping[str, object]) -> int:
    size = _whole(form, "batch_size")
    # Checked before seeds are drawn: a size of a billion must not draw a billion.
    if size is None or not 1 <= size <= MAX_BATCH:
        raise InvalidRequest("batch_size", f"be from 1 to {MAX_BATCH}", form["batch_size"])
    return size
