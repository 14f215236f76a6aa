"""What bass and chord instruments play within a bar, in beats."""

from __future__ import annotations

from dataclasses import dataclass, replace

from mini.composer.genres import GENRES
from mini.composer.song import Song

# Length of a stroke in beats; a bar of four (a bar of two is its half) and one of three, in sixteenths.
FIGURES = {
    "strum": (0.55, "X...x.o...o.x.o.", "X...x.o.x.o."),
    "stab": (0.35, "..x...X...x...X.", "X...x...x..."),
    "chop": (0.16, "X..x..x.X..x.ox.", "X..ox..ox..o"),
    "comp": (0.5, "X.....x.....x...", "X...x......."),
    "montuno": (0.4, "X..x..X.x..x..x.", "X...x.x.x.x."),
    "chug": (0.46, "X.x.x.x.X.x.x.x.", "X.o.x.o.x.o."),
    "hits": (0.45, "X.....x.....X...", "X.......x..."),
}
Bass = tuple[float, int, float, float]  # beat, tone of the chord (3 = octave), length, level


@dataclass(frozen=True, slots=True)
class Stroke:
    """One chord, or one of its tones, within a bar."""

    beat: float
    tone: int | None  # index of a chord tone, None = all of them
    length: float  # beats
    level: float


def bass(song: Song, section: str) -> list[Bass]:
    """The notes of one bar; the root is on every downbeat, so that the key can be heard."""
    style, beats = GENRES[song.genre].bass, song.beats
    if section in ("Intro", "Outro", "Bridge") and style in ("eighths", "walk", "syncopated", "tumbao"):
        style = "pop"
    if song.metre == 6:
        return [(0.0, 0, 0.9, 1.0), (1.0, 1, 0.6, 0.8), (1 + 2 / 3, 0, 0.3, 0.6)]
    if style != "walk" and (beats == 3 or not {"drums", "percussion"} & set(song.tracks)):
        # Nobody else keeps the beat, so the bass does.
        return [(float(beat), 1 if beat == beats - 1 else 0, 0.9, 1.0 if beat == 0 else 0.7) for beat in range(beats)]
    if style == "eighths":
        return [(step / 2, 0, 0.46, 1.0 if step % 2 == 0 else 0.75) for step in range(beats * 2)]
    if style == "offbeat":
        return [(0.0, 0, 0.4, 0.9)] + [(beat + 0.5, 0, 0.45, 1.0) for beat in range(beats)]
    if style == "walk":
        return [(float(beat), (0, 1, 2, 3)[beat % 4], 0.92, 1.0 if beat % 2 == 0 else 0.8) for beat in range(beats)]
    if style == "syncopated":
        notes = [(0.0, 0, 0.6, 1.0), (0.75, 0, 0.2, 0.7), (1.5, 3, 0.4, 0.8), (2.5, 0, 0.4, 0.9), (3.25, 1, 0.3, 0.7)]
        return [note for note in notes if note[0] < beats]
    if style == "tumbao":
        return [note for note in [(0.0, 0, 1.2, 1.0), (1.5, 2, 1.4, 0.9), (3.0, 3, 0.9, 0.9)] if note[0] < beats]
    if style == "pop":
        notes = [(0.0, 0, 1.3, 1.0), (1.5, 0, 0.45, 0.7), (2.0, 0, 1.2, 0.9), (3.5, 1, 0.45, 0.7)]
        return [note for note in notes if note[0] < beats]
    halves = [(0.0, 0, 1.9, 1.0), (2.0, 1 if song.seed % 2 else 0, 1.8, 0.8)]
    return [(beat, tone, min(length, beats - beat), level) for beat, tone, length, level in halves if beat < beats]


def chords(song: Song, track: str, section: str) -> list[Stroke]:
    """The strokes of one bar of accompaniment."""
    style = _style(song, track)
    strokes = _compound(style) if song.metre == 6 else _simple(style, song.beats)
    if section == "Chorus" and style == "block" and song.metre != 6:  # twice as often
        return [Stroke(float(beat), None, 0.9, 1.0 if beat == 0 else 0.8) for beat in range(song.beats)]
    if section == "Verse" and style in ("strum", "chug"):  # lighter and shorter than in the chorus
        return [replace(stroke, length=stroke.length * 0.6) for stroke in strokes if stroke.level > 0.6]
    if section in ("Intro", "Outro") and len(strokes) > 4:
        return [stroke for stroke in strokes if stroke.beat % 1 == 0 or stroke.tone is not None]
    if section == "Bridge" and style in ("strum", "stab", "chop", "montuno", "chug"):
        return [Stroke(float(beat), None, 1.9, 0.8) for beat in range(0, song.beats, 2)]
    return strokes


