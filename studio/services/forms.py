"""From a page's form to a request: every field is read, checked and named in the error by its own key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from studio.engine.edits import Complete, Cover, Extract, Lego, Repaint, RepaintMode
from studio.engine.lm.prompts import NO_INPUT
from studio.engine.lm.requests import Draw
from studio.engine.lm.requests import Guidance as LmGuidance
from studio.engine.requests import (
    MAX_BATCH,
    AudioFormat,
    Metas,
    Output,
    Request,
    Task,
    TextToMusic,
    Track,
    parse_key_scale,
)
from studio.engine.sampling import Guidance, Method, Sampling
from studio.engine.snapshot import SOURCE_END, Shared, end_of
from studio.engine.thinking import Thinking
from studio.errors import InvalidRequest
from studio.services import reading as read
from studio.services.seeds import seeds_for

AUTO = -1.0  # the duration that lets the checkpoint choose
_TASK_DEFAULTS: Mapping[str, object] = {  # of the tasks on a source; text2music has no use for them
    "task_type": Task.TEXT2MUSIC.value,
    "src_audio": "",  # key of an uploaded file
    "cover_noise_strength": 0.0,
    "cover_quantized": None,  # None: through codes if the checkpoint can
    "repainting_start": 0.0,
    "repainting_end": SOURCE_END,
    "repainting_more": [],  # [start, end] of every further region of a repaint, in order
    "repaint_mode": RepaintMode.BALANCED.value,
    "repaint_strength": 0.5,
    "track_name": "",
    "complete_track_classes": [],
}
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
    **_TASK_DEFAULTS,
}
_KEYS = {"key_scale": "keyscale", "time_signature": "timesignature", "steps": "inference_steps"}  # request -> form
Choice = TypeVar("Choice", bound=StrEnum)


def complete_form(form: Mapping[str, object]) -> dict[str, object]:
    """Return `form` with the default of every omitted key; raises InvalidRequest for a key no form has."""
    if unknown := sorted(set(form) - set(DEFAULTS)):
        raise InvalidRequest("form", f"hold only the keys {', '.join(DEFAULTS)}", unknown[0])
    return {**DEFAULTS, **form}


def build_request(form: Mapping[str, object], reference: Path | None = None, source: Path | None = None) -> Request:
    """Return the request a complete form asks for, with the files behind its reference and its source audio.

    Raises InvalidRequest naming the form's field.
    """
    with form_names():
        task, shared = _choice(form, "task_type", Task), _shared(form, reference)
        if task is Task.TEXT2MUSIC:
            return TextToMusic(
                **shared,
                duration=None if (seconds := read.number(form, "duration")) == AUTO else seconds,
                audio_codes=read.codes(read.text(form, "audio_codes")),
                cover_strength=read.given(form, "audio_cover_strength"),
            )
        if source is None:
            raise InvalidRequest("src_audio", f"not be empty for {task}", form["src_audio"])
        return _edit(task, form, shared, source)


def _edit(task: Task, form: Mapping[str, object], shared: Shared, source: Path) -> Request:
    if task is Task.COVER:
        return Cover(
            **shared,
            source=source,
            strength=read.given(form, "audio_cover_strength"),
            noise_strength=read.given(form, "cover_noise_strength"),
            quantized=None if form["cover_quantized"] is None else read.flag(form, "cover_quantized"),
        )
    if task is Task.REPAINT:
        return Repaint(
            **shared,
            source=source,
            start=read.given(form, "repainting_start"),
            end=_span_end(form),
            more=tuple((start, end_of(end)) for start, end in read.pairs(form, "repainting_more")),
            mode=_choice(form, "repaint_mode", RepaintMode),
            repaint_strength=read.given(form, "repaint_strength"),
        )
    if task is Task.LEGO:
        start, end = read.given(form, "repainting_start"), _span_end(form)
        return Lego(**shared, source=source, track=_choice(form, "track_name", Track), start=start, end=end)
    if task is Task.EXTRACT:
        return Extract(**shared, source=source, track=_choice(form, "track_name", Track))
    return Complete(**shared, source=source, tracks=_tracks(form))


def _shared(form: Mapping[str, object], reference: Path | None) -> Shared:
    return {
        "caption": read.text(form, "caption"),
        "lyrics": read.text(form, "lyrics"),
        "instrumental": read.flag(form, "instrumental"),
        "vocal_language": read.text(form, "vocal_language"),
        "metas": Metas(
            bpm=read.whole(form, "bpm"),
            key_scale=parse_key_scale(key) if (key := read.text(form, "keyscale").strip()) else None,
            time_signature=read.label(form, "timesignature"),
        ),
        "sampling": Sampling(
            steps=read.whole(form, "inference_steps"),
            shift=read.number(form, "shift"),
            timesteps=read.numbers(form, "timesteps"),
            method=_choice(form, "infer_method", Method),
        ),
        "guidance": Guidance(
            scale=read.number(form, "guidance_scale"),
            adg=read.flag(form, "use_adg"),
            start=read.given(form, "cfg_interval_start"),
            end=read.given(form, "cfg_interval_end"),
        ),
        "output": Output(
            normalize=read.flag(form, "enable_normalization"),
            peak=read.given(form, "normalization_db"),
            latent_shift=read.given(form, "latent_shift"),
            latent_rescale=read.given(form, "latent_rescale"),
        ),
        "reference": reference,
        "seeds": seeds_for(form["seed"], _batch_size(form), use_random=read.flag(form, "use_random_seed")),
    }


def build_thinking(form: Mapping[str, object]) -> Thinking:
    """Return what a complete form asks of the language model; raises InvalidRequest naming the form's field."""
    return Thinking(
        codes=read.flag(form, "thinking"),
        metas=read.flag(form, "use_cot_metas"),
        caption=read.flag(form, "use_cot_caption"),
        language=read.flag(form, "use_cot_language"),
        formatted=read.flag(form, "formatted"),
        draw=Draw(
            temperature=read.given(form, "lm_temperature"),
            top_k=read.whole(form, "lm_top_k") or 0,
            top_p=read.given(form, "lm_top_p"),
            repetition_penalty=read.given(form, "lm_repetition_penalty"),
        ),
        guidance=LmGuidance(
            scale=read.given(form, "lm_cfg_scale"), negative_prompt=read.text(form, "lm_negative_prompt")
        ),
        parallel=read.flag(form, "allow_lm_batch"),
        chunk_size=read.given_whole(form, "lm_batch_chunk_size"),
        debug=read.flag(form, "constrained_decoding_debug"),
    )


