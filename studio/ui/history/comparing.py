"""Two takes side by side: what they were made with differently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from studio.errors import NotFound
from studio.services.library import Difference
from studio.services.views import ModelView, TakeView
from studio.ui import fields, reuse
from studio.ui.fields import FIELDS
from studio.ui.history import picking
from studio.ui.history.shelf import name_of
from studio.ui.runtime import studio
from studio.ui.text import _, plain, snippet, table


def panel(model: ModelView | None) -> None:
    """Draw the comparison that was asked for, if any."""
    if (pair := st.session_state.get(picking.COMPARED)) is None:
        return
    try:
        found = studio().library.difference(*pair)
    except NotFound:
        st.session_state.pop(picking.COMPARED)
        return
    with st.container(border=True, key="history.comparison"):
        st.subheader(_("Difference"), anchor=False)
        left, right = (
            f"{letter} · {name_of(take)} · " + _("take {n}").format(n=take.index + 1)
            for letter, take in zip("AB", (found.left, found.right), strict=True)
        )
        if not found.settings and not found.results:
            st.info(_("These two takes were made with the same settings."))
        _table(_("What was asked for"), found.settings, left, right)
        _table(_("What was used"), found.results, left, right)
        with st.container(horizontal=True):
            applied = st.button(
                _("Apply only what differs"),
                key="history.compare.apply",
                on_click=_apply,
                args=[found.apply_right(), model, found.right],
                disabled=not found.apply_right(),
                help=_("Put the second take's values of these settings into the form of its page and leave the rest."),
            )
            st.button(_("Close"), key="history.compare.close", on_click=close)
    if applied:
        st.switch_page(reuse.page(found.right.task))


def close() -> None:
    """End the comparison; a callback."""
    st.session_state.pop(picking.COMPARED, None)


def _table(title: str, rows: Sequence[Difference], left: str, right: str) -> None:
    if rows:
        cells = [(plain(fields.label(it.name)), _cell(it.name, it.left), _cell(it.name, it.right)) for it in rows]
        table((title, left, right), cells)


def _cell(name: str, value: object) -> str:
    if isinstance(value, Mapping):
        value = ", ".join(f"{key} {each}" for key, each in value.items())
    return snippet(fields.show(name, value), 120) or "–"


def _apply(values: Mapping[str, object], model: ModelView | None, take: TakeView) -> None:
    """A callback, see fields.apply."""
    present = {name: st.session_state.get(field.key) for name, field in FIELDS.items()}
    kept = {name: value for name, value in present.items() if value is not None}
    fields.apply({**kept, **values}, model, take_id=take.id)
    reuse.fill_edit(values, take.task)
