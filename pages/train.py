"""Train: a LoRA from prepared songs, watched while it learns, and exported."""

import streamlit as st

from studio.ui import jobs, shell
from studio.ui.guide import TRAINING
from studio.ui.runtime import studio
from studio.ui.text import _
from studio.ui.training import controls, dataset, export, form, progress, samples

shell.open_page("train")
form.seed()
newest = studio().training.latest()

left, right = st.columns([3, 2], gap="large")
with left:
    st.subheader(_("Dataset"), anchor=False)
    found = dataset.panel()
    st.subheader(_("LoRA and training"), anchor=False)
    form.panel()
    form.paths()
    controls.panel(found, newest)
with right:
    progress.panel(newest)

samples.panel(newest)
export.panel(newest)
with st.expander(_("Performance notes"), icon=":material/speed:", key="train.notes"):
    st.markdown("\n".join(f"- {_(note)}" for note in TRAINING))
    st.markdown(
        "- "
        + _(
            "Prepared songs are read once and stay in RAM: there are no data workers to start anew, "
            "so nothing pauses between epochs on any system."
        )
    )
jobs.panel(without=("train",))
