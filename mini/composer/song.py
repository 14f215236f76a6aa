"""What a song is: the facts that decide everything, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mini.composer.tempo import snap

NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
TRACKS = ("drums", "percussion", "bass", "keyboard", "guitar", "strings", "synth", "brass", "woodwinds", "vocals")
LEADS = ("vocals", "woodwinds", "brass", "synth", "guitar", "keyboard")
MIN_BPM, MAX_BPM = 60, 180


@dataclass(frozen=True, slots=True, kw_only=True)
class Genre:
    """Habits of a style."""

    tempos: tuple[int, int, int]  # beats a minute when slow, medium and fast
    keys: tuple[int, int]  # tonic of its usual major and minor key, semitones above C
    minor: float  # share of songs in minor
    metres: tuple[int, ...]
    core: tuple[str, ...]
    extra: tuple[str, ...]
    drums: str
    bass: str
    chords: str


GENRES = {
    "electronic": Genre(
        tempos=(100, 124, 140),
        keys=(0, 9),
        minor=0.7,
        metres=(4,),
        core=("drums", "bass", "synth"),
        extra=("keyboard", "strings", "vocals", "percussion"),
        drums="four",
        bass="offbeat",
        chords="stab",
    ),
    "rock": Genre(
        tempos=(90, 120, 150),
        keys=(4, 4),
        minor=0.5,
        metres=(4,),
        core=("drums", "bass", "guitar"),
        extra=("vocals", "keyboard", "brass"),
        drums="rock",
        bass="eighths",
        chords="strum",
    ),
    "pop": Genre(
        tempos=(84, 108, 128),
        keys=(7, 4),
        minor=0.3,
        metres=(4,),
        core=("drums", "bass", "keyboard"),
        extra=("vocals", "guitar", "synth", "strings"),
        drums="rock",
        bass="root",
        chords="block",
    ),
    "jazz": Genre(
        tempos=(80, 116, 160),
        keys=(5, 2),
        minor=0.5,
        metres=(4, 3),
        core=("drums", "bass", "keyboard"),
        extra=("brass", "woodwinds", "guitar"),
        drums="swing",
        bass="walk",
        chords="comp",
    ),
    "ballad": Genre(
        tempos=(66, 76, 90),
        keys=(0, 9),
        minor=0.4,
        metres=(4, 3),
        core=("keyboard", "strings"),
        extra=("vocals", "bass", "drums", "woodwinds"),
        drums="soft",
        bass="root",
        chords="arpeggio",
    ),
    "waltz": Genre(
        tempos=(90, 120, 160),
        keys=(2, 7),
        minor=0.4,
        metres=(3,),
        core=("strings", "keyboard"),
        extra=("woodwinds", "bass", "brass"),
        drums="soft",
        bass="root",
        chords="oompah",
    ),
    "funk": Genre(
        tempos=(92, 104, 118),
        keys=(9, 4),
        minor=0.8,
        metres=(4,),
        core=("drums", "bass", "guitar"),
        extra=("brass", "keyboard", "percussion", "vocals"),
        drums="funk",
        bass="syncopated",
        chords="stab",
    ),
    "orchestral": Genre(
        tempos=(72, 100, 140),
        keys=(3, 0),
        minor=0.5,
        metres=(4, 3),
        core=("strings", "brass"),
        extra=("woodwinds", "percussion"),
        drums="soft",
        bass="root",
        chords="pad",
    ),
    "hip hop": Genre(
        tempos=(78, 90, 100),
        keys=(5, 5),
        minor=0.9,
        metres=(4,),
        core=("drums", "bass", "keyboard"),
        extra=("synth", "vocals", "strings"),
        drums="boom",
        bass="root",
        chords="block",
    ),
    "folk": Genre(
        tempos=(80, 104, 130),
        keys=(7, 2),
        minor=0.3,
        metres=(4, 3, 6, 2),
        core=("guitar",),
        extra=("vocals", "woodwinds", "bass", "percussion"),
        drums="soft",
        bass="root",
        chords="arpeggio",
    ),
    "ambient": Genre(
        tempos=(60, 70, 84),
        keys=(0, 9),
        minor=0.5,
        metres=(4,),
        core=("strings", "synth"),
        extra=("keyboard", "woodwinds"),
        drums="soft",
        bass="root",
        chords="pad",
    ),
    "latin": Genre(
        tempos=(88, 104, 126),
        keys=(0, 2),
        minor=0.6,
        metres=(4,),
        core=("percussion", "bass", "guitar"),
        extra=("brass", "vocals", "keyboard", "drums"),
        drums="rock",
        bass="syncopated",
        chords="comp",
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
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Song:
    """Every fact about one song; `seed` decides the notes."""

    seed: int
    genre: str
    bpm: int  # as the prompt says it
    pace: int  # 0 slow, 1 medium, 2 fast: what a word such as "calm" or "driving" says
    metre: int  # 2, 3, 4 or 6
    tonic: int  # semitones above C
    minor: bool
    tracks: tuple[str, ...]
    states_bpm: bool  # whether the prompt names the tempo
    states_key: bool

    @property
    def beats(self) -> int:
        """Beats in a bar; 6/8 is felt in two."""
        return 2 if self.metre == 6 else self.metre

    @property
    def played_bpm(self) -> float:
        """The tempo on the model's grid."""
        return snap(self.bpm)[0]

    @property
    def key_scale(self) -> str:
        """The key as the prompt writes it."""
        return f"{NOTES[self.tonic]} {'minor' if self.minor else 'major'}"


def draw_song(seed: int) -> Song:
    """Draw the facts of a song; the same seed gives the same song."""
    rng = np.random.default_rng((seed, 1))
    name = str(rng.choice(list(GENRES)))
    genre = GENRES[name]
    minor = bool(rng.random() < genre.minor)
    pace = int(rng.choice([0, 1, 2], p=[0.3, 0.35, 0.35]))
    states_bpm, states_key = bool(rng.random() < 0.7), bool(rng.random() < 0.65)
    song = Song(
        seed=seed,
        genre=name,
        bpm=genre.tempos[pace],
        pace=pace,
        metre=int(rng.choice(genre.metres)),
        tonic=genre.keys[int(minor)],
        minor=minor,
        tracks=_draw_tracks(genre, rng),
        states_bpm=states_bpm,
        states_key=states_key,
    )
    if states_bpm:
        bpm = int(rng.integers(MIN_BPM, MAX_BPM + 1))
        song = replace(song, bpm=bpm, pace=0 if bpm < 88 else 1 if bpm < 122 else 2)
    if states_key:
        minor = bool(rng.random() < 0.5)
        song = replace(song, tonic=int(rng.integers(12)), minor=minor)
    return song


def _draw_tracks(genre: Genre, rng: np.random.Generator) -> tuple[str, ...]:
    style = rng.random()
    if style < 0.12:  # one instrument alone
        chosen = {str(rng.choice(["keyboard", "guitar", "strings", "synth"]))}
    else:
        chosen = set(genre.core) | {track for track in genre.extra if rng.random() < 0.35}
    if style > 0.8:
        chosen ^= {"drums"}
    if chosen <= {"drums", "percussion"}:
        chosen.add("bass")
    return tuple(track for track in TRACKS if track in chosen)
