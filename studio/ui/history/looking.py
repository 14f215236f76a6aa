"""The search box with its filters; what a person chose there is one Query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from studio.engine.requests import MAX_BPM, MIN_BPM
from studio.i18n import N_
from studio.services.library import Facets, Order, Query, Whose
from studio.services.library.query import HEARD
from studio.ui import sharing
from studio.ui.history import picking
from studio.ui.runtime import studio
from studio.ui.text import _, plain

ORDERS = {
    Order.NEWEST: N_("Newest first"),
    Order.OLDEST: N_("Oldest first"),
    Order.BEST_RATED: N_("Best rated first"),
    Order.BEST_MATCH: N_("Best match first"),
}
TASKS = {
    "text2music": N_("Text to music"),
    "cover": N_("Cover"),
    "repaint": N_("Repaint"),
    "lego": N_("Lego"),
    "extract": N_("Extract"),
    "complete": N_("Complete"),
    "mix": N_("Mix"),
}
_CHECKS = {
    "bpm": N_("BPM"),
    "keyscale": N_("Key Scale"),
    "clipping": N_("Clipping"),
    "silence": N_("Silence"),
}
_VERDICTS = {"pass": N_("as asked"), "check": N_("listen yourself"), "off": N_("not as asked")}
_SOUNDS = {"pass": N_("none"), "check": N_("a little"), "off": N_("much")}  # of clipping and silence
_FIELDS = (
    "text order tasks models adapters keys low high heard quiet loud stars favourites tags collection days".split()
)
_TOLD = 4  # choices whose numbers are written out


def query(*, trashed: bool, whose: Whose = Whose.MINE) -> Query:
    """Return what the widgets of this session ask for."""
    since, until = _days()
    return Query(
        text=str(_value("text", "")),
        tasks=_several("tasks"),
        models=_several("models"),
        adapters=_several("adapters"),
        keys=_several("keys"),
        bpm=(_number("low"), _number("high")),
        heard=_several("heard"),
        loudness=(_number("quiet"), _number("loud")),
        rating=int(_number("stars") or 0),
        favourites=bool(_value("favourites", False)),
        tags=_several("tags"),
        collection=str(_value("collection", "") or ""),
        since=since,
        until=until,
        whose=whose,
        trashed=trashed,
        order=Order(str(_value("order", Order.NEWEST))),
    )


def panel(wanted: Query) -> None:
    """Draw the search box, the order and the filters."""
    box, order = st.columns([4, 1.2], vertical_alignment="bottom")
    box.text_input(
        _("Search"),
        key=_key("text"),
        placeholder=_("words of a title, caption, lyrics or tag"),
        help=_('Every word must appear; its end may be missing. Use "quotes" for exact words and -word to leave out.'),
        icon=":material/search:",
        persist_state="session",
    )
    order.selectbox(
        _("Order"),
        list(Order),
        key=_key("order"),
        format_func=lambda order: _(ORDERS[order]),
        persist_state="session",
    )
    with st.expander(_("Filters"), icon=":material/filter_list:"):
        _filters(studio().library.facets(wanted))
    if wanted.collection:
        sharing.collection_button(wanted.collection, picking.attempt)
    if wanted.narrows and wanted != Query(order=wanted.order, whose=wanted.whose):
        st.button(_("Clear search and filters"), key="history.reset", icon=":material/close:", on_click=reset)


def reset() -> None:
    """Forget everything that was asked for; a callback."""
    for name in _FIELDS:
        st.session_state.pop(_key(name), None)


def _filters(facets: Facets) -> None:
    first, second, third, fourth = st.columns(4)
    with first:
        _choose("tasks", _("Task"), facets.tasks, {code: _(words) for code, words in TASKS.items()})
        _tempo(facets.bpm)
    with second:
        _choose("models", _("Model"), facets.models)
        _choose("keys", _("Key Scale"), facets.keys, {"": _("unknown")})
        _loudness()
    with third:
        _choose("adapters", _("LoRA"), facets.adapters, {"": _("without")})
        _choose("tags", _("Tags"), facets.tags)
        _choose("heard", _("Heard"), facets.heard, {choice: _heard(choice) for choice in HEARD})
    with fourth:
        _rating(facets.rating)
        names = {one.id: one.name for one in studio().library.collections.all()}
        st.selectbox(
            _("Collection"),
            ["", *names],
            key=_key("collection"),
            format_func=lambda one: names.get(one, _("any")),
            persist_state="session",
        )
        # Nothing chosen is an empty pair, which the stubs forget.
        st.date_input(_("Made between"), value=(), key=_key("days"), persist_state="session")  # type: ignore[call-overload]


def _choose(name: str, label: str, counts: Mapping[str, int], words: Mapping[str, str] | None = None) -> None:
    """Offer the choices that exist, and the present ones even when nothing is left of them."""
    words = words or {}
    options = sorted({*counts, *_several(name)}, key=lambda one: words.get(one, one).lower())
    st.multiselect(
        label,
        options,
        key=_key(name),
        format_func=lambda one: words.get(one, one),
        placeholder=_("any"),
        persist_state="session",
    )
    told = [f"{plain(words.get(one, one))} {number}" for one, number in list(counts.items())[:_TOLD]]
    st.caption(" · ".join(told) or _("nothing to choose"))


def _tempo(known: tuple[int, int] | None) -> None:
    low, high = st.columns(2)
    for column, name, label in ((low, "low", _("BPM from")), (high, "high", _("BPM to"))):
        column.number_input(
            label,
            min_value=MIN_BPM,
            max_value=MAX_BPM,
            value=None,
            step=1,
            key=_key(name),
            placeholder=_("any"),
            persist_state="session",
        )
    st.caption(_("{low} to {high} BPM here").format(low=known[0], high=known[1]) if known else _("no BPM known"))


def _heard(choice: str) -> str:
    """Write a choice of what was measured: BPM: not as asked."""
    check, _colon, verdict = choice.partition(":")
    if not verdict:
        return _("Not measured yet")
    words = _SOUNDS if check in ("clipping", "silence") else _VERDICTS
    return _("{check}: {verdict}").format(check=_(_CHECKS[check]), verdict=_(words[verdict]))


def _loudness() -> None:
    quiet, loud = st.columns(2)
    for column, name, label in ((quiet, "quiet", _("LUFS from")), (loud, "loud", _("LUFS to"))):
        column.number_input(
            label,
            min_value=-70.0,
            max_value=0.0,
            value=None,
            step=0.5,
            format="%.1f",
            key=_key(name),
            placeholder=_("any"),
            persist_state="session",
        )


def _rating(counts: Mapping[str, int]) -> None:
    st.selectbox(
        _("Rating"),
        list(range(6)),
        key=_key("stars"),
        format_func=lambda stars: _("{stars} and better").format(stars="★" * stars) if stars else _("any"),
        persist_state="session",
    )
    rated = [f"{'★' * int(stars)} {number}" for stars, number in sorted(counts.items(), reverse=True) if stars != "0"]
    st.caption(" · ".join(rated) or _("no stars given yet"))
    st.checkbox(_("Favourites only"), key=_key("favourites"), persist_state="session")


def _key(name: str) -> str:
    return f"history.{name}"


def _value(name: str, default: object) -> object:
    return st.session_state.get(_key(name), default)


def _several(name: str) -> tuple[str, ...]:
    chosen = _value(name, ())
    return tuple(str(one) for one in chosen) if isinstance(chosen, list | tuple) else ()


def _number(name: str) -> float | None:
    chosen = _value(name, None)
    return chosen if isinstance(chosen, int | float) else None


def _days() -> tuple[datetime | None, datetime | None]:
    """Return the start of the first chosen day and the end of the last, on this person's clock."""
    chosen = _value("days", ())
    days: Sequence[date] = [day for day in chosen if isinstance(day, date)] if isinstance(chosen, tuple | list) else []
    if not days:
        return None, None
    zone = _zone()
    return datetime.combine(days[0], time(), zone), datetime.combine(days[-1] + timedelta(days=1), time(), zone)


def _zone() -> ZoneInfo:
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
