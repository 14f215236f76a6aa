"""Ways to start a song from Home: each fills the Generate form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from studio.i18n import N_


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """One card on Home; an empty form leaves what the person wrote before."""

    name: str
    title: str
    text: str
    button: str
    form: Mapping[str, object] = field(default_factory=dict)


STARTERS = (
    Starter(
        name="blank",
        title=N_("Write your own"),
        text=N_("Describe the music in your words, add lyrics if you like, and set tempo, key and length."),
        button=N_("Open the form"),
    ),
    Starter(
        name="electronic",
        title=N_("Fast and electronic"),
        text=N_("Drums, bass and synths at 140 beats per minute, two takes of different seeds."),
        button=N_("Start from this"),
        form={"caption": "fast electronic track with drums and bass, 140 bpm", "bpm": 140, "instrumental": True},
    ),
    Starter(
        name="piano",
        title=N_("Calm and acoustic"),
        text=N_("A quiet piano piece in A minor, slow and tender, without drums and with three beats a bar."),
        button=N_("Start from this"),
        form={
            "caption": "calm piano, slow and tender, no drums",
            "bpm": 80,
            "keyscale": "A minor",
            "timesignature": "3",
            "instrumental": True,
        },
    ),
)
