"""What a song is: the facts that decide everything, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mini.composer.form import Section, sections_of
from mini.composer.genres import GENRES, Genre
from mini.composer.tempo import snap

__all__ = ["GENRES", "LEADS", "MAX_BPM", "MIN_BPM", "NOTES", "PATCHES", "TRACKS", "Song", "draw_song"]

NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
TRACKS = (
    "drums",
    "percussion",
    "bass",
    "keyboard",
    "guitar",
    "strings",
    "synth",
    "brass",
    "woodwinds",
    "fx",
    "vocals",
    "backing_vocals",
)
LEADS = ("vocals", "woodwinds", "brass", "synth", "guitar", "keyboard", "strings")
PATCHES = {
    "bass": ("finger", "pick", "sub", "upright"),
    "keyboard": ("piano", "epiano", "organ"),
    "guitar": ("nylon", "steel", "clean", "drive"),
    "strings": ("section", "solo"),
    "synth": ("saw", "square", "pad", "pluck"),
    "brass": ("trumpets", "horns"),
    "woodwinds": ("flute", "clarinet"),
    "vocals": ("female", "male"),
}
ALONE = ("keyboard", "guitar", "strings", "synth", "woodwinds", "brass")
OFTEN = {"vocals": 0.5, "fx": 0.5, "backing_vocals": 0.4}  # chance that an extra track plays, where not 0.35
MIN_BPM, MAX_BPM = 60, 180


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
    def bar_seconds(self) -> float:
        """How long a bar lasts."""
        return 60 / self.played_bpm * self.beats

    @property
    def key_scale(self) -> str:
        """The key as the prompt writes it."""
        return f"{NOTES[self.tonic]} {'minor' if self.minor else 'major'}"

    @property
    def sections(self) -> tuple[Section, ...]:
        """Intro, verses, choruses, bridge and outro, in bars; a longer piece goes round again."""
        return sections_of(self.seed, self.bar_seconds)

    def patch(self, track: str) -> str:
        """Which sound of its instrument `track` uses, such as "epiano" for the keyboard."""
        choices = GENRES[self.genre].patches.get(track) or PATCHES[track]
        rng = np.random.default_rng((self.seed, 5, TRACKS.index(track)))
        return choices[int(rng.integers(len(choices)))]

    def rng(self, *purpose: int) -> np.random.Generator:
        """A source of chance of its own for each purpose, so that leaving one track out changes no other."""
        return np.random.default_rng((self.seed, 3, *purpose))


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
    if rng.random() < 0.1:  # every metre is asked for in every style
        song = replace(song, metre=int(rng.choice([2, 3, 4, 6])))
    if states_bpm:
        bpm = int(rng.integers(MIN_BPM, MAX_BPM + 1))
        song = replace(song, bpm=bpm, pace=0 if bpm < 88 else 1 if bpm < 122 else 2)
    if states_key:
        minor = bool(rng.random() < 0.5)
        song = replace(song, tonic=int(rng.integers(12)), minor=minor)
    return song


def _draw_tracks(genre: Genre, rng: np.random.Generator) -> tuple[str, ...]:
    style = rng.random()
    if style < 0.1:  # one instrument alone
        chosen = {str(rng.choice(ALONE))}
    else:
        chosen = set(genre.core) | {track for track in genre.extra if rng.random() < OFTEN.get(track, 0.35)}
        if rng.random() < 0.15:  # a guest that the style does not expect
            chosen.add(str(rng.choice(TRACKS)))
    if style > 0.8:
        chosen ^= {"drums"}
    if chosen <= {"drums", "percussion", "fx"}:
        chosen.add("bass")
    return tuple(track for track in TRACKS if track in chosen)
