"""Keys, chords and progressions; the tonic opens every section and closes most, so that the key can be heard."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from mini.composer.form import Section, unroll
from mini.composer.genres import GENRES
from mini.composer.song import Song

MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
# Semitones above the tonic: root, third, fifth, seventh.
CHORDS = {
    "I": (0, 4, 7, 11),
    "ii": (2, 5, 9, 12),
    "iii": (4, 7, 11, 14),
    "IV": (5, 9, 12, 16),
    "V": (7, 11, 14, 17),
    "vi": (9, 12, 16, 19),
    "i": (0, 3, 7, 10),
    "iv": (5, 8, 12, 15),
    "v": (7, 10, 14, 17),
    "III": (3, 7, 10, 14),
    "VI": (8, 12, 15, 19),
    "VII": (10, 14, 17, 20),
}
PROGRESSIONS = {
    (False, "Verse"): ("I IV I V", "I V IV I", "I vi IV V", "I I IV V", "I V vi IV", "I ii IV V"),
    (False, "Chorus"): ("I IV V I", "I V I IV", "I V vi IV", "I IV I V", "I ii V I"),
    (False, "Bridge"): ("vi IV I V", "IV I IV V", "vi V IV V"),
    (True, "Verse"): ("i iv i V", "i i iv V", "i VI iv V", "i VII i V", "i iv V i", "i VII VI V"),
    (True, "Chorus"): ("i iv V i", "i VI V i", "i VII i V", "i VI iv V", "i iv i V"),
    (True, "Bridge"): ("iv i iv V", "VI iv i V", "VI VII i V"),
}
CADENCES = {False: ("IV V", "ii V", "V I", "IV I"), True: ("iv V", "VI V", "V i", "iv i")}


@dataclass(frozen=True, slots=True)
class Chord:
    """Semitones above the tonic of the key, root first; three or four tones."""

    name: str
    tones: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """A chord and the beats it sounds."""

    start: float
    length: float
    chord: Chord
    section: Section


class Chart:
    """Sections and chords of a piece of some length, as a player reads them."""

    def __init__(self, song: Song, seconds: float) -> None:
        self.song = song
        self.scale = MINOR if song.minor else MAJOR
        self.beat = 60 / song.played_bpm
        bars = int(seconds / song.bar_seconds) + 1
        self.sections = tuple(unroll(song.sections, bars))
        self.spans = [span for section in self.sections for span in self._spans(section)]
        self._starts = [span.start for span in self.spans]

    def at(self, beat: float) -> Span:
        """The chord that sounds at `beat`."""
        return self.spans[max(0, bisect_right(self._starts, beat + 1e-6) - 1)]

    def pitch(self, semitones: int, floor: int) -> int:
        """The MIDI note `semitones` above any tonic, in the octave that starts at `floor`."""
        return floor + (self.song.tonic + semitones - floor) % 12

    def _spans(self, section: Section) -> list[Span]:
        """Chords change about every two seconds: each half bar, bar or second bar."""
        beats = self.song.beats
        seconds = self.song.bar_seconds
        length = 2.0 * beats if seconds < 1.0 and section.bars % 2 == 0 else float(beats)
        if seconds > 2.7 and beats % 2 == 0:
            length = beats / 2
        count = round(section.bars * beats / length)
        names = self._progression(section, count)
        start = section.start * beats
        return [Span(start + index * length, length, self._chord(name), section) for index, name in enumerate(names)]

    def _progression(self, section: Section, count: int) -> list[str]:
        minor, tonic = self.song.minor, "i" if self.song.minor else "I"
        kind = section.name if section.name in ("Verse", "Chorus", "Bridge") else "Verse"
        rng = self.song.rng(10, ("Verse", "Chorus", "Bridge").index(kind))
        choices = PROGRESSIONS[minor, kind]
        four = choices[int(rng.integers(len(choices)))].split()
        if section.name == "Outro":
            return ([*four, *four][: count - 1] or []) + [tonic]
        if section.name == "Intro":
            return [(tonic, "V")[index % 2] for index in range(count)] if count > 1 else [tonic]
        names = [four[index % 4] for index in range(count)]
        if count >= 8:  # the second half closes differently
            names[-2:] = CADENCES[minor][int(rng.integers(4))].split()
        return names

    def _chord(self, name: str) -> Chord:
        tones = CHORDS[name]
        share = GENRES[self.song.genre].sevenths
        # Whether a chord has its seventh is the same every time it comes back.
        seventh = share > 0 and self.song.rng(11, list(CHORDS).index(name)).random() < share
        return Chord(name, tones if seventh else tones[:3])


def fitting(semitones: int, chord: Chord) -> int:
    """Raise the seventh degree of a minor key over its dominant, as the chord does."""
    return semitones + 1 if semitones % 12 == 10 and any(tone % 12 == 11 for tone in chord.tones) else semitones


def nearest_tone(semitones: int, chord: Chord) -> int:
    """The tone of `chord`, in any octave, that is nearest to `semitones`."""
    options = [tone + 12 * octave for tone in chord.tones[:3] for octave in range(-3, 9)]
    return int(min(options, key=lambda tone: (abs(tone - semitones), tone)))


def degree_semitones(degree: int, scale: tuple[int, ...]) -> int:
    """Semitones above the tonic of a scale degree; 0 is the tonic, 7 the one an octave up."""
    return 12 * (degree // 7) + scale[degree % 7]


def random_walk(rng: np.random.Generator, length: int, low: int, high: int) -> list[int]:
    """A line that moves mostly by step and turns back at its limits."""
    place, line = 0, []
    for _ in range(length):
        line.append(place)
        place += int(rng.choice([-2, -1, 0, 1, 2, 3], p=[0.12, 0.28, 0.16, 0.28, 0.12, 0.04]))
        if not low <= place <= high:
            place = int(np.clip(2 * np.clip(place, low, high) - place, low, high))
    return line
