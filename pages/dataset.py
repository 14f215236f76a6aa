"""Dataset: from a folder of songs to what training reads."""

import streamlit as st

from studio.ui import drawings, jobs, shell
from studio.ui.datasets import current, editor, labelling, opening, saving, settings, table
from studio.ui.text import _

status = shell.open_page("dataset")
with st.container():  # a word that comes or goes here must not move, and so close, the steps below
    jobs.panel()
with st.container():
    view = current.panel()
with st.expander(_("1 · Load a dataset or scan a folder"), expanded=view is None, icon=":material/folder_open:"):
    opening.panel()
with st.container():
    opening.outcome()
if view is None:
    drawings.draw("no-dataset")
    st.info(_("There is no dataset yet: load one, scan a folder, or upload songs."))
else:
    with st.container():
        table.panel(view)
    with st.expander(_("2 · Settings for all songs"), icon=":material/tune:"):
        settings.panel(view)
    with st.expander(_("3 · Label"), icon=":material/label:"):
        labelling.panel(view, status)
    with st.expander(_("4 · Look and edit"), icon=":material/edit:"):
        editor.panel(view)
    with st.expander(_("5 · Save"), icon=":material/save:"):
        saving.save(view)
with st.expander(_("6 · Preprocess"), icon=":material/memory:"):
    saving.prepare(view)
