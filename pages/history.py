"""History: every batch ever asked for, newest first."""

import streamlit as st

from studio.ui import batches, jobs, shell
from studio.ui.runtime import studio
from studio.ui.text import _, plural

PAGE = 10
TRAIL = "history.trail"  # the batch ids after which the pages on the way here began

status = shell.open_page("history")
trail: list[str] = st.session_state.setdefault(TRAIL, [])
found = list(studio().library.batches(limit=PAGE + 1, before=trail[-1] if trail else None))
shown = found[:PAGE]

if shown:
    st.caption(plural("{n} batch, newest first", "{n} batches, newest first", studio().library.count()))
jobs.panel()
for batch in shown:
    batches.full(batch, status.model)
if not shown:
    st.info(
        _("Nothing here yet. Every batch you generate is kept here with its settings."), icon=":material/headphones:"
    )
    st.page_link("pages/generate.py", label=_("Make your first song"), icon=":material/play_arrow:")

if trail or len(found) > PAGE:
    with st.container(horizontal=True, horizontal_alignment="center"):
        st.button(_("Newer"), key="history.newer", on_click=trail.pop, disabled=not trail)
        st.button(
            _("Older"),
            key="history.older",
            on_click=trail.append,
            args=[shown[-1].id] if shown else [],
            disabled=len(found) <= PAGE,
        )
