"""Administration: people, everybody's jobs, workers, time, room on the disk, models, settings, and who did what."""

import streamlit as st

from studio.ui import administration, shell, supervision
from studio.ui.text import _

shell.open_page("admin")
st.header(_("People"), anchor=False)
administration.people()
st.header(_("Queue"), anchor=False)
administration.queue()
supervision.jobs()
st.header(_("Model time"), anchor=False)
supervision.usage()
st.header(_("Storage"), anchor=False)
administration.room()
st.header(_("Models"), anchor=False)
supervision.models()
supervision.configuration()
st.header(_("Audit log"), anchor=False)
administration.log()
