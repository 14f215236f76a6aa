"""Stems: a new instrument to a song, one instrument out of it, the missing ones around it, and a mixer for them all."""

from functools import partial

import streamlit as st

from studio.i18n import N_
from studio.services.limits import limits_of
from studio.ui import fields, jobs, reuse, shell
from studio.ui.editing import choices, results, source, span, start, stems
from studio.ui.editing.choices import Task
from studio.ui.panels import advanced, facts, words, writing
from studio.ui.text import _

TASKS = (Task.LEGO, Task.EXTRACT, Task.COMPLETE)
PURPOSES = {
    Task.LEGO: N_("Lego makes one new layer in the context of the source, such as a bass to a song."),
    Task.EXTRACT: N_("Extract isolates one instrument of a mix; no words are needed."),
    Task.COMPLETE: N_("Complete arranges the missing instruments around a source that has only some."),
}
BUTTONS = {
    Task.LEGO: N_("Add this stem"),
    Task.EXTRACT: N_("Extract this stem"),
    Task.COMPLETE: N_("Complete the song"),
}

status = shell.open_page("stems")
limits = limits_of(status)
fields.seed(status.model, limits)
choices.seed()
writing.receive()
with st.container():  # a word that comes or goes here must not move, and so close, the panels below
    writing.said()
    reuse.said()
task = choices.task(TASKS, "stems.task")
st.caption(_(PURPOSES[task]))
why_not = stems.gate(status)

left, right = st.columns([3, 2], gap="large")
with left:
    view = source.panel("stems", closed=bool(why_not))
    stems.tracks(task, closed=bool(why_not))
    if why_not:
        stems.closed_caption()
    elif task is not Task.EXTRACT:
        if task is Task.LEGO:
            span.panel(view, limits.duration)
            st.caption(_("The caption describes the new layer alone, not the whole song."))
        words.caption()
        words.lyrics()
    choices.without_lm()
    start.press(task, status, limits, _(BUTTONS[task]), why_not)
with right:
    start.instruction(task)
    if task is not Task.EXTRACT:
        facts.panel(status.model, limits)
        source.reference()
    st.caption(_("The result is as long as its source; Audio Duration has no effect here."))
    advanced.panel(status.model, status, unused=_(choices.UNUSED))

jobs.panel()
if view is not None:
    stems.mix(view)
results.panel("stems", TASKS, task, partial(choices.collect, task, status), status.model)
