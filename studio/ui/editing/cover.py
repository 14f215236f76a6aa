"""What a cover asks for beside words."""

from __future__ import annotations

import streamlit as st

from studio.services.sources import SourceView
from studio.ui.editing import choices
from studio.ui.panels import writing
from studio.ui.panels.choices import slider
from studio.ui.text import _


def panel(view: SourceView | None) -> None:
    """Draw both strengths, and the way to find out what the source is."""
    st.caption(
        _("A cover keeps melody and structure of its source and plays them in the style of the caption: remixes too.")
    )
    slider(
        "audio_cover_strength",
        0.01,
        _("The share of the steps that follow the source. 1 keeps its structure; about 0.2 leaves only a hint of it."),
        words=_("Audio Cover Strength"),
    )
    noise = choices.FIELDS["cover_noise_strength"]
    st.slider(
        choices.label("cover_noise_strength"),
        noise.low,
        noise.high,
        step=0.01,
        key=noise.key,
        help=_("Above 0 begins from the noised source instead of noise alone; 0.1 to 0.25 suits sft models."),
        persist_state="session",
    )
    left, right = st.columns(2)
    left.button(
        _("Analyze source"),
        key="edit.analyze",
        disabled=view is None or writing.busy(),
        help=_("Write the source as codes into LM Codes Hints of Generate; a cover doesn't use them."),
        on_click=writing.to_codes,
        args=[view.key] if view else None,
        width="stretch",
    )
    codes = st.session_state["create.audio_codes"].strip()
    right.button(
        _("Describe it"),
        key="edit.describe",
        disabled=not codes or writing.busy(),
        help=_("Let the language model read those codes and fill caption, lyrics and facts. Analyze the source first."),
        on_click=writing.transcribe,
        width="stretch",
    )
