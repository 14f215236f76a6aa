"""What stem tasks ask for, and the mixer of a song with the stems made from it."""

from __future__ import annotations

import math
from functools import partial

import streamlit as st

from studio.engine.requests import Task, Track
from studio.errors import StudioError
from studio.services.mixing import Gain, stem_name
from studio.services.sources import SourceView
from studio.services.views import StatusView, TakeView, WorkerState
from studio.ui import deck, fields, jobs, notices
from studio.ui.editing import choices
from studio.ui.mixer import Channel, bounced, mixer
from studio.ui.region import address
from studio.ui.runtime import studio
from studio.ui.text import _, plain

BASE = "base"  # the only family that knows single instruments
_MIXER = "stems.mixer"
_BASE_MODEL = "stems.base"
_GATE, _DESK = "stems.gate", "stems.desk"  # where errors stand
_LEFT = "stems.left"  # (source, ids) -> what was left over, as measured last


def gate(status: StatusView) -> str:
    """Say why stem tasks can't be done with what is loaded, with the way out; empty when they can."""
    model = status.model
    if model is not None and model.family == BASE:
        return ""
    known = [one.name for one in studio().models() if one.family == BASE]
    with st.container(border=True):
        st.warning(
            _(
                "Lego, extract and complete need a base model; {name} is a {family} model, which knows none of them."
            ).format(name=plain(model.name), family=plain(model.family))
            if model is not None
            else _("Lego, extract and complete need a base model, and none is loaded."),
            icon=":material/block:",
        )
        if known:
            chosen = st.selectbox(_("Base model"), known, key=_BASE_MODEL)
            st.button(
                _("Select and initialize this base model"),
                key="stems.initialize",
                type="primary",
                disabled=status.state == WorkerState.LOADING,
                on_click=_initialize,
                args=[chosen],
            )
        else:
            st.caption(_("There is no base model on this machine; `studio models fetch` gets one."))
        notices.kept(_GATE)
    return _("Initialize a base model first.")


def tracks(task: Task, *, closed: bool) -> None:
    """Draw which instrument or instruments it is about."""
    if task is Task.COMPLETE:
        st.multiselect(
            _("Track Names"),
            [track.value for track in Track],
            key=choices.TRACKS,
            format_func=_track,
            disabled=closed,
            help=_("The instruments that are to be added."),
            persist_state="session",
        )
        return
    st.selectbox(
        choices.label("track_name"),
        choices.FIELDS["track_name"].options,
        key=choices.key("track_name"),
        format_func=lambda name: _track(name) if name else _("Choose a track"),
        disabled=closed,
        help=_("The instrument to make.") if task is Task.LEGO else _("The instrument to isolate."),
        persist_state="session",
    )


def closed_caption() -> None:
    """Draw the caption so that it can be seen but not changed."""
    fields.closed("caption", by=True)
    st.text_area(_("Caption"), key=fields.key("caption"), height=110, disabled=True, persist_state="session")


def mix(view: SourceView) -> None:
    """Draw the song and every stem made from it on one mixer, what they leave of it, and the files."""
    found = studio().mixing.stems(view.key)
    if not found:
        st.caption(_("Stems that are made from this source will be mixed here."))
        return
    extracted = [take for take in found if take.task == Task.EXTRACT]
    song = Channel(id=view.key, label=_("Source"), url=address(view), duration=view.seconds, muted=bool(extracted))
    st.header(_("Mixer"), anchor=False)
    mixer([song, *(_channel(number, take) for number, take in enumerate(found, 1))], key=_MIXER, on_bounce=_bounce)
    notices.kept(_DESK)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            _("Download all stems as zip"),
            data=partial(studio().mixing.stems_zip, view.key),  # called later, where nobody is signed in
            file_name="stems.zip",
            mime="application/zip",
            key="stems.zip",
            on_click="ignore",
            icon=":material/folder_zip:",
            help=_("Wav files as long as the source, at its rate, numbered, with tempo and key in their tags."),
        )
        if extracted:
            st.button(
                _("What do the stems leave over?"),
                key="stems.residual",
                on_click=_measure,
                args=[view.key, tuple(take.id for take in extracted)],
                help=_("Measures how strong the source minus the sum of the extracted stems is."),
            )
    _residual(view.key, tuple(take.id for take in extracted))


def _channel(number: int, take: TakeView) -> Channel:
    label = f"{number:02d} {' + '.join(_track(name) for name in stem_name(take).split('+'))}"
    return Channel(id=take.id, label=label, url=deck.link(take.id), duration=take.duration, muted=_whole(take))


def _whole(take: TakeView) -> bool:
    """A completed song holds the source too; beside it everything would sound twice."""
    return take.task == Task.COMPLETE


def _track(name: str) -> str:
    return name.replace("_", " ")


def _bounce() -> None:
    parts = [Gain(id=one, decibels=gain) for one, gain in bounced(_MIXER)]
    if not parts:
        return
    notices.forget(_DESK)
    try:
        jobs.watch(studio().mixing.bounce(parts))
    except StudioError as error:
        notices.keep(_DESK, error)


def _measure(source: str, take_ids: tuple[str, ...]) -> None:
    notices.forget(_DESK)
    try:
        left = studio().mixing.left_over(source, take_ids)
    except StudioError as error:
        notices.keep(_DESK, error)
        return
    st.session_state[_LEFT] = (source, take_ids, left)


def _residual(source: str, take_ids: tuple[str, ...]) -> None:
    found = st.session_state.get(_LEFT)
    if found is None or found[:2] != (source, take_ids):
        return
    left = found[2]
    if left is None:
        words = _("The source is silent, so nothing can be left over.")
    elif left == -math.inf:
        words = _("The extracted stems add up to the source exactly.")
    else:
        words = _("The source minus the sum of its extracted stems is at {n} dB relative to the source.").format(
            n=f"{left:+.1f}"
        )
    st.info(words, icon=":material/calculate:")


def _initialize(name: str) -> None:
    notices.forget(_GATE)
    try:
        jobs.watch(studio().generation.initialize(name))
    except StudioError as error:
        notices.keep(_GATE, error)
