"""The player element: outline, keyboard, loop, speed, the line that is sung, and two takes in step at one loudness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urljoin

import streamlit as st

from studio.services.details import LyricLine
from studio.ui import component
from studio.ui.runtime import studio
from studio.ui.text import _

QUIET = "deck.quiet"  # counts the generations this session has begun; a change stops what plays (H-33)
_element = component.register(__file__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One take on a deck."""

    take_id: str
    label: str  # what its button says when there are two
    duration: float  # seconds
    peaks: Sequence[int]  # 0..255
    loudness: float | None  # LUFS
    url: str = ""  # of what is no take, as a source


def deck(tracks: Sequence[Track], *, label: str, key: str, cues: Sequence[LyricLine] = (), wide: bool = False) -> None:
    """Draw a player for one take, or for two that are switched between at the loudness of the quieter one."""
    gains = matched(tuple(track.loudness for track in tracks))
    _element(
        key=key,
        data={
            "label": label,
            "wide": wide,
            "quiet": st.session_state.get(QUIET, 0),
            "cues": [[cue.start, cue.end, cue.text] for cue in cues],
            "tracks": [
                {
                    "id": track.take_id,
                    "url": track.url or link(track.take_id),
                    "label": track.label,
                    "duration": track.duration,
                    "peaks": list(track.peaks),
                    "gain": gain,
                }
                for track, gain in zip(tracks, gains, strict=True)
            ],
            "words": {
                "play": _("Play"),
                "pause": _("Pause"),
                "position": _("Position"),
                "loop": _("Loop"),
                "rate": _("Playback rate"),
                "volume": _("Volume"),
                "takes": _("Which take you hear"),
            },
        },
    )


def matched(loudness: Sequence[float | None]) -> list[float]:
    """Return the factor (0..1) for each take that brings all to the quietest; 1 where a loudness is not known."""
    known = [level for level in loudness if level is not None]
    if len(known) < len(loudness):
        return [1.0] * len(loudness)
    return [10 ** ((min(known) - level) / 20) for level in known]


def hush() -> None:
    """Stop what plays in this session: a new generation begins."""
    st.session_state[QUIET] = st.session_state.get(QUIET, 0) + 1


def link(take_id: str) -> str:
    """Return the absolute address of a take's audio."""
    return urljoin(st.context.url or "http://localhost/", studio().media.link(take_id))
