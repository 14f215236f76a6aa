"""Rhythms and tunes: what each track plays within a bar, in beats."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mini.composer.song import GENRES, Song

Stroke = tuple[str, float, float]  # sound, beat, level


def drums(song: Song, rng: np.random.Generator) -> list[Stroke]:
    """The groove of one bar."""
    beats, style = song.beats, GENRES[song.genre].drums
    eighths = [step / 2 for step in range(beats * 2)]
    strong = [0.0, 2.0] if beats == 4 else [0.0]
    weak = [1.0, 3.0] if beats == 4 else [float(beat) for beat in range(1, beats)]
    if style == "four":
        strokes = [("kick", float(beat), 1.0) for beat in range(beats)] + [("open", b + 0.5, 0.7) for b in range(beats)]
        return strokes + [("clap", beat, 0.8) for beat in weak]
    if style == "swing":
        strokes = [("ride", float(beat), 0.9) for beat in range(beats)] + [("ride", b + 2 / 3, 0.6) for b in weak]
        return [*strokes, ("kick", 0.0, 0.6), *[("hat", beat, 0.7) for beat in weak]]
    if style == "soft":
        strokes = [("kick", beat, 0.7) for beat in strong] + [("brush", beat, 0.9) for beat in weak]
        return strokes + [("shaker", beat, 0.4) for beat in eighths]
    if style == "funk":
        strokes = [("hat", step / 4, 0.6) for step in range(beats * 4)] + [("snare", beat, 1.0) for beat in weak]
        return [*strokes, ("kick", 0.0, 1.0), ("kick", 0.75, 0.8), ("kick", 2.5, 0.9)]
    if style == "boom":
        strokes = [("hat", beat, 0.6) for beat in eighths] + [("snare", beat, 1.0) for beat in weak]
        return [*strokes, ("kick", 0.0, 1.0), ("kick", 1.75, 0.7), ("kick", 2.25, 0.9)]
    if style == "march":
        strokes = [("snare", beat, 0.7) for beat in eighths] + [("snare", b + 0.25, 0.4) for b in range(beats)]
        return strokes + [("kick", beat, 1.0) for beat in strong]
    strokes = [("hat", beat, 0.7) for beat in eighths] + [("snare", beat, 1.0) for beat in weak]
    strokes += [("kick", beat, 1.0) for beat in strong]
    return [*strokes, ("kick", beats - 1.5, 0.8)] if rng.random() < 0.6 else strokes


def bass(song: Song) -> list[tuple[float, int, float]]:
    """Beat, scale step above the chord's root and length of the notes of one bar."""
    style, beats = GENRES[song.genre].bass, song.beats
    if style == "eighths":
        return [(step / 2, 0, 0.45) for step in range(beats * 2)]
    if style == "offbeat":
        return [(beat + 0.5, 0, 0.45) for beat in range(beats)]
    if style == "walk":
        return [(float(beat), (0, 2, 4, 5)[beat % 4], 0.9) for beat in range(beats)]
    if style == "syncopated":
        notes = [(0.0, 0, 0.5), (0.75, 0, 0.2), (1.5, 4, 0.4), (2.5, 0, 0.4), (3.25, 4, 0.3)]
        return [note for note in notes if note[0] < beats]
    return [(float(beat), 0, 1.6) for beat in range(0, beats, 2)]


def chords(song: Song, track: str) -> list[tuple[float, int | None, float, float]]:
    """Beat, chord tone (None = all), length and level of one bar's accompaniment."""
    beats, style = song.beats, GENRES[song.genre].chords
    if len(song.tracks) == 1:
        style = "arpeggio" if track in ("keyboard", "guitar") else "pad"
    elif track == "strings" or (track in ("woodwinds", "synth") and style not in ("stab", "pad")):
        style = "pad"
    elif track == "brass":
        style = "pad" if style == "pad" else "stab"
    if style == "pad":
        return [(0.0, None, beats * 0.98, 0.6)]
    if style == "block":
        return [(float(beat), None, 1.8, 0.7) for beat in range(0, beats, 2)]
    if style == "strum":
        return [(step / 2, None, 0.48, 0.8 if step % 2 == 0 else 0.6) for step in range(beats * 2)]
    if style == "stab":
        return [(beat + 0.5, None, 0.3, 0.8) for beat in range(beats)]
    if style == "comp":
        return [(beat, None, 0.5, 0.7) for beat in (0.0, 1.5, 2.5) if beat < beats]
    if style == "oompah":
        return [(float(beat), None, 0.6, 0.7) for beat in range(1, beats)] or [(0.5, None, 0.4, 0.7)]
    return [(step / 2, (0, 1, 2, 1)[step % 4], 0.9, 1.0) for step in range(beats * 2)]


class Melody:
    """A tune that repeats with small changes every four bars and lands on chord tones."""

    RHYTHMS = (
        ((0, 1), (1, 1), (2, 1.8)),
        ((0, 0.5), (0.5, 0.5), (1, 1), (2, 0.5), (2.5, 1.3)),
        ((0, 1.5), (1.5, 0.5), (2, 1.8)),
        ((0, 0.5), (1, 0.5), (1.5, 0.5), (2, 1), (3, 0.9)),
    )

    def __init__(self, song: Song, rng: np.random.Generator, lyrics: str) -> None:
        self.beats = song.beats
        self.rhythm = self.RHYTHMS[int(rng.integers(4))]
        self.steps = [int(step) for step in rng.integers(-2, 3, 20)]
        self.place = 0
        self.vowels = [letter for letter in lyrics.lower().replace("[verse]", "") if letter in "aeiou"] or ["a"]
        self.sung = 0

    def bar(self, bar: int, chord: int) -> Iterator[tuple[float, int, float, str]]:
        """Beat, scale degree, length and vowel of each note of one bar."""
        rhythm = [(beat, length) for beat, length in self.rhythm if beat < self.beats]
        for index, (beat, length) in enumerate(rhythm):
            step = self.steps[(bar % 4 * 5 + index) % len(self.steps)]
            self.place = int(np.clip(self.place + step, -3, 4))
            degree = chord + (0, 2, 4)[self.place % 3] if index == 0 else self.place
            if bar % 4 == 3 and index == len(rhythm) - 1:
                degree = 0
            vowel = self.vowels[self.sung % len(self.vowels)]
            self.sung += 1
            yield beat, degree, min(length, self.beats - beat) * 0.95, vowel
