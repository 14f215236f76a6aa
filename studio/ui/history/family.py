"""The family of a take, drawn: what it came from above it, what was made from it below."""

from __future__ import annotations

from collections.abc import Iterator

import streamlit as st

from studio.errors import NotFound
from studio.i18n import N_
from studio.services.library import Lineage, Role
from studio.services.library.lineage import Relative
from studio.ui.history.shelf import FAMILY
from studio.ui.runtime import studio
from studio.ui.text import _, moment, plain

_ROLES = {
    Role.SOURCE: N_("source audio"),
    Role.REFERENCE: N_("reference audio"),
    Role.CODES: N_("audio codes"),
    Role.ADAPTER: N_("LoRA"),
    Role.SETTINGS: N_("settings copied"),
}


def panel() -> None:
    """Draw the family that was asked for on the History page, if any."""
    if (take_id := st.session_state.get(FAMILY)) is None:
        return
    with st.container(border=True, key="history.family.panel"):
        try:
            draw(take_id)
        except NotFound:
            st.session_state.pop(FAMILY)
        st.button(_("Close"), key="history.family.close", on_click=close)


def close() -> None:
    """Put the drawing away; a callback."""
    st.session_state.pop(FAMILY, None)


def draw(take_id: str) -> None:
    """Draw the family of a take on any page; raises NotFound."""
    found = studio().library.lineage(take_id)
    st.subheader(_("Family"), anchor=False)
    if not found.edges:
        st.info(_("This take was made from words alone, and nothing was made from it yet."))
        return
    st.graphviz_chart(_dot(found), alt=_("The takes this one came from and those made from it"))
    _list(_("Made from"), found, above=True)
    _list(_("What was made from this?"), found, above=False)
    if not found.complete:
        st.caption(_("The family is larger than what is drawn."))


def _list(title: str, found: Lineage, *, above: bool) -> None:
    """Repeat the nearest generation in words, with links; a drawing can't be read aloud."""
    known = {one.id: one for one in found.relatives}
    edges = found.made_from() if above else found.became()
    st.markdown(f"**{title}**")
    lines = []
    for edge in edges:
        one = known[edge.parent if above else edge.child]
        words = f"{_(_ROLES[edge.role])}: {plain(_name(one))}"
        lines.append(f"- [{words}](/take?id={one.take_id})" if one.take_id else f"- {words}")
    st.markdown("\n".join(lines) or _("nothing"))


def _dot(found: Lineage) -> str:
    """Write the drawing in Graphviz's language; the browser lays it out."""
    return "\n".join(["digraph {", *_statements(found), "}"])


def _statements(found: Lineage) -> Iterator[str]:
    yield 'node [shape=box, style="rounded", fontname="sans-serif", fontsize=11]'
    numbers = {one.id: number for number, one in enumerate(found.relatives)}
    for one in found.relatives:
        looks = 'style="rounded,bold", penwidth=2' if one.id == found.take_id else ""
        looks = looks or ("" if one.take_id else 'shape=ellipse, style="dashed"')
        yield f"n{numbers[one.id]} [label={_quoted(_label(one))}{', ' + looks if looks else ''}]"
    for edge in found.edges:
        role = _quoted(_(_ROLES[edge.role]))
        yield f"n{numbers[edge.parent]} -> n{numbers[edge.child]} [label={role}, fontsize=9]"


def _label(one: Relative) -> str:
    parts = [_name(one)]
    if one.created_at is not None:
        parts.append(_("take {n}, seed {seed}").format(n=one.index + 1, seed=one.seed))
        parts.append(moment(one.created_at))
    if one.trashed:
        parts.append(_("in the trash"))
    return "\n".join(parts)


def _name(one: Relative) -> str:
    name = " ".join(one.name.split())
    return (name if len(name) <= 40 else name[:39] + "…") or _("no caption")


def _quoted(text: str) -> str:
    """Quote for Graphviz; what a person wrote must not end the string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
