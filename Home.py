"""Home: what is running, what was made last, and three ways to start."""

import streamlit as st

from studio.services.principal import Right
from studio.ui import batches, fields, jobs, player, shell, starters
from studio.ui.runtime import studio
from studio.ui.text import _

status = shell.open_page("home")
jobs.panel()
if not studio().principal.may(Right.MAKE):
    st.page_link("pages/history.py", label=_("What the team shares is in History"), icon=":material/history:")
    st.stop()
recent = [batch for batch in studio().library.batches(limit=6) if batch.takes][:3]

if not recent:
    st.markdown(_("Write what you want to hear, press **Generate Music**, and listen. Your takes will appear here."))
st.header(_("Three ways to start"), anchor=False)
for column, starter in zip(st.columns(3), starters.STARTERS, strict=True):
    with column, st.container(border=True, height="stretch", vertical_alignment="distribute"):
        st.markdown(f"**{_(starter.title)}**")
        st.write(_(starter.text))
        chosen = st.button(
            _(starter.button),
            key=f"start.{starter.name}",
            on_click=fields.apply if starter.form else None,
            args=[starter.form, status.model] if starter.form else None,
            width="stretch",
        )
    if chosen:
        st.switch_page("pages/generate.py")

if recent:
    st.header(_("Recent takes"), anchor=False)
    for batch in recent:
        with st.container(key=f"recent.{batch.id}"):
            batches.head(batch)
            player.cards(batch.takes)
    st.page_link("pages/history.py", label=_("All takes are in History"), icon=":material/history:")
