"""The trash, and the questions asked before something is gone."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from studio.services.library import Page
from studio.ui.history import picking, shelf
from studio.ui.runtime import settings, studio
from studio.ui.text import _, plural

_ASKED = "history.asked.about"  # which question is open, and the id it is about
_EMPTY, _CLEAR, _FORGET = "empty", "clear", "forget"


def view(page: Page) -> None:
    """Draw a page of the trash."""
    count = studio().library.trash.count()
    if not count:
        st.info(_("The trash is empty. What you delete stays here until you empty it."), icon=":material/delete:")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(plural("{n} take in the trash", "{n} takes in the trash", count))
        if days := settings().trash_days:
            st.caption(_("What is here for over {days} days is deleted for good.").format(days=f"{days:g}"))
        st.button(
            _("Restore all"),
            key="history.restore.all",
            on_click=picking.attempt,
            args=[studio().library.trash.restore_all],
        )
        st.button(_("Empty trash"), key="history.empty", icon=":material/delete_forever:", on_click=_ask, args=[_EMPTY])
    shelf.trashed(page.takes)


def clear_all() -> None:
    """Offer to put everything away."""
    st.button(
        _("Move everything to the trash"),
        key="history.clear",
        icon=":material/delete_sweep:",
        on_click=_ask,
        args=[_CLEAR],
    )


def forget(batch_id: str) -> None:
    """Offer to delete a batch that has no takes."""
    st.button(
        _("Delete"),
        key=f"forget.{batch_id}",
        type="tertiary",
        icon=":material/delete:",
        on_click=_ask,
        args=[_FORGET, batch_id],
    )


def question() -> None:
    """Draw the question that is open, if any; the session holds which, so a rerun does not close it."""
    what, about = st.session_state.get(_ASKED, ("", ""))
    if what:
        st.dialog(_("Are you sure?"), on_dismiss=_close)(_question)(what, about)


def _ask(what: str, about: str = "") -> None:
    st.session_state[_ASKED] = (what, about)


def _close() -> None:
    st.session_state.pop(_ASKED, None)


def _question(what: str, about: str) -> None:
    trash = studio().library.trash
    if what == _EMPTY:
        count = trash.count()
        st.write(
            plural(
                "{n} take and its audio will be gone for good.",
                "{n} takes and their audio will be gone for good.",
                count,
            )
        )
        _yes(_("Delete for good"), trash.empty, what)
    elif what == _CLEAR:
        st.write(_("All takes of your history will go to the trash. They can be had back until you empty it."))
        _yes(_("Move to trash"), trash.put_all, what)
    else:
        st.write(_("This batch has no takes; its settings will be gone for good."))
        _yes(_("Delete for good"), lambda: trash.forget_batch(about), what)


def _yes(words: str, action: Callable[[], object], what: str) -> None:
    if st.button(words, key=f"history.{what}.sure", type="primary", on_click=_do, args=[action]):
        st.rerun()


def _do(action: Callable[[], object]) -> None:
    _close()
    picking.let_go()
    st.session_state.pop(picking.UNDO, None)
    picking.attempt(action)
