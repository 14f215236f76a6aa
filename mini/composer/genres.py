"""Habits of thirteen styles: tempos, keys, metres, who plays and how."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Genre:
    """Habits of a style."""

    tempos: tuple[int, int, int]  # beats a minute when slow, medium and fast
    keys: tuple[int, int]  # tonic of its usual major and minor key, semitones above C
    minor: float  # share of songs in minor
    metres: tuple[int, ...]
    core: tuple[str, ...]
    extra: tuple[str, ...]
    drums: str  # name of a groove in grooves.py
    bass: str  # names of figures in parts.py
    chords: str
    patches: dict[str, tuple[str, ...]] = field(default_factory=dict)  # sounds it prefers, by track
    sevenths: float = 0.0  # share of chords with a seventh
    swing: float = 0.0  # delay of every second sixteenth, seconds


GENRES = {
    "electronic": Genre(
        tempos=(100, 124, 140),
        keys=(0, 9),
        minor=0.7,
        metres=(4,),
        core=("drums", "bass", "synth"),
        extra=("keyboard", "strings", "vocals", "backing_vocals", "percussion", "fx"),
        drums="four",
        bass="offbeat",
        chords="stab",
        patches={"bass": ("sub", "pick"), "synth": ("saw", "square", "pluck"), "keyboard": ("piano", "epiano")},
    ),
    "rock": Genre(
        tempos=(90, 120, 150),
        keys=(4, 4),
        minor=0.5,
        metres=(4,),
        core=("drums", "bass", "guitar"),
        extra=("vocals", "backing_vocals", "keyboard", "brass"),
        drums="rock",
        bass="eighths",
        chords="strum",
        patches={"guitar": ("drive", "drive", "clean"), "bass": ("pick",), "keyboard": ("organ", "piano")},
    ),
    "pop": Genre(
        tempos=(84, 108, 128),
        keys=(7, 4),
        minor=0.3,
        metres=(4,),
        core=("drums", "bass", "keyboard"),
        extra=("vocals", "backing_vocals", "guitar", "synth", "strings", "fx"),
        drums="pop",
        bass="pop",
        chords="block",
        patches={"guitar": ("clean", "steel"), "bass": ("finger", "sub"), "synth": ("pluck", "saw")},
    ),
    "jazz": Genre(
        tempos=(80, 116, 160),
        keys=(5, 2),
        minor=0.5,
        metres=(4, 4, 3),
        core=("drums", "bass", "keyboard"),
        extra=("brass", "woodwinds", "guitar", "vocals"),
        drums="swing",
        bass="walk",
        chords="comp",
        patches={"bass": ("upright",), "guitar": ("clean",), "woodwinds": ("clarinet",), "keyboard": ("piano",)},
        sevenths=0.8,
    ),
    "ballad": Genre(
        tempos=(66, 76, 90),
        keys=(0, 9),
        minor=0.4,
        metres=(4, 3, 6),
        core=("keyboard", "strings"),
        extra=("vocals", "backing_vocals", "bass", "drums", "woodwinds", "guitar"),
        drums="soft",
        bass="root",
        chords="arpeggio",
        patches={"guitar": ("nylon",), "bass": ("finger",), "keyboard": ("piano", "piano", "epiano")},
    ),
    "waltz": Genre(
        tempos=(90, 120, 160),
        keys=(2, 7),
        minor=0.4,
        metres=(3,),
        core=("strings", "keyboard"),
        extra=("woodwinds", "bass", "brass", "percussion"),
        drums="soft",
        bass="root",
        chords="oompah",
        patches={"bass": ("upright",), "keyboard": ("piano",)},
    ),
    "funk": Genre(
        tempos=(92, 104, 118),
        keys=(9, 4),
        minor=0.8,
        metres=(4,),
        core=("drums", "bass", "guitar"),
        extra=("brass", "keyboard", "percussion", "vocals", "backing_vocals", "synth"),
        drums="funk",
        bass="syncopated",
        chords="chop",
        patches={"guitar": ("clean",), "bass": ("finger", "pick"), "keyboard": ("organ", "epiano")},
        sevenths=0.5,
        swing=0.008,
    ),
    "orchestral": Genre(
        tempos=(72, 100, 140),
        keys=(3, 0),
        minor=0.5,
        metres=(4, 4, 3),
        core=("strings", "brass"),
        extra=("woodwinds", "percussion", "backing_vocals", "fx", "bass"),
        drums="march",
        bass="root",
        chords="pad",
        patches={"bass": ("upright",), "brass": ("horns", "trumpets")},
    ),
    "hip hop": Genre(
        tempos=(78, 90, 100),
        keys=(5, 5),
        minor=0.9,
        metres=(4,),
        core=("drums", "bass", "keyboard"),
        extra=("synth", "vocals", "backing_vocals", "strings", "fx"),
        drums="boom",
        bass="pop",
        chords="block",
        patches={"bass": ("sub",), "keyboard": ("epiano", "piano"), "synth": ("pluck", "square")},
        sevenths=0.4,
        swing=0.014,
    ),
    "folk": Genre(
        tempos=(80, 104, 130),
        keys=(7, 2),
        minor=0.3,
        metres=(4, 3, 6, 2),
        core=("guitar",),
        extra=("vocals", "backing_vocals", "woodwinds", "bass", "percussion", "strings"),
        drums="soft",
        bass="root",
        chords="picking",
        patches={"guitar": ("steel", "nylon"), "bass": ("upright", "finger"), "woodwinds": ("flute",)},
    ),
    "ambient": Genre(
        tempos=(60, 70, 84),
        keys=(0, 9),
        minor=0.5,
        metres=(4,),
        core=("strings", "synth"),
        extra=("keyboard", "woodwinds", "fx", "backing_vocals"),
        drums="soft",
        bass="root",
        chords="pad",
        patches={"synth": ("pad",), "keyboard": ("epiano", "piano"), "bass": ("sub",)},
    ),
    "latin": Genre(
        tempos=(88, 104, 126),
        keys=(0, 2),
        minor=0.6,
        metres=(4,),
        core=("percussion", "bass", "guitar"),
        extra=("brass", "vocals", "backing_vocals", "keyboard", "drums", "woodwinds"),
        drums="latin",
        bass="tumbao",
        chords="montuno",
        patches={"guitar": ("nylon",), "bass": ("upright", "finger"), "keyboard": ("piano",), "brass": ("trumpets",)},
    ),
    "marching band": Genre(
        tempos=(100, 112, 126),
        keys=(10, 7),
        minor=0.1,
        metres=(2, 6),
        core=("drums", "brass"),
        extra=("woodwinds", "percussion"),
        drums="march",
        bass="root",
        chords="oompah",
        patches={"brass": ("trumpets",), "woodwinds": ("flute", "clarinet")},
    ),
}
