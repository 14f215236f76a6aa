"""The folder of prepared songs."""

from __future__ import annotations

from typing import cast

import streamlit as st

from studio.errors import StudioError
from studio.services.training.tensors import TensorsView
from studio.ui import drawings, notices
from studio.ui.runtime import studio
from studio.ui.text import _, plain, plural, seconds
from studio.ui.training.form import key

_LOADED = "train.dataset"
_PLACE = "train.dataset"


def panel() -> TensorsView | None:
    """Draw the path, the button and what was found; return that."""
    path, load = st.columns([3, 1], vertical_alignment="bottom")
    path.text_input(
        _("Tensor directory"),
        key=key("tensors"),
        help=_("What Preprocess on the Dataset page wrote, or `studio dataset preprocess`."),
        persist_state="session",
    )
    load.button(_("Load Dataset"), key="train.load", on_click=_load, width="stretch")
    notices.kept(_PLACE)
    found = cast(TensorsView | None, st.session_state.get(_LOADED))
    if found is None:
        drawings.draw("no-training")
        st.info(
            _(
                "No dataset is loaded. Preprocess songs on the Dataset page, then name the folder of their tensors "
                "above and press Load Dataset."
            )
        )
        st.page_link("pages/dataset.py", label=_("Dataset"), icon=":material/library_music:")
        return None
    words = [
        f"**{plain(found.name)}**",
        plural("{n} song", "{n} songs", found.count),
        _("tag: {tag}").format(tag=plain(found.tag)) if found.tag else _("no tag"),
    ]
    if found.seconds is not None:
        words.append(seconds(found.seconds))
    if found.model:
        words.append(_("prepared for {model}").format(model=plain(found.model)))
    st.success(" · ".join(words), icon=":material/library_music:")
    return found


def _load() -> None:
    notices.forget(_PLACE)
    st.session_state.pop(_LOADED, None)
    try:
        st.session_state[_LOADED] = studio().training.tensors(str(st.session_state[key("tensors")]))
    except StudioError as error:
        notices.keep(_PLACE, error)
