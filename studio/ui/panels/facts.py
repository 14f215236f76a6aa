"""Optional musical facts; what is empty is left to the model."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from studio.engine.requests import parse_key_scale
from studio.errors import InvalidRequest
from studio.services.limits import Limits
from studio.services.views import ModelView
from studio.ui import fields
from studio.ui.fields import FIELDS, METRES, key
from studio.ui.text import _, language, plain, seconds

_OPEN = ("bpm", "keyscale", "timesignature", "vocal_language", "duration")  # what Auto leaves to the model
_PILLS = "facts.open"
_MARKED = "facts.open.marked"  # what the present toggles began with
_ROUND = "facts.open.round"  # counts the times the toggles followed the fields


def panel(model: ModelView | None, limits: Limits) -> None:
    """Draw tempo, key, metre, length and the number of takes."""
    _music()
    _amount(limits)
    _auto(model)
    words = _("Limits: {time} and {batch} at once").format(time=seconds(limits.duration), batch=limits.batch) + (
        _(" on a device of tier {tier}").format(tier=limits.tier) if limits.tier else ""
    )
    if model is not None:
        words = _("−1 is Auto: {length} with this model").format(length=seconds(model.duration)) + " · " + words
    st.caption(words)


def _auto(model: ModelView | None) -> None:
    """Draw one Auto toggle a fact: on is an empty field, off a value to begin with."""
    auto = [name for name in _OPEN if st.session_state[key(name)] == FIELDS[name].default]
    number = st.session_state.setdefault(_ROUND, 0)
    marked = st.session_state.get(f"{_PILLS}.{number}")
    if marked is None or set(marked) != set(auto):
        # Under the same key a browser that hasn't drawn them yet would send the old marks back with what is typed next,
        # and the field they are for would be emptied. Marks that came through the session's state instead of as their
        # default would be lost by a browser that draws them a run too late.
        st.session_state[_ROUND] = number = number + 1
        st.session_state[_MARKED] = auto
    name = f"{_PILLS}.{number}"
    st.pills(
        _("Auto"),
        _OPEN,
        selection_mode="multi",
        default=st.session_state[_MARKED],
        key=name,
        format_func=fields.label,
        help=_("What is marked is left to the model. Take a mark away to begin with a value of your own."),
        on_change=_toggled,
        args=[name, auto, model.duration if model else 30.0],
        wrap=True,
    )
    st.button(
        _("All Auto"),
        key="facts.auto",
        help=_("Leave BPM, key, metre, language and length to the model again"),
        on_click=_reset,
        args=[_OPEN],
        disabled=len(auto) == len(_OPEN),
    )


def _toggled(name: str, before: list[str], length: float) -> None:
    begin: Mapping[str, object] = {
        "bpm": 120,
        "keyscale": "C major",
        "timesignature": "4",
        "vocal_language": language(),
        "duration": length,
    }
    now = st.session_state[name]
    _reset(tuple(name for name in now if name not in before))
    fields.put(**{name: begin[name] for name in before if name not in now})


def _reset(names: tuple[str, ...]) -> None:
    fields.put(**{name: FIELDS[name].default for name in names})
    fields.touched()


def _music() -> None:
    left, right = st.columns(2)
    left.number_input(
        _("BPM"),
        value=None,
        step=1,
        key=key("bpm"),
        placeholder=_("Auto"),
        help=_("Tempo in beats per minute, a whole number from 30 to 300. Empty is Auto."),
        on_change=fields.touched,
        persist_state="session",
    )
    right.text_input(
        _("Key Scale"),
        key=key("keyscale"),
        placeholder=_("Auto"),
        help=_("A key such as C major, F# minor or Am. Empty is Auto."),
        on_change=fields.touched,
        persist_state="session",
    )
    _read_key(st.session_state[key("keyscale")].strip())


def _read_key(written: str) -> None:
    """Say how a key is understood, before it is asked for."""
    if not written:
        return
    try:
        meant = parse_key_scale(written)
    except InvalidRequest:
        st.warning(_("“{key}” is no key; Generate will refuse it.").format(key=plain(written)))
        return
    if meant != written:
        st.caption(_("{written} is read as {key}.").format(written=plain(written), key=plain(meant)))


def _amount(limits: Limits) -> None:
    left, right = st.columns(2)
    left.selectbox(
        _("Time Signature"),
        FIELDS["timesignature"].options,
        key=key("timesignature"),
        format_func=lambda beats: METRES.get(beats) or _("Auto"),
        help=_("How many beats a bar has. Auto leaves it to the model."),
        on_change=fields.touched,
        persist_state="session",
    )
    right.number_input(
        _("Batch Size"),
        min_value=1,
        max_value=8,
        step=1,
        key=key("batch_size"),
        help=_("How many takes to make at once, from 1 to {most}. Each has its own seed.").format(most=limits.batch),
        persist_state="session",
    )
    st.number_input(
        _("Audio Duration (seconds)"),
        step=5.0,
        format="%g",
        key=key("duration"),
        help=_("From 10 to {limit} seconds, or −1 for Auto.").format(limit=f"{limits.duration:g}"),
        on_change=fields.touched,
        persist_state="session",
    )
