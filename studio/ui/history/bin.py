"""The trash, and the questions asked before something is gone."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from studio.services.library import Page
from studio.ui.history import picking, shelf
from studio.ui.runtime import studio
from studio.ui.text import _, plural


def view(page: Page) -> None:
    """Draw a page of the trash."""
    count = studio().library.trash.count()
    if not count:
        st.info(_("The trash is empty. What you delete stays here until you empty it."), icon=":material/delete:")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(plural("{n} take in the trash", "{n} takes in the trash", count))
        st.button(
            _("Restore all"),
            key="history.restore.all",
            on_click=picking.attempt,
            args=[studio().library.trash.restore_all],
        )
        if st.button(_("Empty trash"), key="history.empty", icon=":material/delete_forever:"):
            ask(
                plural(
                    "{n} take and its audio will be gone for good.",
                    "{n} takes and their audio will be gone for good.",
                    count,
                ),
                _("Delete for good"),
                studio().library.trash.empty,
                "history.empty.sure",
            )
    shelf.trashed(page.takes)


def clear_all() -> None:
    """Offer to put everything away."""
    if st.button(_("Move everything to the trash"), key="history.clear", icon=":material/delete_sweep:"):
        ask(
            _("All takes of your history will go to the trash. They can be had back until you empty it."),
            _("Move to trash"),
            studio().library.trash.put_all,
            "history.clear.sure",
        )


def forget(batch_id: str) -> None:
    """Offer to delete a batch that has no takes."""
    if st.button(_("Delete"), key=f"forget.{batch_id}", type="tertiary", icon=":material/delete:"):
        ask(
            _("This batch has no takes; its settings will be gone for good."),
            _("Delete for good"),
            lambda: studio().library.trash.forget_batch(batch_id),
            f"forget.{batch_id}.sure",
        )


def ask(warning: str, yes: str, action: Callable[[], object], key: str) -> None:
    """Ask before doing what can't be undone or touches everything."""

    def body() -> None:
        st.write(warning)
        if st.button(yes, key=key, type="primary"):
            picking.attempt(action)
            picking.let_go()
            st.session_state.pop(picking.UNDO, None)
            st.rerun()

    st.dialog(_("Are you sure?"))(body)()
