"""The adapters the studio has seen, to choose one for LoRA Path instead of typing its folder."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from studio.errors import StudioError
from studio.services.known_adapters import AdapterView
from studio.ui import notices
from studio.ui.runtime import studio
from studio.ui.text import _, moment, plain

PATH = "lora.path"
_CHOSEN = "lora.known"
_FILES = "lora.files"
_PLACE = "lora.known.problem"
_KINDS = {"lora": "LoRA", "dora": "DoRA", "lokr": "LoKr", "loha": "LoHa"}  # names, the same in every language


def row() -> None:
    """Draw the choice, what is known of the chosen one, and the ways onto the list and off it."""
    known = {one.id: one for one in studio().adapters.known.all()}
    if st.session_state.get(_CHOSEN) not in known:
        st.session_state.pop(_CHOSEN, None)
    choice, remember, remove = st.columns([4, 1, 1], vertical_alignment="bottom")
    chosen = choice.selectbox(
        _("Known adapters"),
        list(known),
        index=None,
        key=_CHOSEN,
        format_func=lambda one: _label(known[one]) if one in known else str(one),
        placeholder=_("choose one, or type a part of its name"),
        help=_("Adapters that were trained, exported or loaded here. The choice goes into LoRA Path."),
        disabled=not known,
        on_change=_take,
        args=[known],
        persist_state="session",
    )
    remember.button(
        _("Remember"),
        key="lora.remember",
        help=_("Put the adapter of LoRA Path on this list without loading it."),
        on_click=_remember,
        width="stretch",
    )
    view = known.get(chosen or "")
    with remove.popover(_("Remove"), disabled=view is None, width="stretch"):
        if view is not None:
            _removal(view)
    if view is not None:
        _facts(view)
    notices.kept(_PLACE)


def _label(view: AdapterView) -> str:
    parts = [view.name, f"{_KINDS[view.kind]} {view.rank}", view.model]
    if view.missing:
        parts.append(_("its folder is gone"))
    return " · ".join(part for part in parts if part)


def _facts(view: AdapterView) -> None:
    if view.missing:
        st.warning(_("There is no folder {path} any more.").format(path=plain(str(view.path))))
    learnt = _("learnt from {dataset}").format(dataset=plain(view.dataset)) if view.dataset else ""
    parts = [learnt, _("known since {time}").format(time=moment(view.created_at)), f"SHA-256 `{view.sha256[:12]}`"]
    st.caption(" · ".join(part for part in parts if part))


def _removal(view: AdapterView) -> None:
    st.caption(_("Takes {name} off this list. Takes that were made with it stay.").format(name=plain(view.name)))
    files = st.checkbox(_("Delete its folder too"), key=_FILES, disabled=view.missing)
    st.button(_("Remove from the list"), key="lora.forget", on_click=_forget, args=[view.id, files], width="stretch")


def _take(known: Mapping[str, AdapterView]) -> None:
    if view := known.get(st.session_state.get(_CHOSEN) or ""):
        st.session_state[PATH] = str(view.path)


def _remember() -> None:
    notices.forget(_PLACE)
    try:
        st.session_state[_CHOSEN] = studio().adapters.known.add(str(st.session_state[PATH])).id
    except StudioError as error:
        notices.keep(_PLACE, error)


def _forget(adapter_id: str, files: bool) -> None:
    notices.forget(_PLACE)
    try:
        studio().adapters.known.remove(adapter_id, files=files)
    except StudioError as error:
        notices.keep(_PLACE, error)