def _style(song: Song, track: str) -> str:
    style, patch = GENRES[song.genre].chords, song.patch(track)
    if len(song.tracks) == 1:
        return {"keyboard": "arpeggio", "guitar": "picking", "synth": "arpeggio"}.get(track, "pulse")
    if track == "woodwinds" and "drums" in song.tracks:
        return "line"
    if track in ("strings", "woodwinds") or patch == "pad":
        alone = track == first_chords(song) and not {"drums", "percussion"} & set(song.tracks)
        return "pulse" if alone else "pad"
    if patch == "pluck":
        return "arpeggio"
    if patch == "drive":
        return "chug"
    if track == "brass":
        return "pad" if style == "pad" else "oompah" if style == "oompah" else "hits"
    if track == "synth" and style not in ("stab", "pad"):
        return "arpeggio"
    if track == "guitar" and style in ("block", "stab", "arpeggio", "pad"):
        return "picking" if style in ("arpeggio", "pad") else "strum"
    if track == "keyboard" and style in ("strum", "picking", "chop"):
        return "block"
    return style


def _marks(pattern: str, beats: int, length: float) -> list[Stroke]:
    """Strokes of all tones from a string of sixteenths: X loud, x softer, o soft."""
    levels = {"X": 1.0, "x": 0.8, "o": 0.55}
    return [
        Stroke(step / 4, None, length, levels[mark]) for step, mark in enumerate(pattern[: beats * 4]) if mark in levels
    ]


def _accent(eighth: int) -> float:
    """Downbeats stand out, then the other beats, so that a broken chord alone still has a pulse."""
    return 1.0 if eighth == 0 else 0.55 if eighth % 2 else 0.85


def _simple(style: str, beats: int) -> list[Stroke]:
    """Metres of two, three and four."""
    if style == "pad":
        return [Stroke(0.0, None, beats * 0.99, 0.8)]
    if style == "line":
        return [Stroke(0.0, 2, 1.4, 0.8), Stroke(1.5, 1, 0.45, 0.6), Stroke(2.0, 3, 1.9, 0.9)][: 3 if beats == 4 else 2]
    if style == "pulse":
        return [Stroke(float(beat), None, 0.9, 1.0 if beat == 0 else 0.75) for beat in range(beats)]
    if style == "block":
        return [Stroke(float(beat), None, 1.8, 1.0 if beat == 0 else 0.8) for beat in range(0, beats, 2)]
    if style == "arpeggio":
        order = (0, 1, 2, 3, 2, 1, 2, 1)
        return [Stroke(s / 2, order[s % 8], 1.1, _accent(s)) for s in range(beats * 2)]
    if style == "picking":
        order = (0, 2, 1, 3, 0, 2, 1, 2)
        return [Stroke(s / 2, order[s % 8], 0.9, _accent(s)) for s in range(beats * 2)]
    if style == "oompah":
        weak = [1.0] if beats == 2 else [float(beat) for beat in range(1, beats)]
        return [Stroke(0.0, 0, 0.7, 1.0)] + [Stroke(beat, None, 0.5, 0.8) for beat in weak]
    length, four, three = FIGURES[style]
    return _marks(three if beats == 3 else four, beats, length)


def _compound(style: str) -> list[Stroke]:
    """6/8: three eighths to each of the two beats."""
    third = 1 / 3
    if style == "pad":
        return [Stroke(0.0, None, 1.98, 0.8)]
    if style in ("arpeggio", "picking"):
        return [Stroke(s * third, (0, 1, 2, 3, 2, 1)[s], 0.8, 1.0 if s % 3 == 0 else 0.5) for s in range(6)]
    if style in ("oompah", "stab", "chop"):
        return [Stroke(float(beat), 0, 0.5, 1.0) for beat in (0, 1)] + [
            Stroke(beat + s * third, None, 0.28, 0.5) for beat in (0, 1) for s in (1, 2)
        ]
    if style in ("strum", "chug", "montuno"):
        return [Stroke(beat + s * third, None, 0.32, (1.0, 0.35, 0.5)[s]) for beat in (0, 1) for s in (0, 1, 2)]
    return [Stroke(0.0, None, 0.95, 1.0), Stroke(1.0, None, 0.9, 0.8)]


def first_chords(song: Song) -> str:
    """The instrument that carries the harmony: it plays in the intro, and the pulse where nobody else does."""
    order = ("keyboard", "guitar", "synth", "strings", "brass", "woodwinds")
    return next((track for track in order if track in song.tracks), "")
