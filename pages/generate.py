"""Generate: write what you want to hear, press the button, listen."""

import streamlit as st

from studio.services.limits import limits_of
from studio.ui import fields, jobs, shell
from studio.ui.panels import advanced, facts, results, service, simple, sources, start, words, writing
from studio.ui.text import _

status = shell.open_page("generate")
limits = limits_of(status)
fields.seed(status.model, limits)
writing.receive(limits.duration)
service.panel(status)
start.adjusted()
writing.said()

left, right = st.columns([3, 2], gap="large")
with left:
    mode = simple.mode(status)
    if mode == fields.SIMPLE:
        simple.panel(status)
        opened = not simple.waits_for_sample(mode)
        box = st.expander(_("Caption and lyrics"), expanded=opened, key=f"create.words.{opened}")
    else:
        box = st.container()
    with box:
        words.caption(limits)
        words.lyrics(status)
        words.guidance()
    sources.panel(status)
    start.switches(status)
    start.generate(status, limits, mode)
with right:
    facts.panel(status.model, limits)
    with st.expander(_("Task")):
        words.task(status.model)
    advanced.panel(status)
    start.load()

jobs.panel()
results.panel(status)
