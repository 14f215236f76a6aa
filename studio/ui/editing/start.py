"""The button that starts an edit, and why it can't be pressed."""

from __future__ import annotations

import streamlit as st

from studio.engine.prompts import instruction_for
from studio.engine.requests import Task
from studio.errors import StudioError
from studio.services.limits import Limits
from studio.services.views import StatusView, WorkerState
from studio.ui import fields, handoff, jobs, notices
from studio.ui.editing import choices
from studio.ui.fields import key
from studio.ui.panels import results
from studio.ui.runtime import studio
from studio.ui.text import _

_PLACE = "edit.start"  # where errors stand


def instruction(task: Task) -> None:
    """Draw the sentence the model is told, with the chosen tracks in it."""
    tracks: list[str] = []
    if task in (Task.LEGO, Task.EXTRACT) and choices.value("track_name"):
        tracks = [str(choices.value("track_name"))]
    elif task is Task.COMPLETE:
        tracks = list(st.session_state[choices.TRACKS])
    words = instruction_for(task, tracks)
    st.text_area(
        _("Instruction"),
        value=words,
        height=70,
        key=f"edit.instruction.{words}",  # a disabled box keeps the first value it was drawn with
        disabled=True,
        help=_("The sentence the model is told for this task. It can't be changed."),
    )


def press(task: Task, status: StatusView, limits: Limits, words: str, why_not: str = "") -> None:
    """Draw AutoGen and the button, and under it what came of the last try."""
    if task in choices.ENDLESS:
        results.autogen()
    reason = why_not or _reason(status)
    st.button(
        words,
        key="edit.generate",
        type="primary",
        shortcut="Ctrl+Shift+Enter",
        disabled=bool(reason),
        help=reason or None,
        icon=":material/play_arrow:",
        on_click=_start,
        args=[task, status, limits],
    )
    if reason:
        st.caption(reason)
    notices.kept(_PLACE)


def _start(task: Task, status: StatusView, limits: Limits) -> None:
    """Submit the form; a callback, so that the seeds drawn can be written into the Seed field."""
    notices.forget(_PLACE)
    fields.seed(status.model, limits)
    choices.seed()
    try:
        job_id = studio().generation.submit(choices.collect(task, status), handoff.parents())
    except StudioError as error:
        notices.keep(_PLACE, error)
        return
    jobs.watch(job_id)
    if st.session_state[key("use_random_seed")]:
        st.session_state[key("seed")] = ", ".join(str(number) for number in studio().generation.seeds(job_id))


def _reason(status: StatusView) -> str:
    if status.ready:
        return _("Your batch is being made; wait for it or cancel it.") if jobs.own_batch() else ""
    if status.state == WorkerState.LOADING:
        return _("The model is loading. Generate Music opens when it is ready.")
    if status.state == WorkerState.TRAINING:
        return _("A LoRA is being trained and has the device to itself. Wait, or stop it on the Train page.")
    if status.state == WorkerState.GONE:
        return _("No worker is running, so no music can be made. Start the studio with python app.py.")
    return _("No model is loaded. Initialize one on the Generate page, under Service Configuration.")
