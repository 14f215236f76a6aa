"""Audio that steers: a reference for the sound, a source for its codes, and the codes themselves."""

from __future__ import annotations

import streamlit as st

from studio.errors import InvalidRequest, StudioError
from studio.services.uploads import KINDS, Upload
from studio.services.views import StatusView
from studio.ui import fields
from studio.ui.fields import FORMATTED, key
from studio.ui.handoff import REFERENCE, SOURCE
from studio.ui.panels import writing
from studio.ui.recording import panel as live
from studio.ui.runtime import studio
from studio.ui.text import _, plain, seconds

_EXAMPLE = "<|audio_code_123|><|audio_code_456|>…"
_ROUND = "upload.round"  # counts up to empty an uploader, whose value can't be set


def panel(status: StatusView) -> None:
    """Draw reference, source and codes."""
    held = (
        st.session_state[key("audio_codes")],
        st.session_state[key("reference_audio")],
        st.session_state.get(SOURCE),
    )
    opened = any(held)
    with st.expander(_("Audio inputs"), expanded=opened, icon=":material/graphic_eq:"):
        left, right = st.columns(2)
        with left:
            reference()
        with right:
            _source(status)
        _codes(status)


def recorder() -> None:
    """Draw the live recorder of Generate, whose recording becomes reference or source."""
    upload: Upload | None = st.session_state.get(SOURCE)
    view = None
    if upload is not None:
        try:
            view = studio().sources.look(upload.key)
        except StudioError:
            view = None  # the recorder needs none; whoever uses the source says that it is gone
    live.panel(view, "results")


def reference() -> None:
    """Draw the reference audio and what it is at present."""
    _uploader(
        "reference",
        _("Reference Audio"),
        _("Optional. The takes follow its timbre and mix, not its melody. Three ten-second pieces of it are used."),
    )
    st.audio_input(
        _("Record a reference"),
        key=_round_key("recording"),
        sample_rate=48000,
        on_change=_arrived,
        args=["recording", "reference_audio"],
    )
    if st.session_state[key("reference_audio")]:
        name = _known(REFERENCE, _("from an earlier batch"))
        words, clear = st.columns([4, 1], vertical_alignment="center")
        words.caption(_(":material/check: Reference: {name}").format(name=name))
        clear.button(_("Remove"), key="reference.clear", on_click=_forget_reference, width="stretch")


def _source(status: StatusView) -> None:
    _uploader("source", _("Source Audio"), _("On this page only for Convert to Codes; songs from text ignore it."))
    source: Upload | None = st.session_state.get(SOURCE)
    if source is not None:
        st.caption(_(":material/check: Source: {name}").format(name=_known(SOURCE, "")))
    st.button(
        _("Convert to Codes"),
        key="source.convert",
        disabled=writing.busy(),
        help=_("Write the source as codes, five a second, into LM Codes Hints."),
        on_click=_convert,
        args=[source],
    )
    if status.model is not None and not status.model.codebook:
        st.caption(_("This model has no audio tokenizer, so it can't write codes."))


def _convert(source: Upload | None) -> None:
    if source is None:
        writing.refuse(InvalidRequest("src_audio", "be an audio file; upload one first", ""))
    else:
        writing.to_codes(source.key)


def _codes(status: StatusView) -> None:
    st.text_area(
        _("LM Codes Hints"),
        key=key("audio_codes"),
        height=90,
        placeholder=_EXAMPLE,
        help=_(
            "Codes fix melody and structure, and their number the length: five are a second. They are used only while "
            "Think is off; with Think the language model makes its own."
        ),
        on_change=_codes_typed,
        persist_state="session",
    )
    codes = st.session_state[key("audio_codes")]
    if codes.strip():
        count = codes.count("<|audio_code_")
        st.caption(_("{n} codes, {time} of music").format(n=count, time=seconds(count / 5)))
        if st.session_state[key("thinking")] and fields.has_lm(status):
            st.warning(_("Think is on, so these codes are ignored: the language model makes its own. Untick Think."))
    st.button(
        _("Transcribe") if codes.strip() else _("Generate example"),
        key="codes.transcribe",
        disabled=writing.busy(),
        help=_("Let the language model read the codes and fill caption, lyrics and facts."),
        on_click=writing.transcribe,
    )


def _uploader(name: str, words: str, help_text: str) -> None:
    st.file_uploader(
        words,
        type=list(KINDS),
        key=_round_key(name),
        help=help_text,
        on_change=_arrived,
        args=[name, f"{name}_audio"],
    )


def _round_key(name: str) -> str:
    return f"upload.{name}.{st.session_state.setdefault(f'{_ROUND}.{name}', 0)}"


def _arrived(name: str, field: str) -> None:
    """Keep what was uploaded; what can't be used empties its uploader again."""
    file = st.session_state[_round_key(name)]
    if file is None:
        return
    words = {"reference": _("Reference Audio"), "source": _("Source Audio"), "recording": _("Reference Audio")}
    try:
        upload = studio().uploads.add(words[name], file.name, file.getvalue())
    except StudioError as error:
        writing.refuse(error)
        st.session_state[f"{_ROUND}.{name}"] += 1
        return
    if field == "reference_audio":
        st.session_state[REFERENCE] = upload
        st.session_state[key("reference_audio")] = upload.key
    else:
        st.session_state[SOURCE] = upload


def _forget_reference() -> None:
    st.session_state[key("reference_audio")] = ""
    for name in ("reference", "recording"):
        st.session_state[f"{_ROUND}.{name}"] += 1


def _codes_typed() -> None:
    st.session_state[FORMATTED] = False


def _known(name: str, otherwise: str) -> str:
    upload: Upload | None = st.session_state.get(name)
    if upload is None or (name == REFERENCE and upload.key != st.session_state[key("reference_audio")]):
        return otherwise
    return " · ".join([plain(upload.name), seconds(upload.seconds), *live.dropped(upload.lost)])
