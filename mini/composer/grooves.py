"""Rhythms of drums and percussion: one bar as strings of steps, per style, metre and section."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mini.composer.form import Section
from mini.composer.genres import GENRES
from mini.composer.song import Song

LEVELS = {"X": 1.0, "x": 0.8, "o": 0.6, "g": 0.35}
Stroke = tuple[str, float, float]  # sound, beat in the bar, level
Pattern = dict[str, tuple[str, ...]]  # sound: variants of one bar; the length of the string is the grid

FOUR: dict[str, Pattern] = {
    "four": {
        "kick": ("X...X...X...X...",),
        "clap": ("....X.......X...",),
        "open": ("..x...x...x...x.",),
        "hat": ("xox.xox.xox.xox.", "................", "x.g.x.g.x.g.x.g."),
    },
    "rock": {
        "kick": ("X.......X.......", "X.......X.x.....", "X.....x.X.......", "X..x....X.x....."),
        "snare": ("....X.......X...",),
        "hat": ("X.o.x.o.X.o.x.o.", "X...x...X...x..."),
    },
    "pop": {
        "kick": ("X.....x.X.......", "X.......X.x.....", "X..x....X......."),
        "snare": ("....X.......X...", "....X.......X..g"),
        "hat": ("X.o.x.o.X.o.x.o.", "xgogxgogxgogxgog"),
    },
    "swing": {
        "kick": ("x.....o.....", "x..........o"),
        "ride": ("X..x.oX..x.o", "X..x..X..x.o"),
        "hat": ("...x.....x..",),
        "ghost": ("............", ".....g.....o", "........o..."),
    },
    "soft": {
        "kick": ("x.......x.......", "x.......o.o....."),
        "brush": ("....X.......X...", "o...X...o...X..."),
        "shaker": ("o.g.o.g.o.g.o.g.",),
    },
    "funk": {
        "kick": ("X..x......x.....", "X.x.......x..x..", "X......x..x....."),
        "snare": ("....X..g.g..X..g", "....X..g....X..."),
        "hat": ("xoxoxoxoxoxoxoxo", "x.xox.xox.xox.xo"),
    },
    "boom": {
        "kick": ("X......x..x.....", "X.....x...x....x", "X.x.......x....."),
        "snare": ("....X.......X...",),
        "hat": ("x.o.x.o.x.o.x.o.", "x.o.x.ogx.o.xoog"),
    },
    "latin": {
        "kick": ("X...x...X...x...", "X.....x.X.....x."),
        "rim": ("...x..x....x..x.", "x..x..x...x.x..."),
        "hat": ("x.o.x.o.x.o.x.o.",),
        "snare": ("............o...", "......o......o.."),
    },
    "march": {
        "kick": ("X.......X.......",),
        "snare": ("x.ggX.ggx.ggX.gg", "x...X.ggx...Xggg"),
    },
}
# Every style in three, two and six: where its kick and its backbeat fall there.
OTHER: dict[int, dict[str, tuple[str, ...]]] = {
    3: {
        "kick": ("X...........", "X.........o."),
        "back": ("....x...X...", "....X...X..."),
        "time": ("X.g.x.g.x.g.", "X...x...x..."),
    },
    2: {"kick": ("X.......", "X.....o."), "back": ("....X...", "....X..g"), "time": ("X.o.x.o.", "X...x...")},
    6: {"kick": ("X.....", "X....o"), "back": ("...X..",), "time": ("XggXgg", "X.gX.g")},
}
VOICES = {  # sound of the backbeat and of the time line in metres other than four
    "four": ("clap", "open"),
    "rock": ("snare", "hat"),
    "pop": ("snare", "hat"),
    "swing": ("ghost", "ride"),
    "soft": ("brush", "shaker"),
    "funk": ("snare", "hat"),
    "boom": ("snare", "hat"),
    "latin": ("rim", "hat"),
    "march": ("snare", "ghost"),
}
PERCUSSION: dict[int, tuple[Pattern, ...]] = {
    4: (
        {"conga low": ("X.....x.X...x...",), "conga high": ("...x..x....x..x.",), "shaker": ("xoxoxoxoxoxoxoxo",)},
        {"tambourine": ("..x.X.x...x.X.x.",), "shaker": ("o.o.o.o.o.o.o.o.",), "conga low": ("X.......x.......",)},
        {"clave": ("x..x..x...x.x...",), "conga low": ("X...x...X...x...",), "cowbell": ("..o...o...o...o.",)},
    ),
    3: ({"conga low": ("X...........",), "conga high": ("....x...x...",), "shaker": ("o.o.o.o.o.o.",)},),
    2: ({"conga low": ("X.......",), "conga high": ("....x.x.",), "shaker": ("o.o.o.o.",)},),
    6: ({"conga low": ("X.....",), "conga high": ("..gx.g",), "shaker": ("ogxogg",)},),
}
GRAND = {4: "X...............", 3: "X...........", 2: "X.......", 6: "X....."}  # timpani


def strokes(pattern: str, sound: str, beats: int) -> list[Stroke]:
    """The strokes of one string over a bar of `beats`."""
    return [(sound, step * beats / len(pattern), LEVELS[mark]) for step, mark in enumerate(pattern) if mark in LEVELS]


@dataclass(frozen=True, slots=True)
class Groove:
    """The drummer's choices for one song."""

    song: Song
    style: str
    picks: dict[str, str]  # sound: its string

    @staticmethod
    def of(song: Song) -> Groove:
        """Choose one variant for each sound."""
        style = GENRES[song.genre].drums
        rng = song.rng(20)
        if song.metre == 4:
            pattern = FOUR[style]
        else:
            back, time = VOICES[style]
            parts = OTHER[song.metre]
            pattern = {"kick": parts["kick"], back: parts["back"], time: parts["time"]}
        return Groove(
            song, style, {name: choices[int(rng.integers(len(choices)))] for name, choices in pattern.items()}
        )

    def bar(self, section: Section, bar: int) -> list[Stroke]:
        """One bar; sparse in the intro, half-time in the bridge, bright in the chorus, a fill before a new section."""
        beats, last = self.song.beats, bar == section.end - 1
        found: list[Stroke] = []
        for sound, pattern in self.picks.items():
            for stroke in strokes(pattern, sound, beats):
                found += self._in_section(stroke, section.name)
        if bar == section.start and section.name in ("Verse", "Chorus", "Bridge"):
            found.append(("crash", 0.0, 0.8 if section.name == "Chorus" else 0.5))
        fourth_line = section.phrase_bars > 1 and (bar + 1 - section.start) % (4 * section.phrase_bars) == 0
        return self._fill(found, section, full=last) if last or fourth_line else found

    def _in_section(self, stroke: Stroke, name: str) -> list[Stroke]:
        sound, beat, level = stroke
        if name == "Intro":
            return [] if level < 0.5 else [(sound, beat, level * 0.85)]
        if name == "Bridge" and sound in ("snare", "clap") and self.song.metre == 4:
            return [(sound, 2.0, level)] if beat == 1.0 else []
        if name == "Bridge" and sound == "hat":
            return [("ride", beat, level)] if level > 0.7 else []
        if name == "Chorus" and sound == "hat" and self.style in ("rock", "pop"):
            return [("open" if level == 1.0 else "ride", beat, level)]
        return [stroke]

    def _fill(self, found: list[Stroke], section: Section, *, full: bool) -> list[Stroke]:
        """Replace the end of a bar by a run that grows louder."""
        beats = self.song.beats
        if self.style == "swing":
            return [*found, ("snare", beats - 1 / 3, 0.7), ("tom low", beats - 2 / 3, 0.6)]
        rng = self.song.rng(21, "IVCBO".index(section.name[0]))
        length = 1.0 if beats < 4 or not full or rng.random() < 0.6 else 2.0
        steps = 3 if self.song.metre == 6 else 4
        runs: tuple[tuple[str, ...], ...] = (
            ("snare",) * 4,
            ("snare", "snare", "tom high", "tom low"),
            ("tom high", "tom high", "tom low", "tom low"),
            ("snare", "", "tom high", "tom low"),
            ("snare", "snare", "", "snare"),
        )
        run = runs[0] if self.style in ("four", "march") else runs[int(rng.integers(1, len(runs)))]
        if self.style == "soft":
            run = tuple(sound.replace("snare", "brush") for sound in run)
        kept = [stroke for stroke in found if stroke[1] < beats - length or stroke[0] == "kick"]
        count = int(length * steps)
        fill = [
            (run[step * 4 // count], beats - length + step / steps, 0.5 + 0.45 * step / count) for step in range(count)
        ]
        return kept + [stroke for stroke in fill if stroke[0]]


def percussion(song: Song) -> list[Stroke]:
    """One bar of hand percussion, or timpani and triangle in an orchestra."""
    rng = song.rng(22)
    if song.genre in ("orchestral", "marching band"):
        grand = strokes(GRAND[song.metre], "timpani", song.beats)
        small = [("triangle", float(beat), 0.6) for beat in range(song.beats)]
        return (
            grand
            + small
            + [("tambourine", beat + (2 / 3 if song.metre == 6 else 0.5), 0.4) for beat in range(song.beats)]
        )
    choices = PERCUSSION[song.metre]
    pattern = choices[int(rng.integers(len(choices)))]
    return [stroke for sound, bars in pattern.items() for stroke in strokes(bars[0], sound, song.beats)]


def jitter(rng: np.random.Generator, spread: float) -> float:
    """Seconds by which a hand is early or late, at most 12 ms."""
    return float(np.clip(rng.normal(0, spread), -0.012, 0.012))