def auto_score(form: Mapping[str, object]) -> float | None:
    """Return the sensitivity of the score every take gets, None when none is wanted."""
    sensitivity = read.given(form, "score_scale")
    if not 0.01 <= sensitivity <= 1:
        raise InvalidRequest("score_scale", "be from 0.01 to 1", form["score_scale"])
    return sensitivity if read.flag(form, "auto_score") else None


def audio_format(form: Mapping[str, object]) -> AudioFormat:
    """Return the file format a complete form asks for."""
    return _choice(form, "audio_format", AudioFormat)


@contextmanager
def form_names() -> Iterator[None]:
    """Give errors of a request the names its form uses."""
    try:
        yield
    except InvalidRequest as error:
        raise InvalidRequest(_KEYS.get(error.field, error.field), error.rule, error.value) from error


def _choice(form: Mapping[str, object], key: str, kind: type[Choice]) -> Choice:
    value = form[key]
    if value not in list(kind):
        raise InvalidRequest(key, f"be one of {', '.join(kind)}", value)
    return kind(str(value))


def _span_end(form: Mapping[str, object]) -> float | None:
    return end_of(read.given(form, "repainting_end"))


def _tracks(form: Mapping[str, object]) -> tuple[Track, ...]:
    names = read.names(form, "complete_track_classes")
    if unknown := [name for name in names if name not in list(Track)]:
        raise InvalidRequest("complete_track_classes", f"hold only {', '.join(Track)}", unknown[0])
    return tuple(Track(name) for name in names)


def _batch_size(form: Mapping[str, object]) -> int:
    size = read.whole(form, "batch_size")
    # Checked before seeds are drawn: a size of a billion must not draw a billion.
    if size is None or not 1 <= size <= MAX_BATCH:
        raise InvalidRequest("batch_size", f"be from 1 to {MAX_BATCH}", form["batch_size"])
    return size
