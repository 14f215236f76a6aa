"""The pieces of the Generate form; every widget takes its key and value from the field registry."""

from __future__ import annotations

import streamlit as st
from babel import Locale

from studio.engine.prompts import INSTRUCTIONS
from studio.errors import StudioError
from studio.services.views import ModelView, StatusView, WorkerState
from studio.ui import fields, jobs, notices
from studio.ui.fields import FIELDS, METRES, key
from studio.ui.runtime import studio
from studio.ui.shell import word
from studio.ui.text import _, language, plain, seconds


def service(status: StatusView) -> None:
    """Choose and load a model; open until one is ready."""
    with st.expander(_("Service Configuration"), expanded=not status.ready, icon=":material/tune:"):
        models = {model.name: model for model in studio().models()}
        if not models:
            st.warning(_("No model was found. Put a checkpoint folder into data/models or data/checkpoints."))
        choice, refresh, load = st.columns([4, 1, 1.4], vertical_alignment="bottom")
        name = choice.selectbox(
            _("Main Model Path"),
            list(models),
            key="service.model",
            format_func=lambda name: f"{name} ({models[name].family})" if name in models else str(name),
            placeholder=_("no model"),
            disabled=not models,
            persist_state="session",
        )
        refresh.button(_("Refresh"), key="service.refresh", icon=":material/refresh:", width="stretch")
        if load.button(
            _("Initialize Service"),
            key="service.initialize",
            type="secondary" if status.ready else "primary",
            disabled=name is None or status.state in (WorkerState.LOADING, WorkerState.GONE),
            width="stretch",
        ):
            _initialize(str(name))
        _service_status(status)


def song() -> None:
    """What the music is about: caption, lyrics, voice."""
    st.text_area(
        _("Caption"),
        key=key("caption"),
        height=110,
        placeholder=_("upbeat pop rock with driving electric guitars, live drums and a bright synth hook"),
        help=_(
            "Describe the music: genre and style, instruments, mood and atmosphere, and the tempo feel when BPM is "
            "empty. Fewer than 512 characters. May stay empty when there are lyrics."
        ),
        persist_state="session",
    )
    st.text_area(
        _("Lyrics"),
        key=key("lyrics"),
        height=190,
        placeholder=_("[verse]\nCity lights are fading low\n\n[chorus]\nWe keep on driving home"),
        help=_(
            "Put section tags such as [verse], [chorus] or [bridge] on lines of their own and an empty line between "
            "sections. Fewer than 4096 characters. May stay empty when there is a caption."
        ),
        disabled=fields.closed("lyrics", st.session_state[key("instrumental")]),
        persist_state="session",
    )
    voice, spoken = st.columns([2, 3], vertical_alignment="bottom")
    voice.checkbox(
        _("Instrumental"),
        key=key("instrumental"),
        help=_("Music without singing. Your lyrics stay in the box and are used again when you untick this."),
        persist_state="session",
    )
    spoken.selectbox(
        _("Vocal Language"),
        FIELDS["vocal_language"].options,
        key=key("vocal_language"),
        format_func=_language_name,
        help=_("The language that is sung. Unknown lets the model decide."),
        persist_state="session",
    )


def facts(model: ModelView | None) -> None:
    """Optional musical facts; what is empty is left to the model."""
    left, right = st.columns(2)
    left.number_input(
        _("BPM"),
        value=None,
        step=1,
        key=key("bpm"),
        placeholder=_("Auto"),
        help=_("Tempo in beats per minute, a whole number from 30 to 300. Empty is Auto."),
        persist_state="session",
    )
    right.text_input(
        _("Key Scale"),
        key=key("keyscale"),
        placeholder=_("Auto"),
        help=_("A key such as C major, F# minor or Am. Empty is Auto."),
        persist_state="session",
    )
    left, right = st.columns(2)
    left.selectbox(
        _("Time Signature"),
        FIELDS["timesignature"].options,
        key=key("timesignature"),
        format_func=lambda beats: METRES.get(beats) or _("Auto"),
        help=_("How many beats a bar has. Auto leaves it to the model."),
        persist_state="session",
    )
    right.number_input(
        _("Batch Size"),
        min_value=1,
        max_value=8,
        step=1,
        key=key("batch_size"),
        help=_("How many takes to make at once, from 1 to 8. Each has its own seed."),
        persist_state="session",
    )
    st.number_input(
        _("Audio Duration (seconds)"),
        step=5.0,
        format="%g",
        key=key("duration"),
        help=_("From 10 to {limit} seconds, or −1 for Auto.").format(limit=f"{model.max_duration if model else 600:g}"),
        persist_state="session",
    )
    if model is not None:
        st.caption(_("−1 is Auto: {length} with this model").format(length=seconds(model.duration)))


