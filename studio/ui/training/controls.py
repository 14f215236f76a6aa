"""Start, stop and resume, with what a run would come to and what stands in its way."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from studio.errors import NotFound, StudioError
from studio.services.training.tensors import TensorsView
from studio.services.training.views import OutlookView, TrainingView
from studio.ui import jobs, notices
from studio.ui.runtime import studio
from studio.ui.text import _, plain, plural
from studio.ui.training import form
from studio.ui.training.form import key

_PLACE = "train.start"
_SWITCH = "train.switch"  # what to do once the model may be loaded again without quantization
_SAID = "train.said"  # a notice of the last press


def panel(found: TensorsView | None, newest: TrainingView | None) -> None:
    """Draw the outlook and the buttons."""
    if found is not None and not (newest and newest.active):
        _outlook(studio().training.outlook(found, form.collect()))
    start, stop = st.columns(2)
    start.button(_("Start Training"), key="train.start", type="primary", on_click=_start, width="stretch")
    stop.button(_("Stop Training"), key="train.stop", on_click=_stop, width="stretch")
    if newest is not None and newest.resumable:
        st.button(
            _("Resume the last run"), key="train.again", on_click=_resume, args=[newest.id], icon=":material/resume:"
        )
    notices.kept(_PLACE)
    if said := st.session_state.pop(_SAID, ""):
        st.info(plain(_(said)), icon=":material/info:")
    if st.session_state.get(_SWITCH) is not None:
        _switch()
    st.caption(
        _(
            "While a LoRA is trained, the model is unloaded and no music can be made; it is loaded again afterwards. "
            "Training goes on when this page is closed or the server starts again."
        )
    )


def _outlook(view: OutlookView) -> None:
    if view.problem is not None:
        notices.show(view.problem)
        return
    parts = [
        plural("effective batch {n}", "effective batch {n}", view.batch),
        plural("{n} update an epoch", "{n} updates an epoch", view.updates),
        plural("{n} update in all", "{n} updates in all", view.steps),
    ]
    if view.needed is not None and view.free is not None:
        words = _("about {need} of {free} GB")
        parts.append(words.format(need=f"{view.needed:.1f}", free=f"{view.free:.1f}"))
    st.caption(" · ".join(parts))
    for note in view.notes:
        st.warning(plain(_(note)), icon=":material/warning:")


def _switch() -> None:
    """Quantized weights can't be trained: offer the way without them."""
    st.warning(
        _(
            "The model is loaded with INT8 weights, which can't be trained. It can be initialized again without "
            "quantization, and training starts then."
        ),
        icon=":material/warning:",
    )
    yes, no = st.columns(2)
    yes.button(_("Initialize without INT8 and train"), key="train.switch.yes", on_click=_switched, width="stretch")
    no.button(_("Not now"), key="train.switch.no", on_click=_not_now, width="stretch")


def _start() -> None:
    _try(_submit)


def _submit(unquantize: bool) -> str:
    values = {name: str(st.session_state[key(name)]) for name in form.PATHS}
    return studio().training.start(
        values["tensors"], values["out"], form.collect(), resume=values["resume"], unquantize=unquantize
    )


def _resume(training_id: str) -> None:
    _try(lambda unquantize: studio().training.resume(training_id, unquantize=unquantize))


def _try(work: Callable[[bool], str], unquantize: bool = False) -> None:
    notices.forget(_PLACE)
    st.session_state.pop(_SWITCH, None)
    if studio().training.quantized() and not unquantize:
        st.session_state[_SWITCH] = work
        return
    try:
        work(unquantize)
    except StudioError as error:
        notices.keep(_PLACE, error)
        return
    for job in studio().generation.active():
        jobs.watch(job.id)


def _switched() -> None:
    _try(st.session_state.pop(_SWITCH), unquantize=True)


def _not_now() -> None:
    st.session_state.pop(_SWITCH, None)


def _stop() -> None:
    notices.forget(_PLACE)
    try:
        studio().training.stop()
    except NotFound as nothing:
        st.session_state[_SAID] = str(nothing)
