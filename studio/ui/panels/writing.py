"""What the language model writes for the form: asked by a button, received when its job is done."""

from __future__ import annotations

import streamlit as st

from studio.errors import NotFound, StudioError
from studio.services.writing import Ask, CreateSample, Format, LmSampling, ToCodes, Understand, Written
from studio.ui import fields, jobs, notices
from studio.ui.fields import FORMATTED, key
from studio.ui.runtime import studio
from studio.ui.text import _, plain

SAMPLED = "create.sampled"  # Simple mode has a sample to make
_JOB = "writing.job"
_PLACE = "writing"
_SAID = "writing.said"
_FIELDS = {  # of Written -> of the form
    "caption": "caption",
    "lyrics": "lyrics",
    "bpm": "bpm",
    "key_scale": "keyscale",
    "time_signature": "timesignature",
    "duration": "duration",
    "language": "vocal_language",
    "instrumental": "instrumental",
    "codes": "audio_codes",
}


def receive() -> None:
    """Put what came of the last ask into the form; before `fields.seed`, which keeps it within the limits."""
    job_id = st.session_state.get(_JOB)
    if job_id is None:
        return
    found: Written | None = None
    try:
        if studio().generation.job(job_id).active:
            return
        found = studio().writing.result(job_id)
    except NotFound:
        pass  # the job is gone, and with it what it wrote
    st.session_state.pop(_JOB)
    if found is not None:
        _fill(found)
        st.session_state[_SAID] = found.notes


def said() -> None:
    """Show why an ask was refused, and what the language model remarked."""
    notices.kept(_PLACE)
    for note in st.session_state.pop(_SAID, ()):
        st.info(plain(_(note)), icon=":material/info:")


def busy() -> bool:
    """Whether an ask is on its way."""
    return st.session_state.get(_JOB) is not None


def create() -> None:
    """Ask for a whole song from the description; a callback as all that follow."""
    instrumental = bool(st.session_state["simple.instrumental"])
    _ask(
        CreateSample(
            description=st.session_state["simple.description"],
            instrumental=instrumental,
            language="unknown" if instrumental else st.session_state["simple.language"],
            sampling=_sampling(),
        )
    )


def format_words() -> None:
    """Ask for a better caption and lyrics; what the person set is kept."""
    value = {name: st.session_state[key(name)] for name in fields.WRITTEN}
    _ask(
        Format(
            caption=value["caption"],
            lyrics=value["lyrics"],
            bpm=value["bpm"],
            key_scale=value["keyscale"] or None,
            time_signature=value["timesignature"] or None,
            duration=None if value["duration"] == -1 else value["duration"],
            language=value["vocal_language"],
            sampling=_sampling(),
        )
    )


def transcribe() -> None:
    """Ask what music the codes are; without codes for a song of its own."""
    _ask(Understand(codes=st.session_state[key("audio_codes")], sampling=_sampling()))


def to_codes(source: str) -> None:
    """Ask for the codes of an uploaded file."""
    _ask(ToCodes(source=source))


def refuse(error: StudioError) -> None:
    """Show this error where answers are shown."""
    notices.keep(_PLACE, error)


def _ask(ask: Ask) -> None:
    notices.forget(_PLACE)
    try:
        job_id = studio().writing.submit(ask)
    except StudioError as error:
        refuse(error)
        return
    st.session_state[_JOB] = job_id
    jobs.watch(job_id)


def _sampling() -> LmSampling:
    state = st.session_state
    return LmSampling(
        temperature=state[key("lm_temperature")],
        top_k=state[key("lm_top_k")],
        top_p=state[key("lm_top_p")],
        debug=state[key("constrained_decoding_debug")],
    )


def _fill(found: Written) -> None:
    values = {ours: value for theirs, ours in _FIELDS.items() if (value := getattr(found, theirs)) is not None}
    fields.put(**values)
    if "caption" in values:
        st.session_state[FORMATTED] = st.session_state[SAMPLED] = True
        st.session_state[key("thinking")] = True
