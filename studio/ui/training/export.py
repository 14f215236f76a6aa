"""The adapter's way out of a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from studio.errors import StudioError
from studio.services.training.views import TrainingView
from studio.ui import notices
from studio.ui.runtime import studio
from studio.ui.text import _, plain
from studio.ui.training.form import key

_PLACE = "train.export"
_ASK = "train.export.ask"  # the path that holds something already
_DONE = "train.export.done"  # where the adapter was copied to
NEWEST = ""


def panel(newest: TrainingView | None) -> None:
    """Draw the path, the choice of checkpoint and the button."""
    st.subheader(_("Export"), anchor=False)
    st.session_state.setdefault(key("export_path"), "./lora_output/final_lora")
    path, which, go = st.columns([3, 2, 1], vertical_alignment="bottom")
    path.text_input(
        _("Export path"),
        key=key("export_path"),
        help=_("A new folder; paste it into LoRA Path on Generate, or use it in ComfyUI, diffusers and the original."),
        persist_state="session",
    )
    which.selectbox(
        _("Which one"),
        _choices(newest),
        key=key("checkpoint"),
        format_func=lambda name: name or _("the final one, else the newest"),
    )
    go.button(_("Export LoRA"), key="train.export", on_click=_export, width="stretch")
    notices.kept(_PLACE)
    if (asked := st.session_state.get(_ASK)) is not None:
        _ask(asked)
    if done := st.session_state.get(_DONE):
        st.success(_("Exported to {folder}").format(folder=f"`{done}`"), icon=":material/check_circle:")
        if st.button(_("Use it on Generate"), key="train.export.use", icon=":material/arrow_forward:"):
            st.session_state["lora.path"] = done
            st.switch_page("pages/generate.py")


def _choices(newest: TrainingView | None) -> Sequence[str]:
    saved = newest.saved if newest is not None else ()
    return (NEWEST, *(folder.name for folder in saved if folder.parent.name == "checkpoints"))


def _ask(path: str) -> None:
    st.warning(
        _("There is an adapter at {path} already. Replace it?").format(path=plain(path)), icon=":material/warning:"
    )
    yes, no = st.columns(2)
    yes.button(_("Replace it"), key="train.export.yes", on_click=_replace, width="stretch")
    no.button(_("Keep it"), key="train.export.no", on_click=_keep, width="stretch")


def _export(replace: bool = False) -> None:
    notices.forget(_PLACE)
    st.session_state.pop(_ASK, None)
    st.session_state.pop(_DONE, None)
    out, target, checkpoint = (str(st.session_state[key(name)]) for name in ("out", "export_path", "checkpoint"))
    try:
        if studio().training.exported(target) and not replace:
            st.session_state[_ASK] = target
            return
        info = studio().training.export(out, target, checkpoint=checkpoint, replace=replace)
    except StudioError as error:
        notices.keep(_PLACE, error)
        return
    st.session_state[_DONE] = str(Path(info.path))


def _replace() -> None:
    _export(replace=True)


def _keep() -> None:
    st.session_state.pop(_ASK, None)
