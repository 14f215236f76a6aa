"""What a repaint asks for beside words."""

from __future__ import annotations

import streamlit as st

from studio.engine.edits import RepaintMode
from studio.i18n import N_
from studio.services.limits import Limits
from studio.services.sources import SourceView
from studio.ui.editing import choices, repair, span
from studio.ui.text import _

_FEELS = {
    RepaintMode.CONSERVATIVE: N_("conservative"),
    RepaintMode.BALANCED: N_("balanced"),
    RepaintMode.AGGRESSIVE: N_("aggressive"),
}


def panel(view: SourceView | None, limits: Limits) -> None:
    """Draw the region and how firmly its surroundings hold it."""
    st.caption(_("A repaint makes one region anew and keeps everything else of the source as it is."))
    repair.panel(view)
    span.panel(view, limits.duration, several=True)
    left, right = st.columns(2)
    left.segmented_control(
        choices.label("repaint_mode"),
        list(choices.FIELDS["repaint_mode"].options),
        key=choices.key("repaint_mode"),
        format_func=lambda mode: _(_FEELS[RepaintMode(mode)]),
        required=True,
        help=_("Conservative stays close to what is around the region, aggressive is free of it."),
        persist_state="session",
    )
    field = choices.FIELDS["repaint_strength"]
    right.slider(
        choices.label("repaint_strength"),
        field.low,
        field.high,
        step=0.01,
        key=field.key,
        disabled=choices.value("repaint_mode") != RepaintMode.BALANCED,
        help=_("For balanced: 0 is as conservative, 1 as aggressive."),
        persist_state="session",
    )
