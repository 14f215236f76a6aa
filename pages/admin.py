"""Administration: people and their roles, queue and workers, the room on the disk, and who did what."""

import streamlit as st

from studio.ui import administration, shell
from studio.ui.text import _

shell.open_page("admin")
st.header(_("People"), anchor=False)
administration.people()
st.header(_("Queue"), anchor=False)
administration.queue()
st.header(_("Storage"), anchor=False)
administration.room()
st.header(_("Audit log"), anchor=False)
administration.log()
