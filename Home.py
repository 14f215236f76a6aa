"""Home: what is running, what was made last, and three ways to start."""

import streamlit as st

from studio.services.principal import Right
from studio.ui import batches, fields, first_song, jobs, player, shell, starters
from studio.ui.panels import download
from studio.ui.runtime import studio
from studio.ui.text import _

status = shell.open_page("home")
jobs.panel()
if not studio().principal.may(Right.MAKE):
    st.page_link("pages/history.py", label=_("What the team shares is in History"), icon=":material/history:")
    st.stop()
with st.container():  # what comes or goes here must not move, and so close, what is below
    guided = first_song.guide("home", status)
recent = [batch for batch in studio().library.batches(limit=6) if batch.takes][:3]

if not recent and not guided:
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
            type="secondary" if starter.form else "primary",
            width="stretch",
        )
    if chosen:
        st.switch_page("pages/generate.py")
download.invite()

if recent:
    st.header(_("Recent takes"), anchor=False)
    for batch in recent:
        with st.container(key=f"recent.{batch.id}"):
            batches.head(batch)
            player.cards(batch.takes)
    st.page_link("pages/history.py", label=_("All takes are in History"), icon=":material/history:")
