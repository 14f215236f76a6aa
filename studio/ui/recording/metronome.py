"""The metronome element: counting in, beats, playing a take to record over, and clicks that measure a delay."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from studio.ui import component
from studio.ui.text import _

_element = component.register(__file__)


def metronome(
    *,
    key: str,
    bpm: float,
    beats: int,
    take: tuple[str, str, float] | None,
    on_clicked: Callable[[], None],
    on_punched: Callable[[], None],
) -> None:
    """Draw it for `beats` a bar; `take` (name, link, seconds) can be played after a bar of counting in.

    `punched` and `clicked` say what was played when the callbacks are called.
    """
    _element(
        key=key,
        on_clicked_change=on_clicked,
        on_punched_change=on_punched,
        data={
            "bpm": bpm,
            "beats": beats,
            "take": None if take is None else {"name": take[0], "url": take[1], "seconds": take[2]},
            "words": {
                "label": _("Metronome"),
                "beat": _("{n} BPM, {beats} beats a bar").format(n=f"{bpm:g}", beats=beats),
                "start": _("Start the metronome"),
                "stop": _("Stop the metronome"),
                "punch": _("Count in and play the source"),
                "halt": _("Stop the source"),
                "from": _("From second"),
                "clicks": _("Click while the source plays"),
                "measure": _("Measure delay"),
                "counting": _("Counting in…"),
                "playing": _("Playing"),
                "listening": _("Four clicks are played; the microphone must hear them."),
                "failed": _("This can't be played:"),
                "beyond": _("From second must be a number from 0 to less than {time}.").format(
                    time=f"{take[2]:.1f}" if take else "0"
                ),
            },
        },
    )


def punched(key: str) -> tuple[float, float] | None:
    """Return when a take began to sound, in seconds since 1970, and at which of its seconds."""
    said = getattr(st.session_state.get(key), "punched", None)
    return (float(said["at"]), float(said["from"])) if said else None


def clicked(key: str) -> list[float]:
    """Return when the clicks sounded, in seconds since 1970."""
    said = getattr(st.session_state.get(key), "clicked", None)
    return [float(moment) for moment in said or ()]
