"""What frames every page: title, menu and the readiness badge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import streamlit as st

from studio.config import ROOT
from studio.engine.lora.wanted import adapter_set_from
from studio.errors import PermissionDenied, SignInNeeded
from studio.i18n import LANGUAGES, N_
from studio.services.views import StatusView, WorkerState
from studio.ui import door, jobs, notices
from studio.ui.guide import guide
from studio.ui.runtime import ask_again, studio
from studio.ui.text import Colour, _, explain, language, plain, speak

PAGES = {  # name -> (script, menu label, title)
    "home": ("Home.py", N_("Home"), N_("Studio")),
    "generate": ("pages/generate.py", N_("Generate"), N_("Generate")),
    "edit": ("pages/edit.py", N_("Edit & Repaint"), N_("Edit & Repaint")),
    "stems": ("pages/stems.py", N_("Stems"), N_("Stems")),
    "history": ("pages/history.py", N_("History"), N_("History")),
    "dataset": ("pages/dataset.py", N_("Dataset"), N_("Dataset")),
    "train": ("pages/train.py", N_("Train"), N_("Train")),
    "take": ("pages/take.py", "", N_("Take")),  # not in the menu: links lead to it
    "account": ("pages/account.py", N_("Account"), N_("Account")),
    "admin": ("pages/admin.py", N_("Administration"), N_("Administration")),
}
_LOOKS: Mapping[WorkerState, tuple[Colour, str]] = {
    WorkerState.READY: ("green", ":material/check_circle:"),
    WorkerState.LOADING: ("orange", ":material/hourglass_top:"),
    WorkerState.TRAINING: ("orange", ":material/school:"),
    WorkerState.EMPTY: ("gray", ":material/circle:"),
    WorkerState.FAILED: ("red", ":material/error:"),
    WorkerState.GONE: ("red", ":material/error:"),
}
_PASSING = (WorkerState.LOADING, WorkerState.TRAINING)  # states that end by themselves
_LM_STATES = {"": N_("off"), "loading": N_("loading"), "failed": N_("failed to load")}
_LANGUAGE = "shell.language"
ICON = str(ROOT / "static" / "icon.png")
_ACCENT = ROOT / "static" / "accent.css"
STATES = {
    WorkerState.READY: N_("Ready"),
    WorkerState.LOADING: N_("Loading the model"),
    WorkerState.TRAINING: N_("Training a LoRA"),
    WorkerState.EMPTY: N_("No model loaded"),
    WorkerState.FAILED: N_("Model failed to load"),
    WorkerState.GONE: N_("No worker is running"),
}


def open_page(name: str) -> StatusView:
    """Begin a page: configure it, draw menu, badge and title; return whether music can be made.

    Whoever may not see the page sees why, and the page ends here.
    """
    title = _(PAGES[name][2])
    st.set_page_config(
        page_title=title if name == "home" else _("{page} · Studio").format(page=title),
        page_icon=ICON,
        layout="wide",
    )
    st.html(_ACCENT)
    st.logo(ICON, size="large")
    notices.turn_to(name)
    ask_again()
    try:
        principal = studio().principal
    except (SignInNeeded, PermissionDenied) as refusal:
        with st.sidebar:
            _language()
        _turn_away(title, refusal)
    jobs.look()
    status = studio().status()
    with st.sidebar:
        for other, (script, entry, _title) in PAGES.items():
            if not entry or not door.opens(other):
                continue
            st.page_link(script, label=f"**{_(entry)}**" if other == name else _(entry))
        st.divider()
        door.person()
        st.fragment(_badge, run_every=1.0 if status.state in _PASSING else None)(status)
        _language()
        guide(name)
    try:
        principal.check(door.needs(name))
    except PermissionDenied as refusal:
        _turn_away(title, refusal)
    st.title(title, anchor=False)
    return status


def _turn_away(title: str, refusal: SignInNeeded | PermissionDenied) -> NoReturn:
    st.title(title, anchor=False)
    door.turn_away(refusal)
    st.stop()


def _language() -> None:
    """Draw the choice of language on every page; Service Configuration shows the same one."""
    st.session_state[_LANGUAGE] = language()
    st.selectbox(
        _("Interface language"),
        list(LANGUAGES),
        key=_LANGUAGE,
        format_func=lambda code: LANGUAGES[code],
        on_change=lambda: speak(st.session_state[_LANGUAGE]),
    )


def word(status: StatusView) -> str:
    """Say in words how the owner of the model is."""
    return _(STATES[status.state])


def _badge(drawn: StatusView) -> None:
    """Draw the readiness badge; redraw the page when the state has changed since."""
    status = studio().status()
    if status.state != drawn.state:
        st.rerun()
    colour, icon = _LOOKS[status.state]
    st.badge(word(status), icon=icon, color=colour)
    if status.model is not None:
        model = status.model
        st.caption(
            _("{name}  \n{family} · {device} · {dtype}").format(
                name=plain(model.name),
                family=plain(model.family),
                device=plain(status.device),
                dtype=plain(status.dtype),
            )
        )
        st.caption(_companions(status))
    if status.error:
        st.caption(plain(explain(status.error)))
    elif status.state == WorkerState.GONE:
        st.caption(_("Start the studio with `python app.py`: the worker comes with it."))


def _companions(status: StatusView) -> str:
    """Name the language model, the adapter and the quantization, or say that there is none."""
    lm, loaded = status.lm, status.loaded
    name = lm.name if lm.ready else _(_LM_STATES.get(lm.state, _LM_STATES[""]))
    worn = adapter_set_from(loaded)
    each = [f"{one.name} ({f'{one.scale:g}' if worn.on else _('off')})" for one in worn.adapters]
    quantization = str(loaded.get("quantization", "none"))
    return _("LM: {lm}  \nLoRA: {adapter}  \nQuantization: {quantization}").format(
        lm=plain(name),
        adapter=plain(" + ".join(each) or _("none")),
        quantization=_("none") if quantization == "none" else plain(quantization),
    )
