"""What a search finds, page by page; the page and its end of the list stay while new takes are made."""

from __future__ import annotations

import streamlit as st

from studio.services.library import Page, Query
from studio.services.views import ModelView
from studio.ui.history import shelf
from studio.ui.runtime import studio
from studio.ui.text import _, plural

_NUMBER, _ASKED, _ANCHOR, _PAGES = "history.page", "history.asked", "history.anchor", "history.pages"


def found(query: Query, model: ModelView | None) -> None:
    """Draw a page of takes, or say that there are none."""
    shown = page(query)
    if not shown.total:
        st.info(_("No take fits this search. Try fewer words or filters."), icon=":material/search_off:")
        return
    words = plural("{n} take found", "{n} takes found", shown.total)
    st.caption(_("more than {found}").format(found=words) if shown.capped else words)
    shelf.takes(shown.takes, model, with_head=True)
    turn()


def page(query: Query) -> Page:
    """Return the page this session is at; another question starts at the first."""
    state = st.session_state
    if state.get(_ASKED) != query:
        state[_ASKED], state[_NUMBER], state[_ANCHOR] = query, 1, None
    shown = studio().library.search(query, int(state.get(_NUMBER, 1)), anchor=state[_ANCHOR])
    state[_NUMBER], state[_ANCHOR], state[_PAGES] = shown.number, shown.anchor, shown.pages
    return shown


def turn() -> None:
    """Draw the numbers of the pages where there are several."""
    if st.session_state[_PAGES] > 1:
        st.pagination(st.session_state[_PAGES], key=_NUMBER)
