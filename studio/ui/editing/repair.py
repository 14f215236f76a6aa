"""Lyric repair: a line of a take is chosen, its words are changed, and the form asks to have just it sung anew."""

from __future__ import annotations

import streamlit as st

from studio.errors import StudioError
from studio.i18n import N_
from studio.services.details import LyricLine
from studio.services.repair import repaired, sung_lines
from studio.services.sources import SourceView
from studio.ui import fields, judging, notices
from studio.ui.editing import choices
from studio.ui.runtime import studio
from studio.ui.text import _, plain, seconds

_PLACE, _LINE, _WORDS, _DONE = "repair", "repair.line", "repair.words", "repair.done"
WHAT = N_("Repair a lyric line")


def panel(view: SourceView | None) -> None:
    """Draw the repair of a source that is a take with lyrics; other sources have no lines to choose from."""
    take_id = str(view.settings.get("take_id") or "") if view is not None else ""
    lyrics = str(view.settings.get("lyrics") or "") if view is not None else ""
    if view is None or not take_id or not lyrics.strip() or view.settings.get("instrumental"):
        return
    box = st.expander(_(WHAT), icon=":material/lyrics:", key="repair.open", on_change="rerun")
    if not box.open:
        return
    with box:
        known = studio().takes.details([take_id]).get(take_id)
        if known is None or known.lyrics is None:
            _untimed(take_id)
            return
        lines = sung_lines(known.lyrics.lrc, view.seconds)
        if not lines:
            st.info(_("The times of this take hold no line."))
            return
        for note in known.lyrics.notes:
            st.caption(":material/info: " + plain(_(note)))
        _choose(view, lines, lyrics)


def _untimed(take_id: str) -> None:
    st.caption(_("Nobody has looked yet when each line of this take is sung."))
    if st.button(_("Find the lyric times"), key="repair.time", icon=":material/lyrics:"):
        judging.start(lambda: studio().takes.time_lyrics(take_id))


def _choose(view: SourceView, lines: list[LyricLine], lyrics: str) -> None:
    if not 0 <= (st.session_state.get(_LINE) or 0) < len(lines):
        st.session_state[_LINE] = None
    st.selectbox(
        _("Line"),
        range(len(lines)),
        index=None,
        key=_LINE,
        format_func=lambda place: f"{seconds(round(lines[place].start, 1))} – {lines[place].text}",
        placeholder=_("Choose a line"),
        on_change=_chosen,
        args=[lines],
    )
    place = st.session_state[_LINE]
    st.text_input(_("New words"), key=_WORDS, disabled=place is None)
    st.button(
        _("Repaint this line"),
        key="repair.apply",
        disabled=place is None,
        on_click=_apply,
        args=[view, lines, lyrics],
        help=_(
            "Sets the region to the line, and caption, lyrics and language to the take's with the new words; unticks "
            "Instrumental."
        ),
    )
    notices.kept(_PLACE)
    if st.session_state.get(_DONE) == view.key:
        st.caption(_(":material/check: Region and lyrics are set; Generate Music sings the line anew."))


def _chosen(lines: list[LyricLine]) -> None:
    """A callback: the words are those that are sung now."""
    notices.forget(_PLACE)
    st.session_state.pop(_DONE, None)
    place = st.session_state[_LINE]
    st.session_state[_WORDS] = lines[place].text if place is not None else ""


def _apply(view: SourceView, lines: list[LyricLine], lyrics: str) -> None:
    """A callback: the form is filled only when the new words fit."""
    notices.forget(_PLACE)
    line = lines[st.session_state[_LINE]]
    try:
        words = repaired(lyrics, lines, st.session_state[_LINE], st.session_state[_WORDS])
    except StudioError as error:
        notices.keep(_PLACE, error)
        return
    choices.set_regions((round(line.start, 3), round(line.end or view.seconds, 3)))
    for name in ("caption", "vocal_language"):
        if given := view.settings.get(name):
            st.session_state[fields.key(name)] = fields.FIELDS[name].fit(given)
    st.session_state[fields.key("lyrics")] = words
    st.session_state[fields.key("instrumental")] = False
    st.session_state[_DONE] = view.key
