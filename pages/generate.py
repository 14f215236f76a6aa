"""Generate: write what you want to hear, press the button, listen."""

import streamlit as st

from studio.services.limits import limits_of
from studio.ui import fields, first_song, jobs, reuse, shell
from studio.ui.panels import advanced, facts, made, service, simple, sources, start, words, writing
from studio.ui.text import _

status = shell.open_page("generate")
limits = limits_of(status)
with st.container():  # what comes or goes here must not move, and so close, the panels below
    first_song.guide("generate", status)
loading = service.panel(status)
model = service.chosen(status)
writing.receive()
fields.seed(model, limits)
with st.container():  # a word that comes or goes here must not move, and so close, the panels below
    start.adjusted()
    reuse.said()
    writing.said()

left, right = st.columns([3, 2], gap="large")
with left:
    mode = simple.mode(status)
    written = not simple.waits_for_sample(mode)
    if mode == fields.SIMPLE:
        simple.panel()
        box = st.expander(_("Caption and lyrics"), expanded=written, key=f"create.words.{written}")
    else:
        box = st.container()
    with box:
        words.caption()
        words.lyrics()
        words.guidance()
    sources.panel(status)
    sources.recorder()
    start.switches(status)
    start.generate(status, limits, mode)
with right:
    if mode == fields.SIMPLE:
        box = st.expander(_("Optional Parameters"), expanded=written, key=f"create.facts.{written}")
    else:
        box = st.container()
    with box:
        facts.panel(model, limits)
    with st.expander(_("Task")):
        words.task(model)
    advanced.panel(model, status)
    start.load(status)

with loading if jobs.loading() else st.container():
    jobs.panel()
made.panel(status)
