"""The region of a repaint or a new track: two numbers and the outline they are drawn on."""

from __future__ import annotations

import streamlit as st

from studio.engine.snapshot import SOURCE_END
from studio.services.sources import SourceView
from studio.ui.editing import choices, source
from studio.ui.region import drawn, region
from studio.ui.text import _, seconds

_KEY = "edit.region"
_LENGTH = "edit.length"  # of the source the region is drawn on
_NEAR = 0.05  # seconds; an end drawn this close to the source's is the source's


def panel(view: SourceView | None, most: float) -> None:
    """Draw the region; the numbers are there without a source too."""
    if view is not None:
        st.session_state[_LENGTH] = view.seconds
        region(
            view,
            _shown(view.seconds),
            most=most,
            bpm=source.tempo(view),
            cues=source.cues(view),
            key=_KEY,
            on_change=_drawn,
        )
        st.caption(
            _(
                "Drag to choose, drag the edges or the bar above to change. With the keyboard: Tab to an edge or the "
                "bar, arrow keys move it, with Shift ten times as far; + − 0 zoom, P plays the region."
            )
        )
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
    if problem := _problem():
        st.error(problem, icon=":material/warning:")
    elif view is not None:
        st.caption(_words(view.seconds))


def _numbers() -> tuple[float, float]:
    start, end = choices.value("repainting_start"), choices.value("repainting_end")
    assert isinstance(start, int | float) and isinstance(end, int | float)
    return float(start), float(end)


def _shown(length: float) -> tuple[float, float]:
    """The numbers as a stretch that can be drawn; a wrong order is said beside the numbers."""
    start, end = _numbers()
    return start, max(length if end == SOURCE_END else end, start + 0.1)


def _problem() -> str:
    start, end = _numbers()
    if end != SOURCE_END and end <= start:
        return _("Repainting End must be after Repainting Start: {end} is not after {start}.").format(
            end=seconds(end), start=seconds(start)
        )
    return ""


def _words(length: float) -> str:
    start, end = _shown(length)
    parts = [_("{time} are made anew").format(time=seconds(round(end - start, 2)))]
    if start < 0:
        parts.append(_("{time} before the source").format(time=seconds(-start)))
    if end > length + _NEAR:
        parts.append(_("{time} behind it").format(time=seconds(round(end - length, 2))))
    return " · ".join(parts)


def _drawn() -> None:
    """Take over what was drawn; a callback, so that the numbers can be set."""
    stretch = drawn(_KEY)
    if stretch is None:
        return
    start, end = stretch
    st.session_state[choices.key("repainting_start")] = round(start, 3)
    at_the_end = abs(end - st.session_state.get(_LENGTH, 0.0)) <= _NEAR
    st.session_state[choices.key("repainting_end")] = SOURCE_END if at_the_end else round(end, 3)
