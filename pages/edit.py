"""Edit & Repaint: another style over the same music, or another piece of music in a part of it."""

from functools import partial

import streamlit as st

from studio.services.limits import limits_of
from studio.ui import fields, jobs, reuse, shell
from studio.ui.editing import choices, cover, repaint, results, source, start
from studio.ui.editing.choices import Task
from studio.ui.panels import advanced, facts, words, writing
from studio.ui.text import _

TASKS = (Task.COVER, Task.REPAINT)

status = shell.open_page("edit")
limits = limits_of(status)
fields.seed(status.model, limits)
choices.seed()
writing.receive()
with st.container():  # a word that comes or goes here must not move, and so close, the panels below
    writing.said()
    reuse.said()
task = choices.task(TASKS, "edit.task")

left, right = st.columns([3, 2], gap="large")
with left:
    view = source.panel("edit")
    if task is Task.COVER:
        cover.panel(view)
    else:
        repaint.panel(view, limits)
    words.caption()
    words.lyrics()
    choices.without_lm()
    start.press(task, status, limits, _("Generate Music"))
with right:
    facts.panel(status.model, limits)
    st.caption(_("The result is as long as its source and what is added to it; Audio Duration has no effect here."))
    source.reference()
    start.instruction(task)
    advanced.panel(status.model, status, unused=_(choices.UNUSED))

jobs.panel()
results.panel("edit", TASKS, task, partial(choices.collect, task, status), status.model)
