"""Optional musical facts; what is empty is left to the model."""

from __future__ import annotations

import streamlit as st

from studio.services.limits import Limits
from studio.services.views import ModelView
from studio.ui import fields
from studio.ui.fields import FIELDS, METRES, key
from studio.ui.text import _, seconds

_AUTO = ("bpm", "keyscale", "timesignature", "vocal_language", "duration")


def panel(model: ModelView | None, limits: Limits) -> None:
    """Draw tempo, key, metre, length and the number of takes."""
    _music()
    _amount(limits)
    words = _("Limits: {time} and {batch} at once").format(time=seconds(limits.duration), batch=limits.batch) + (
        _(" on a device of tier {tier}").format(tier=limits.tier) if limits.tier else ""
    )
    if model is not None:
        words = _("−1 is Auto: {length} with this model").format(length=seconds(model.duration)) + " · " + words
    caption, button = st.columns([3, 1], vertical_alignment="center")
    caption.caption(words)
    button.button(
        _("All Auto"),
        key="facts.auto",
        help=_("Leave BPM, key, metre, language and length to the model again"),
        on_click=_reset,
        disabled=all(st.session_state[key(name)] == FIELDS[name].default for name in _AUTO),
        width="stretch",
    )


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


def _reset() -> None:
    fields.put(**{name: FIELDS[name].default for name in _AUTO})
    fields.touched()
