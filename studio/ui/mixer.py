"""The mixer element: a song and its stems on one clock, and the gains that were found good."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

from studio.ui import component, deck
from studio.ui.text import _

_element = component.register(__file__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One recording on the mixer."""

    id: str  # of a take, or the key of an upload
    label: str
    url: str
    duration: float  # seconds
    muted: bool = False  # at first


def mixer(channels: Sequence[Channel], *, key: str, on_bounce: Callable[[], None]) -> None:
    """Draw channels that play together; what a person wants bounced is in `bounced(key)` when `on_bounce` is called."""
    _element(
        key=key,
        on_bounce_change=on_bounce,
        data={
            "tracks": [
                {"id": channel.id, "label": channel.label, "url": channel.url, "muted": channel.muted}
                for channel in channels
            ],
            "duration": max((channel.duration for channel in channels), default=0.0),
            "quiet": st.session_state.get(deck.QUIET, 0),
            "words": {
                "label": _("Mixer"),
                "play": _("Play"),
                "pause": _("Pause"),
                "position": _("Position"),
                "solo": _("Solo"),
                "mute": _("Mute"),
                "gain": _("Gain"),
                "loading": _("Loading the tracks…"),
                "failed": _("This track can't be played:"),
                "nothing": _("Nothing can be heard, so there is nothing to bounce."),
                "bounce": _("Bounce to a new take"),
            },
        },
    )


def bounced(key: str) -> list[tuple[str, float]]:
    """Return the parts a person wants as one take, each with its gain in dB."""
    asked = getattr(st.session_state.get(key), "bounce", None)
    return [(str(one), float(gain)) for one, gain in asked or ()]
