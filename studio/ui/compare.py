"""Two takes against each other: in step, equally loud, and if wanted without knowing which is which."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import streamlit as st

from studio.services.views import TakeView
from studio.ui.deck import deck
from studio.ui.player import track
from studio.ui.runtime import studio
from studio.ui.text import _, plain

_ORDER = "compare.order"  # the ids of the two takes as they are named A and B
_TOLD = "compare.told"  # the pair whose choice is stored, so the names may be shown


def partner(take: TakeView, others: Sequence[TakeView]) -> TakeView | None:
    """Let the person choose a take to compare with."""
    named = {one.id: one for one in others if one.id != take.id}
    chosen = st.selectbox(
        _("Compare with"),
        list(named),
        index=None,
        key=f"compare.with.{take.id}",
        format_func=lambda one: _title(named[one]) if one in named else str(one),
        placeholder=_("choose a take"),
        disabled=not named,
        help=_("Both play in step and equally loud; A and B on the keyboard switch without a gap."),
    )
    return named.get(str(chosen))


def side_by_side(take: TakeView, other: TakeView) -> None:
    """Draw the deck of both, blind or not, and store the choice."""
    blind = st.toggle(_("Blind: hide which is which until you have chosen"), key="compare.blind")
    first, second = _order(take, other, blind)
    told = st.session_state.get(_TOLD) == [first.id, second.id]
    known = studio().takes.details([first.id, second.id])
    hidden = blind and not told
    deck(
        [track(one, known[one.id], label=letter) for one, letter in ((first, "A"), (second, "B"))],
        label=_("Comparison of two takes"),
        key=f"compare.{first.id}.{second.id}",
        wide=True,
    )
    if any(known[one.id].loudness is None for one in (first, second)):
        st.caption(_("Not measured yet, so the loudness is not matched."))
    if not hidden:
        st.caption(_("A is {first}, B is {second}").format(first=plain(_title(first)), second=plain(_title(second))))
    pair = (first.id, second.id)
    with st.container(horizontal=True):
        for name, words, chosen in (
            ("a", _("A is better"), first.id),
            ("b", _("B is better"), second.id),
            ("none", _("No difference"), None),
        ):
            st.button(words, key=f"compare.{name}", on_click=_choose, args=[*pair, chosen, hidden], disabled=told)
    if told:
        st.success(_("Your choice is stored."), icon=":material/check:")


def liked(take: TakeView) -> None:
    """Say how the take did in comparisons."""
    won, all_of_them = studio().takes.preferences(take.id)
    if all_of_them:
        st.caption(_("Liked better in {won} of {n} comparisons").format(won=won, n=all_of_them))


def _choose(first: str, second: str, chosen: str | None, blind: bool) -> None:
    studio().takes.prefer(first, second, chosen, blind=blind)
    st.session_state[_TOLD] = [first, second]


def _order(take: TakeView, other: TakeView, blind: bool) -> tuple[TakeView, TakeView]:
    """Return the two as A and B; blind, a coin decides once and it stays so for this pair."""
    kept: list[str] = st.session_state.get(_ORDER, [])
    wanted = {take.id, other.id}
    if set(kept[:2]) != wanted or kept[2] != str(blind):
        ids = [take.id, other.id]
        if blind and secrets.randbelow(2):
            ids.reverse()
        kept = [*ids, str(blind)]
        st.session_state[_ORDER] = kept
        st.session_state.pop(_TOLD, None)
    return (take, other) if kept[0] == take.id else (other, take)


def _title(take: TakeView) -> str:
    caption = str(take.requested.get("caption") or _("no caption"))
    return _("Take {number}, seed {seed}: {caption}").format(
        number=take.index + 1, seed=take.seed, caption=caption[:40]
    )
