"""Tunes: a rhythm and a contour that come back with every section of a name, and the words sung on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mini.composer.form import Section
from mini.composer.harmony import Chart, degree_semitones, fitting, nearest_tone, random_walk
from mini.composer.lyrics import Line, lines_of
from mini.composer.song import Song
from mini.composer.voice import SINGERS, onset_seconds


@dataclass(frozen=True, slots=True)
class Note:
    """One note of a tune."""

    beat: float
    length: float  # beats
    pitch: int  # MIDI


@dataclass(frozen=True, slots=True, kw_only=True)
class Sung:
    """One syllable: what is sung when, in seconds from the start of the song."""

    word: str
    number: int  # of the word in the song; syllables of one word share it
    syllable: str
    start: float  # its first consonant
    end: float
    pitch: int
    section: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WordTime:
    """When a word is sung, in seconds."""

    word: str
    start: float
    end: float


class Tune:
    """The tune of all sections of one name: places of the beat in order of importance, and a height for each place."""

    def __init__(self, chart: Chart, section: Section, floor: int) -> None:
        song = chart.song
        kind = ("Verse", "Chorus", "Bridge").index(section.name if section.name in ("Chorus", "Bridge") else "Verse")
        rng = song.rng(40, kind)
        self.chart = chart
        self.beats = section.phrase_bars * song.beats
        self.steps = 3 if song.metre == 6 else 4 if chart.beat > 0.72 else 2  # places in a beat
        places = int(self.beats * self.steps * (0.8 if self.beats > 2 else 0.9))
        weights = np.array([self._weight(place) for place in range(places)])
        order = weights + 1.3 * rng.random(places) - 0.6 * np.arange(places) / places
        order[0] = 9
        self.order = [int(place) for place in np.argsort(-order)]
        self.anchor = chart.pitch(0, floor)
        low, high = (-2, 5) if self.anchor - floor <= 5 else (-5, 2)
        self.heights = [
            int(np.clip(step + (2 if kind == 1 else 0), low, high)) for step in random_walk(rng, places, low, high)
        ]

    def _weight(self, place: int) -> float:
        beat, inside = divmod(place, self.steps)
        if inside:
            return 0.9 if inside * 2 == self.steps or self.steps == 3 else 0.2
        return 2.4 if beat % self.chart.song.beats == 0 else 1.8

    def phrase(self, count: int, first: float, number: int) -> list[Note]:
        """`count` notes from beat `first`; every second phrase closes on the root, the others stay open."""
        places: list[float] = sorted(self.order[:count])
        if count > len(self.order):  # more syllables than places: as even as they go
            places = [index * len(self.order) / count for index in range(count)]
        ends = [*places[1:], min(places[-1] + 2 * self.steps, int(self.beats * self.steps))]
        notes = []
        for index, (place, end) in enumerate(zip(places, ends, strict=True)):
            beat = first + place / self.steps
            chord = self.chart.at(beat).chord
            height = degree_semitones(
                self.heights[(int(place) + (number % 4 == 2)) % len(self.heights)], self.chart.scale
            )
            if index == len(places) - 1:
                height = nearest_tone(0 if number % 2 else 7 if height > 3 else 0, chord)
            elif place % self.steps == 0:
                height = nearest_tone(height, chord)
            else:
                height = fitting(height, chord)
            length = min((end - place) / self.steps, 4.0)
            notes.append(Note(beat, length, self.anchor + height))
        return notes


def lead_line(chart: Chart, floor: int) -> Iterator[tuple[Section, Note]]:
    """A tune without words: the same number of notes in every phrase of a kind."""
    for section in chart.sections:
        tune = Tune(chart, section, floor)
        counts = chart.song.rng(41, "IVCBO".index(section.name[0])).integers(4, 9, 2)
        for number in range(section.phrases):
            first = (section.start + number * section.phrase_bars) * chart.song.beats
            for note in tune.phrase(int(counts[number % 2]), first, number):
                yield section, note


def sung_line(chart: Chart) -> list[Sung]:
    """Every syllable of the song with its time; a syllable begins so early that its vowel is on the beat."""
    floor = SINGERS[chart.song.patch("vocals")].floor
    found: list[Sung] = []
    for section in chart.sections:
        tune = Tune(chart, section, floor)
        for number, line in enumerate(lines_of(chart.song, section)):
            first = (section.start + number * section.phrase_bars) * chart.song.beats
            found += _sung(tune, line, first, number, len({item.number for item in found}), section.name)
    return _without_overlap(found)


def _sung(tune: Tune, line: Line, first: float, number: int, words: int, section: str) -> list[Sung]:
    parts = [(words + index, word.text, syllable) for index, word in enumerate(line) for syllable in word.syllables]
    notes = tune.phrase(len(parts), first, number)
    beat = tune.chart.beat
    return [
        Sung(
            word=text,
            number=word,
            syllable=syllable,
            start=max(0.0, note.beat * beat - onset_seconds(syllable)),
            end=(note.beat + note.length) * beat - 0.015,
            pitch=note.pitch,
            section=section,
        )
        for (word, text, syllable), note in zip(parts, notes, strict=False)
    ]


def _without_overlap(sung: list[Sung]) -> list[Sung]:
    """Let every syllable end where the next begins, at the latest."""
    following = [*[item.start for item in sung[1:]], float("inf")][: len(sung)]
    return [replace(item, end=min(item.end, start)) for item, start in zip(sung, following, strict=True)]


def word_times(song: Song, seconds: float) -> list[WordTime]:
    """Every word that is sung within `seconds`, with its start and end; empty without vocals."""
    if "vocals" not in song.tracks:
        return []
    times: dict[int, WordTime] = {}
    for item in sung_line(Chart(song, seconds)):
        if item.start < seconds:
            known = times.get(item.number)
            start = known.start if known else item.start
            times[item.number] = WordTime(word=item.word, start=start, end=min(item.end, seconds))
    return list(times.values())
