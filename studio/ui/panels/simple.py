"""Mode, and what Simple mode asks: one sentence from which the language model writes a song."""

from __future__ import annotations

import streamlit as st

from studio.i18n import N_
from studio.services.views import StatusView
from studio.ui import fields
from studio.ui.fields import CUSTOM, FIELDS, MODE, SIMPLE
from studio.ui.panels import writing
from studio.ui.panels.choices import language_name
from studio.ui.runtime import studio
from studio.ui.text import _

_NO_DICE = "simple.no_dice"
_WORDS = {SIMPLE: N_("Simple"), CUSTOM: N_("Custom")}
IDEAS = (
    N_("a hushed love song in Bengali, only voice, tanpura and a slow tabla"),
    N_("club-ready electronic dance music with a massive sub bass and a soaring drop"),
    N_("a melancholy indie folk ballad on fingerpicked acoustic guitar"),
    N_("a late-night jazz trio in a small smoky bar, brushed drums and upright bass"),
)


def mode(status: StatusView) -> str:
    """Draw the switch and return the mode; the first one is Simple where a language model is loaded."""
    st.session_state.setdefault(MODE, SIMPLE if fields.has_lm(status) else CUSTOM)
    st.session_state.setdefault(writing.SAMPLED, False)
    chosen = st.radio(
        _("Generation Mode"),
        (SIMPLE, CUSTOM),
        key=MODE,
        format_func=lambda name: _(_WORDS[name]),
        horizontal=True,
        help=_("Simple: one sentence, and the language model writes the song. Custom: you write everything yourself."),
        on_change=_switched,
        persist_state="session",
    )
    return str(chosen)


def waits_for_sample(chosen: str) -> bool:
    """Whether Generate must wait for Create Sample."""
    return chosen == SIMPLE and not st.session_state[writing.SAMPLED]


def panel() -> None:
    """Draw the description, its dice, the ideas and Create Sample."""
    for name, default in (("description", ""), ("instrumental", False), ("language", "unknown")):
        st.session_state.setdefault(f"simple.{name}", default)
    text, dice = st.columns([8, 1], vertical_alignment="bottom")
    text.text_area(
        _("Song Description"),
        key="simple.description",
        height=80,
        placeholder=_("what the song is about, how it should sound, who sings"),
        help=_("Plain words in any language. Left empty, the language model invents a song."),
        persist_state="session",
    )
    dice.button(
        ":material/casino:",
        key="simple.dice",
        help=_("Take one of the example descriptions"),
        on_click=_dice,
        width="stretch",
    )
    if st.session_state.pop(_NO_DICE, False):
        st.warning(_("There are no examples: the folder data/examples is missing or empty."))
    _ideas()
    voice, spoken, create = st.columns([2, 3, 2], vertical_alignment="bottom")
    instrumental = voice.checkbox(
        _("Instrumental"),
        key="simple.instrumental",
        help=_("A song without singing. The language is then left open."),
        on_change=_instrumental,
        persist_state="session",
    )
    spoken.selectbox(
        _("Vocal Language"),
        FIELDS["vocal_language"].options,
        key="simple.language",
        format_func=language_name,
        disabled=instrumental,
        help=_("The language of the lyrics. Unknown leaves it to the language model."),
        persist_state="session",
    )
    create.button(
        _("Create Sample"),
        key="simple.create",
        type="primary",
        disabled=writing.busy(),
        help=_("Write caption, lyrics, tempo, key, metre and length into the form below."),
        on_click=writing.create,
        width="stretch",
    )


def _ideas() -> None:
    for column, (number, idea) in zip(st.columns(len(IDEAS)), enumerate(IDEAS), strict=True):
        column.button(_(idea), key=f"simple.idea.{number}", on_click=_take_idea, args=[idea], width="stretch")


def _take_idea(idea: str) -> None:
    st.session_state["simple.description"] = _(idea)


def _dice() -> None:
    example = studio().examples.description(but=st.session_state["simple.description"])
    if example is None:
        st.session_state[_NO_DICE] = True
        return
    st.session_state["simple.description"] = example.description
    st.session_state["simple.instrumental"] = example.instrumental
    st.session_state["simple.language"] = "unknown" if example.instrumental else example.vocal_language


def _instrumental() -> None:
    if st.session_state["simple.instrumental"]:
        st.session_state["simple.language"] = "unknown"


def _switched() -> None:
    st.session_state[writing.SAMPLED] = False
