"""What is shown to the team, and what is taken back; drawn only where people sign in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from studio.i18n import N_
from studio.services.datasets.views import DatasetView
from studio.services.library import Whose
from studio.services.principal import Right, Visibility
from studio.services.views import TakeView
from studio.ui import signing
from studio.ui.runtime import studio
from studio.ui.text import _, plain

Attempt = Callable[[Callable[[], object]], None]  # does something, and leaves on the page why it couldn't
_SHARED = {
    True: (Visibility.PRIVATE, N_("Shared"), N_("The team can look at this and listen to it; press to end that.")),
    False: (Visibility.TEAM, N_("Share"), N_("Let the team look at this and listen to it.")),
}


def shelves() -> list[Whose]:
    """Return among whose takes this person can look."""
    if not signing.configured():
        return [Whose.MINE]
    may = studio().principal.may
    first = [Whose.MINE, Whose.TEAM] if may(Right.MAKE) else [Whose.TEAM, Whose.MINE]
    return [*first, Whose.EVERYBODY] if may(Right.ADMINISTER) else first


def takes_button(take_ids: Sequence[str], key: str, *, shared: bool, attempt: Attempt) -> None:
    """Draw what shares takes or takes them back."""
    visibility, _words, _why = _SHARED[shared]
    _button(key, shared, attempt, lambda: studio().library.sharing.show(take_ids, visibility))


def collection_button(collection_id: str, attempt: Attempt) -> None:
    """Draw the same for a collection of one's own and the takes in it."""
    found = next((one for one in studio().library.collections.all() if one.id == collection_id and one.mine), None)
    if found is not None:
        shared = found.visibility == Visibility.TEAM
        visibility = _SHARED[shared][0]
        _button(
            "share.collection", shared, attempt, lambda: studio().library.collections.show(collection_id, visibility)
        )


def dataset_button(view: DatasetView, attempt: Attempt) -> None:
    """Draw the same for a dataset, or whose it is."""
    if not view.mine:
        st.caption(_("Somebody shares this dataset with the team; only they and administrators can change it."))
        return
    shared = view.visibility == Visibility.TEAM
    visibility = _SHARED[shared][0]
    _button("share.dataset", shared, attempt, lambda: studio().datasets.show(view.id, visibility))


def owner(take: TakeView) -> None:
    """Say whose a take of another person is."""
    if take.owner != studio().principal.user_id:
        st.caption(_("by {name}").format(name=plain(studio().people.name_of(take.owner))))


def _button(key: str, shared: bool, attempt: Attempt, change: Callable[[], object]) -> None:
    if not signing.configured():
        return
    _visibility, words, why = _SHARED[shared]
    st.button(
        _(words),
        key=key,
        type="primary" if shared else "tertiary",
        icon=":material/group:" if shared else ":material/group_add:",
        on_click=attempt,
        args=[change],
        help=_(why),
    )
