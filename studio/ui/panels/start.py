"""The button and what stands around it: Think and its companions, the outlook, loading parameters, AutoGen."""

from __future__ import annotations

import streamlit as st

from studio.engine.requests import Task
from studio.errors import StudioError
from studio.services.limits import Limits
from studio.services.preflight import PreflightView
from studio.services.views import StatusView, WorkerState
from studio.ui import fields, handoff, jobs, notices
from studio.ui.fields import key
from studio.ui.panels import results, simple
from studio.ui.panels.choices import checkbox, why_no_lm
from studio.ui.runtime import studio
from studio.ui.text import _, plain, plural, seconds

_PLACE, _LOADING = "start", "load"  # where errors stand
_LOAD_ROUND = "create.load_round"
_LOADED = "create.loaded"


def switches(status: StatusView) -> None:
    """Draw Think, ParallelThinking, CaptionRewrite and AutoGen."""
    reason = why_no_lm(status)
    with st.container(horizontal=True):  # columns would cut the longer names
        checkbox(
            "thinking", _("The language model plans the song and writes codes before the DiT starts."), reason=reason
        )
        checkbox("allow_lm_batch", _("It thinks about several takes at once; off is one after another."), reason=reason)
        checkbox("use_cot_caption", _("It improves the caption for the DiT; your own stays in the box."), reason=reason)
        results.autogen()


def generate(status: StatusView, limits: Limits, mode: str) -> None:
    """Draw Generate Music with the outlook above it; while it can't be pressed it says why."""
    why_not = _reason(status, mode)
    _outlook(status)
    st.button(
        _("Generate Music"),
        key="create.generate",
        type="primary",
        shortcut="Ctrl+Shift+Enter",
        disabled=bool(why_not),
        help=why_not or None,
        icon=":material/play_arrow:",
        on_click=_start,
        args=[status, limits],
    )
    if why_not:
        st.caption(why_not)
    notices.kept(_PLACE)


def adjusted() -> None:
    """Say which applied settings could not be kept as they were."""
    if names := st.session_state.pop(fields.ADJUSTED, []):
        words = ", ".join(
            f"{fields.label(name)} → {plain(fields.show(name, st.session_state[key(name)]))}"
            for name in dict.fromkeys(names)
        )
        st.warning(_("These settings don't fit the loaded model and were adjusted: {names}").format(names=words))


def load(status: StatusView) -> None:
    """Draw the box that fills the form from a saved JSON, and what came of the last one."""
    with st.expander(_("Load parameters"), icon=":material/upload_file:"):
        st.file_uploader(
            _("A take, or the JSON file saved with it"),
            type=["json", "mp3", "flac", "wav", "opus", "m4a", "aac"],
            key=f"create.load.{st.session_state.setdefault(_LOAD_ROUND, 0)}",
            help=_("Fills the whole form and fixes the seeds of that take."),
            on_change=_load,
            args=[status],
        )
        notices.kept(_LOADING)
        for word in st.session_state.pop(_LOADED, ()):
            st.info(word, icon=":material/info:")


def _load(status: StatusView) -> None:
    notices.forget(_LOADING)
    file = st.session_state[f"create.load.{st.session_state[_LOAD_ROUND]}"]
    if file is None:
        return
    try:
        loaded = studio().parameters.read(file.getvalue())
    except StudioError as error:
        notices.keep(_LOADING, error)
        return
    fields.apply(loaded.form, take_id=studio().takes.named_in(file.getvalue()))
    st.session_state[_LOAD_ROUND] += 1
    said = [_("The form was filled from {name}.").format(name=plain(file.name))]
    if loaded.gone:
        said.append(_("Not there any more: {names}").format(names=plain(", ".join(loaded.gone))))
    if loaded.odd:
        said.append(_("Not understood, so left at its default: {names}").format(names=plain(", ".join(loaded.odd))))
    if loaded.form["thinking"] and not fields.has_lm(status):
        said.append(_("It was made with Think, which needs a language model; none is loaded."))
    if loaded.form["task_type"] != Task.TEXT2MUSIC:
        said.append(
            _("It is a {task}, which has a page of its own; here its words and settings make a song from text.").format(
                task=plain(str(loaded.form["task_type"]))
            )
        )
    st.session_state[_LOADED] = said


def _start(status: StatusView, limits: Limits) -> None:
    """Submit the form; a callback, so that the seeds drawn can be written into the Seed field."""
    notices.forget(_PLACE)
    fields.seed(status.model, limits)
    try:
        job_id = studio().generation.submit(fields.collect(status), handoff.parents())
    except StudioError as error:
        notices.keep(_PLACE, error)
        return
    jobs.watch(job_id)
    if st.session_state[key("use_random_seed")]:
        st.session_state[key("seed")] = ", ".join(str(seed) for seed in studio().generation.seeds(job_id))


def _reason(status: StatusView, mode: str) -> str:
    """Say why nothing can be generated now; empty when it can."""
    if status.ready:
        if simple.waits_for_sample(mode):
            return _("Simple mode: press Create Sample first, or switch to Custom.")
        return _("Your batch is being made; wait for it or cancel it.") if jobs.own_batch() else ""
    if status.state == WorkerState.LOADING:
        return _("The model is loading. Generate Music opens when it is ready.")
    if status.state == WorkerState.TRAINING:
        return _("A LoRA is being trained and has the device to itself. Wait, or stop it on the Train page.")
    if status.state == WorkerState.GONE:
        return _("No worker is running, so no music can be made. Start the studio with python app.py.")
    return _("No model is loaded. Choose one under Service Configuration and press Initialize Service.")


def _outlook(status: StatusView) -> None:
    if not status.ready:
        return
    view = studio().preflight.look(fields.collect(status), status)
    if view.problem is not None:
        return  # what is missing or wrong is said when the button is pressed, not while a person still types
    st.caption(" · ".join(_outlook_parts(view)))
    for note in view.notes:
        st.caption(":material/info: " + plain(_(note)))


def _outlook_parts(view: PreflightView) -> list[str]:
    takes = int(st.session_state[key("batch_size")])
    parts = [plural("{n} take", "{n} takes", takes)]
    if view.duration is not None:
        parts.append(_("{time} each").format(time=seconds(view.duration)))
    if view.steps is not None:
        parts.append(plural("{n} step", "{n} steps", view.steps))
    if view.memory is not None:
        free = _(" of {free} GB free").format(free=f"{view.free:.1f}") if view.free is not None else ""
        parts.append(_("about {need} GB").format(need=f"{view.memory:.2f}") + free)
    if view.seconds is None:
        parts.append(_("time: no estimate yet"))
    else:
        seen = plural("from {n} run like it", "from {n} runs like it", view.runs)
        parts.append(_("time: about {time}").format(time=seconds(view.seconds)) + f" ({seen})")
    return parts
