"""Which working dataset the page shows; it lies in the database, so a reload or a restart finds it again."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from studio.errors import NotFound, StudioError
from studio.services.datasets.views import DatasetView
from studio.ui import notices, sharing
from studio.ui.datasets import drafts
from studio.ui.runtime import studio
from studio.ui.text import _, moment, plain, plural

_CURRENT = "dataset.current"
_CHOICE = "dataset.choice"
_PLACE = "dataset.current.notice"
_SAID = "dataset.said"  # what the last step came to, in words


def current_id() -> str | None:
    """Return the id of the dataset that is shown: the chosen one, else the one changed last."""
    chosen: str | None = st.session_state.get(_CURRENT)
    known = [one.id for one in studio().datasets.all()]
    return chosen if chosen in known else next(iter(known), None)


def show(dataset_id: str) -> None:
    """Show a dataset from the next drawing on."""
    st.session_state[_CURRENT] = dataset_id


def say(place: str, words: str) -> None:
    """Keep what a step came to at its place, until it is tried again."""
    st.session_state.setdefault(_SAID, {})[place] = words


def attempt(place: str, work: Callable[[], object]) -> bool:
    """Do `work` for a step; what goes wrong stands at the step's place. Returns whether it went well."""
    notices.forget(place)
    st.session_state.get(_SAID, {}).pop(place, None)
    try:
        work()
    except StudioError as error:
        notices.keep(place, error)
        return False
    return True


def came_of(place: str) -> None:
    """Draw what the last try at a step came to."""
    notices.kept(place)
    if words := st.session_state.get(_SAID, {}).get(place):
        st.success(words)


def panel() -> DatasetView | None:
    """Draw which dataset is shown, in words, and the way to another; return it."""
    names = {one.id: one for one in studio().datasets.all()}
    dataset_id = current_id()
    if dataset_id is None:
        return None
    if len(names) > 1:
        st.session_state[_CHOICE] = dataset_id
        st.selectbox(
            _("Working dataset"),
            list(names),
            key=_CHOICE,
            format_func=lambda one: f"{names[one].name} · {moment(names[one].updated_at)}",
            on_change=_choose,
        )
    try:
        view = studio().datasets.get(dataset_id)
    except NotFound as error:
        notices.show(error)
        return None
    words, button = st.columns([5, 1], vertical_alignment="center")
    words.markdown(_status(view))
    if button.button(_("Close"), key="dataset.close", width="stretch", help=_("Forgets this working copy.")):
        _ask_to_close(view)
    sharing.dataset_button(view, _share)
    notices.kept(_PLACE)
    return view


def _status(view: DatasetView) -> str:
    dataset = view.dataset
    parts = [
        f"**{plain(dataset.name)}**",
        plural("{n} song", "{n} songs", len(dataset.samples)),
        plural("{n} labelled", "{n} labelled", len(dataset.labeled)),
        _("tag: {tag}").format(tag=plain(dataset.custom_tag) or _("none")),
    ]
    if view.unsaved:
        parts.append(f":orange-badge[:material/edit: {_('not saved to a file')}]")
    else:
        parts.append(f":green-badge[:material/check: {_('saved')}]")
    place = view.path or view.folder
    return " · ".join(parts) + (f"  \n:small[{plain(place)}]" if place else "")


def _share(change: Callable[[], object]) -> None:
    attempt(_PLACE, change)


def _choose() -> None:
    show(st.session_state[_CHOICE])


def _ask_to_close(view: DatasetView) -> None:
    @st.dialog(_("Close this dataset?"))
    def ask() -> None:
        if view.unsaved:
            st.warning(_("It was changed since it was saved to a file last; these changes will be lost."))
        st.write(_("The songs and every file stay where they are."))
        if st.button(_("Close it"), key="dataset.close.yes", type="primary"):
            attempt(_PLACE, lambda: studio().datasets.remove(view.id))
            drafts.forget(view.id)
            st.rerun()

    ask()
