"""The regions of a repaint, or the one of a new track: two numbers and the outline they are drawn on."""

from __future__ import annotations

from itertools import pairwise

import streamlit as st

from studio.engine.snapshot import SOURCE_END
from studio.services.sources import SourceView
from studio.ui.editing import choices, source
from studio.ui.editing.choices import Region
from studio.ui.region import drawn, region
from studio.ui.text import _, plural, seconds

_KEY = "edit.region"
_LENGTH = "edit.length"  # of the source the region is drawn on
_NEAR = 0.05  # seconds; an end drawn this close to the source's is the source's


def panel(view: SourceView | None, most: float, *, several: bool = False) -> None:
    """Draw the region, and with `several` those beside it; the numbers are there without a source too."""
    if view is not None:
        _outline(view, most, several)
    left, right = st.columns(2)
    left.number_input(
        choices.label("repainting_start"),
        step=0.1,
        format="%.2f",
        key=choices.key("repainting_start"),
        help=_("Seconds. Below 0 adds music before the source."),
        persist_state="session",
    )
    right.number_input(
        choices.label("repainting_end"),
        step=0.1,
        format="%.2f",
        key=choices.key("repainting_end"),
        help=_("Seconds. −1 is the end of the source; more than its length adds music behind it."),
        persist_state="session",
    )
    found = choices.regions() if several else [choices.region()]
    if problem := _problem(found):
        st.error(problem, icon=":material/warning:")
    elif view is not None:
        st.caption(_words(found, view.seconds))


def _outline(view: SourceView, most: float, several: bool) -> None:
    st.session_state[_LENGTH] = view.seconds
    region(
        view,
        _shown(choices.region(), view.seconds),
        others=[_shown(one, view.seconds) for one in st.session_state[choices.OTHERS]] if several else None,
        most=most,
        bpm=source.tempo(view),
        cues=source.cues(view),
        key=_KEY,
        on_change=_drawn,
    )
    words = _(
        "Drag to choose, drag the edges or the bar above to change. With the keyboard: Tab to an edge or the "
        "bar, arrow keys move it, with Shift ten times as far; + − 0 zoom, P plays the region."
    )
    if several:
        words += " " + _(
            "Several at once: dragging with Shift, or Insert, adds a region; a click takes one in hand, Delete removes "
            "it; the numbers are those of the one in hand."
        )
    st.caption(words)


def _shown(one: Region, length: float) -> Region:
    """A region as a stretch that can be drawn; a wrong order is said beside the numbers."""
    start, end = one
    return start, max(length if end == SOURCE_END else end, start + 0.1)


def _problem(found: list[Region]) -> str:
    for start, end in found:
        if end != SOURCE_END and end <= start:
            return _("Repainting End must be after Repainting Start: {end} is not after {start}.").format(
                end=seconds(end), start=seconds(start)
            )
    for (_start, end), (start, _end) in pairwise(found):
        if end == SOURCE_END or start <= end:
            return _("Regions must lie apart: one begins at {start}, before the one before it has ended.").format(
                start=seconds(start)
            )
    return ""


def _words(found: list[Region], length: float) -> str:
    placed = [_shown(one, length) for one in found]
    first, last = placed[0][0], placed[-1][1]
    parts = [_("{time} are made anew").format(time=seconds(round(sum(end - start for start, end in placed), 2)))]
    if len(placed) > 1:
        parts.append(plural("in {n} region", "in {n} regions", len(placed)))
    if first < 0:
        parts.append(_("{time} before the source").format(time=seconds(-first)))
    if last > length + _NEAR:
        parts.append(_("{time} behind it").format(time=seconds(round(last - length, 2))))
    return " · ".join(parts)


def _drawn() -> None:
    """Take over what was drawn; a callback, so that the numbers can be set."""
    if found := [_written(one) for one in drawn(_KEY)]:
        choices.set_regions(found[0], found[1:])


def _written(one: Region) -> Region:
    start, end = one
    at_the_end = abs(end - st.session_state.get(_LENGTH, 0.0)) <= _NEAR
    return round(start, 3), SOURCE_END if at_the_end else round(end, 3)