def advanced(model: ModelView | None) -> None:
    """How the model works: steps, shift, seeds, file format, and the sentence it is told."""
    with st.expander(_("Advanced Settings")):
        st.slider(
            _("Inference Steps"),
            1,
            fields.steps_limit(model),
            key=key("inference_steps"),
            help=_("More steps cost more time and add detail. Turbo models are made for 8."),
            persist_state="session",
        )
        st.slider(
            _("Shift"),
            1.0,
            5.0,
            step=0.1,
            format="%.1f",
            key=key("shift"),
            help=_("Where along the way from noise to music the steps are spent. 3.0 is advised for turbo models."),
            persist_state="session",
        )
        st.text_input(
            _("Seed"),
            key=key("seed"),
            disabled=fields.closed("seed", st.session_state[key("use_random_seed")]),
            help=_("One number, or one a take with commas between; −1 is random. Used when Random Seed is off."),
            persist_state="session",
        )
        st.checkbox(
            _("Random Seed"),
            key=key("use_random_seed"),
            help=_("Draw new seeds for every batch. They are kept with the takes."),
            persist_state="session",
        )
        st.selectbox(
            _("Audio Format"),
            FIELDS["audio_format"].options,
            key=key("audio_format"),
            help=_("mp3 is small; flac and wav keep every sample."),
            persist_state="session",
        )
        st.text_area(
            _("Instruction"),
            value=INSTRUCTIONS["text2music"],
            height=70,
            key="create.instruction",
            disabled=True,
            help=_("The sentence the model is told for this task. It can't be changed."),
        )


def submit(status: StatusView) -> bool:
    """Draw Generate Music and return whether it was pressed; while it can't be, it says why."""
    why_not = _reason(status)
    pressed = st.button(
        _("Generate Music"),
        key="create.generate",
        type="primary",
        shortcut="Ctrl+Enter",
        disabled=bool(why_not),
        help=why_not or None,
        icon=":material/play_arrow:",
    )
    if why_not:
        st.caption(why_not)
    return pressed


def adjusted() -> None:
    """Say which applied settings could not be kept as they were."""
    if names := st.session_state.pop(fields.ADJUSTED, []):
        words = ", ".join(fields.label(name) for name in names)
        st.warning(_("These settings don't fit the loaded model and were adjusted: {names}").format(names=words))


def _reason(status: StatusView) -> str:
    """Say why nothing can be generated now; empty when it can."""
    if status.ready:
        return ""
    if status.state == WorkerState.LOADING:
        return _("The model is loading. Generate Music opens when it is ready.")
    if status.state == WorkerState.GONE:
        return _("No worker is running, so no music can be made. Start the studio with python app.py.")
    return _("No model is loaded. Choose one under Service Configuration and press Initialize Service.")


def _initialize(name: str) -> None:
    try:
        jobs.watch(studio().generation.initialize(name))
    except StudioError as error:
        notices.show(error)
        return
    st.rerun()


def _service_status(status: StatusView) -> None:
    if status.ready and status.model is not None:
        words = _("Ready: {name} ({family}) on {device}, {dtype}").format(
            name=status.model.name, family=status.model.family, device=status.device, dtype=status.dtype
        )
        st.success(plain(words), icon=":material/check_circle:")
    elif status.state == WorkerState.FAILED:
        st.error(
            _("The model could not be loaded: {reason}").format(reason=plain(status.error)), icon=":material/error:"
        )
    else:
        st.info(word(status), icon=":material/info:")


def _language_name(code: str) -> str:
    if code == "unknown":
        return _("Unknown")
    return f"{Locale.parse(language()).languages.get(code, code)} ({code})"
