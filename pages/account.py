"""Account: who one is here, and the keys of one's programs."""

import streamlit as st

from studio.ui import door, keys, shell
from studio.ui.runtime import studio
from studio.ui.text import _, plain

shell.open_page("account")
principal = studio().principal
st.markdown(
    _("You are **{name}** here. Your role: {role}.").format(
        name=plain(principal.name), role=_(door.ROLES[principal.role])
    )
)
st.header(_("API keys"), anchor=False)
st.caption(_("A program that shows a key acts for you, within what the key allows. Treat it like a password."))
keys.fresh()
keys.listed()
keys.new()
