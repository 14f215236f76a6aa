"""The region element: stretches of a source, drawn on its outline, in step with numbers that Python owns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urljoin

import streamlit as st

from studio.services.details import LyricLine
from studio.services.sources import SourceView
from studio.ui import component, deck
from studio.ui.text import _

_element = component.register(__file__)


def region(
    source: SourceView,
    span: tuple[float, float],
    *,
    others: Sequence[tuple[float, float]] | None = None,
    most: float,
    bpm: float | None,
    cues: Sequence[LyricLine],
    key: str,
    on_change: Callable[[], None],
) -> None:
    """Draw `source` with the stretch `span` (seconds, may reach beyond both its ends) for a song of at most `most` s.

    `others` lie beside the one in hand; None where there can only be one. What a person draws is in `drawn(key)` when
    `on_change` is called.
    """
    _element(
        key=key,
        on_region_change=on_change,
        data={
            "id": source.key,
            "url": address(source),
            "duration": source.seconds,
            "peaks": bytes(source.peaks).hex(),  # as a list it is a message Streamlit keeps, and at times misses
            "region": list(span),
            "others": [list(other) for other in others or ()],
            "several": others is not None,
            "room": max(0.0, most - source.seconds),
            "bpm": bpm or 0,
            "lines": [[cue.start, cue.end] for cue in cues],
            "quiet": st.session_state.get(deck.QUIET, 0),
            "words": _words(),
        },
    )


def drawn(key: str) -> list[tuple[float, float]]:
    """Return the stretch a person has in hand and those beside it, as drawn last; none before that."""
    found = getattr(st.session_state.get(key), "region", None)
    if not found:
        return []
    start, end, _count, others = found
    return [(float(first), float(last)) for first, last in [(start, end), *others]]


def _words() -> dict[str, str]:
    return {
        "label": _("Region of the source"),
        "start": _("Start of the region"),
        "end": _("End of the region"),
        "move": _("Move the region"),
        "regions": _("Regions"),
        "one": _("Region {n} of {m}"),
        "add": _("Add a region"),
        "remove": _("Remove this region"),
        "full": _("There is no room for another region"),
        "part": _("Play region"),
        "play": _("Play"),
        "pause": _("Pause"),
        "out": _("Zoom out"),
        "in": _("Zoom in"),
        "all": _("Show everything"),
        "snap": _("Snap to"),
        "off": _("no snap"),
        "beat": _("beat"),
        "line": _("lyric line"),
        "before": _("adds music before the source"),
        "after": _("adds music behind the source"),
    }


def address(source: SourceView) -> str:
    """Return the absolute address of a source's audio."""
    return urljoin(st.context.url or "http://localhost/", source.path)
