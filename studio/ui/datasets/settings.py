"""Step 2: what holds for all songs."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from studio.engine.dataset.samples import Dataset, TagPosition
from studio.i18n import N_
from studio.services.datasets.views import DatasetView
from studio.ui.datasets import current
from studio.ui.runtime import studio
from studio.ui.text import _

_PLACE = "dataset.settings"
_SHOWN = "dataset.settings.shown"  # (id, settings) the widgets were filled from
_POSITIONS = {
    TagPosition.PREPEND: N_("Prepend (tag, caption)"),
    TagPosition.APPEND: N_("Append (caption, tag)"),
    TagPosition.REPLACE: N_("Replace caption"),
}
_NAMES = ("name", "all_instrumental", "custom_tag", "tag_position", "genre_ratio")


def panel(view: DatasetView) -> None:
    """Draw the settings (D-09 to D-13); each is stored as soon as it is changed."""
    _fill(view)
    dataset = view.dataset
    left, right = st.columns(2, gap="large")
    with left:
        st.text_input(_("Dataset Name"), key=_key("name"), on_change=_store, args=["name", view.id, dataset])
        st.checkbox(
            _("All Instrumental"),
            key=_key("all_instrumental"),
            on_change=_store,
            args=["all_instrumental", view.id, dataset],
            help=_("Songs without lyrics of their own have no voice. Songs with lyrics are sung either way."),
        )
        st.slider(
            _("Genre ratio"),
            0,
            100,
            step=10,
            format="%d %%",
            key=_key("genre_ratio"),
            on_change=_store,
            args=["genre_ratio", view.id, dataset],
            help=_("Share of songs that are described by their genre instead of their caption. 0 is best in practice."),
        )
    with right:
        st.text_input(
            _("Custom Activation Tag"),
            key=_key("custom_tag"),
            on_change=_store,
            args=["custom_tag", view.id, dataset],
            help=_("The word that will call the style of the LoRA. Emptied, it is taken off every song."),
        )
        st.radio(
            _("Tag Position"),
            list(_POSITIONS),
            key=_key("tag_position"),
            format_func=lambda position: _(_POSITIONS[position]),
            on_change=_store,
            args=["tag_position", view.id, dataset],
        )
        _example(dataset)
    current.came_of(_PLACE)


def _example(dataset: Dataset) -> None:
    """Show what training will read, by the first song that has a caption."""
    found = next((sample for sample in dataset.samples if sample.caption), None)
    if found is None:
        st.caption(_("What training reads of a song is shown here once one has a caption."))
        return
    st.caption(_("Training reads of {file}:").format(file=found.filename))
    st.code(dataset.tag_position.combine(found.custom_tag, found.text(False)), language=None, wrap_lines=True)


def _fill(view: DatasetView) -> None:
    """A change that came from elsewhere shows; what is being typed here is not in the session yet."""
    stored: Mapping[str, object] = {name: getattr(view.dataset, name) for name in _NAMES}
    missing = any(_key(name) not in st.session_state for name in _NAMES)
    if missing or st.session_state.get(_SHOWN) != (view.id, stored):
        for name, value in stored.items():
            st.session_state[_key(name)] = value
        st.session_state[_SHOWN] = (view.id, stored)


def _key(name: str) -> str:
    return f"dataset.settings.{name}"


def _store(name: str, dataset_id: str, seen: Dataset) -> None:
    value = st.session_state[_key(name)]
    if not current.attempt(_PLACE, lambda: studio().datasets.configure(dataset_id, {name: value}, seen)):
        st.session_state.pop(_SHOWN, None)  # the widget goes back to what is stored
