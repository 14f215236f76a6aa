"""From facts to sound: who plays what when, rendered to stems that sum to the mix exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mini.composer import parts
from mini.composer.genres import GENRES
from mini.composer.grooves import Groove, jitter, percussion
from mini.composer.harmony import Chart, Span, nearest_tone
from mini.composer.instruments import RATE, Sound, hit, tone
from mini.composer.kit import KITS, sweep
from mini.composer.melody import lead_line, sung_line
from mini.composer.mixing import Stems, mix
from mini.composer.song import LEADS, TRACKS, Song
from mini.composer.voice import SINGERS, choir, sing

CHORD_FLOOR = {"keyboard": 55, "guitar": 50, "strings": 57, "synth": 58, "brass": 52, "woodwinds": 67}
LEAD_FLOOR = {"woodwinds": 69, "brass": 62, "synth": 67, "guitar": 59, "keyboard": 66, "strings": 65}
PANS = {"percussion": 0.45, "keyboard": -0.3, "guitar": 0.35, "brass": 0.3, "woodwinds": -0.25}
DRUM_PANS = {"hat": 0.25, "open": 0.25, "ride": -0.3, "shaker": 0.3, "tom high": 0.3, "tom low": -0.35, "crash": -0.3}
DYNAMICS = {"Intro": 0.75, "Verse": 0.85, "Chorus": 1.0, "Bridge": 0.8, "Outro": 0.8}
RELEASE = {"keyboard": 0.09, "guitar": 0.05, "strings": 0.16, "synth": 0.05, "brass": 0.07, "woodwinds": 0.07}
LONGEST = 3.0  # seconds of one note; longer ones are played again
SPREAD = {"drums": 0.002, "percussion": 0.004, "bass": 0.003}  # seconds by which players are early or late


class _Player:
    """One musician: places notes into a stereo track, each a little early, late, loud or soft."""

    def __init__(self, chart: Chart, track: str, samples: int) -> None:
        self.chart, self.track, self.song = chart, track, chart.song
        self.stem = np.zeros((2, samples), np.float32)
        self.rng = chart.song.rng(30, TRACKS.index(track))
        self.spread = SPREAD.get(track, 0.005)
        self.pan = PANS.get(track, 0.0)
        self.swing = GENRES[chart.song.genre].swing

    def start(self, beat: float) -> float:
        """When `beat` is played, in seconds: exactly at the start of the song, near it elsewhere."""
        if beat == 0:
            return 0.0
        swung = self.swing if round(beat * 4) % 2 and abs(beat * 4 - round(beat * 4)) < 1e-6 else 0.0
        return max(0.0, beat * self.chart.beat + float(np.clip(swung + jitter(self.rng, self.spread), -0.015, 0.015)))

    def place(self, seconds: float, sound: Sound, level: float, pan: float | None = None) -> None:
        """Add one mono sound at a moment."""
        first = int(seconds * RATE)
        if first >= self.stem.shape[1]:
            return
        level *= 1 + float(np.clip(self.rng.normal(0, 0.07), -0.16, 0.16))
        side = self.pan if pan is None else pan
        part = sound[: self.stem.shape[1] - first]
        for row, gain in zip(self.stem, (np.sqrt(1 - side), np.sqrt(1 + side)), strict=True):
            row[first : first + len(part)] += part * np.float32(level * gain)

    def note(self, beat: float, pitch: int, length: float, level: float, pan: float | None = None) -> None:
        """Play one note of `length` beats."""
        sound = tone(self.track, self.song.patch(self.track), pitch)
        self.place(self.start(beat), _cut(sound, length * self.chart.beat, RELEASE.get(self.track, 0.04)), level, pan)


def _cut(sound: Sound, seconds: float, release: float) -> Sound:
    """The first `seconds` of a sound, faded out after them."""
    keep, fade = max(480, int(seconds * RATE)), int(release * RATE)
    if keep + fade >= len(sound):
        keep = len(sound) - fade
    cut = sound[: keep + fade].copy()
    cut[keep:] *= np.linspace(1, 0, fade, dtype=np.float32) ** 1.5
    return cut


def render(song: Song, seconds: float) -> tuple[Stems, NDArray[np.float32]]:
    """Play `song` for `seconds`; gives stereo stems `[2, S]` by track and their sum, at 24 kHz."""
    chart, samples = Chart(song, seconds), int(seconds * RATE)
    lead = lead_of(song)
    others = [track for track in LEADS[1:] if track in song.tracks and track not in (lead, parts.first_chords(song))]
    answering = others[0] if lead == "vocals" and others else ""
    stems: Stems = {}
    for track in song.tracks:
        player = _Player(chart, track, samples)
        if track in PARTS:
            PARTS[track](player)
        elif track == lead:
            _play_lead(player)
        else:
            _play_chords(player)
            if track == answering:
                _play_answers(player)
        stems[track] = player.stem
    return mix(song, stems, lead)


def lead_of(song: Song) -> str:
    """The track with the tune; nobody when an instrument that can play chords is alone."""
    if len(song.tracks) == 1 and song.tracks[0] in ("keyboard", "guitar", "synth", "strings"):
        return ""
    for track in LEADS:
        accompanied = any(other in CHORD_FLOOR for other in song.tracks if other != track)
        if track in song.tracks and (track in ("vocals", "woodwinds") or accompanied or len(song.tracks) == 1):
            return track
    return ""


def _play_drums(player: _Player) -> None:
    groove = Groove.of(player.song)
    kit = int(player.song.rng(23).integers(KITS))
    for section in player.chart.sections:
        for bar in range(section.start, section.end):
            for sound, beat, level in groove.bar(section, bar):
                moment = player.start(bar * player.song.beats + beat)
                player.place(moment, hit(sound, kit, player.song.tonic), level, DRUM_PANS.get(sound, 0.0))


def _play_percussion(player: _Player) -> None:
    bar, kit = percussion(player.song), int(player.song.rng(24).integers(KITS))
    for section in player.chart.sections:
        level = DYNAMICS[section.name]
        for first in range(section.start, section.end):
            for sound, beat, accent in bar:
                side = -0.4 if sound in ("shaker", "triangle") else player.pan
                moment = player.start(first * player.song.beats + beat)
                player.place(moment, hit(sound, kit, player.song.tonic), accent * level, side)


def _play_bass(player: _Player) -> None:
    beats = player.song.beats
    for section in player.chart.sections:
        for bar in range(section.start, section.end):
            for beat, step, length, level in parts.bass(player.song, section.name):
                chord = player.chart.at(bar * beats + beat).chord
                root = player.chart.pitch(chord.tones[0], 33)
                pitch = root + (12 if step == 3 else (chord.tones[step] - chord.tones[0]))
                player.note(
                    bar * beats + beat, pitch if pitch < 50 else pitch - 12, length, level * DYNAMICS[section.name]
                )


def _play_chords(player: _Player) -> None:
    """Accompany; in an intro only the first chord instrument plays, the others wait for the verse."""
    song, beats = player.song, player.song.beats
    for section in player.chart.sections:
        if section.name == "Intro" and player.track != parts.first_chords(song):
            continue
        strokes = parts.chords(song, player.track, section.name)
        for bar in range(section.start, section.end):
            for stroke in strokes:
                beat = bar * beats + stroke.beat
                span = player.chart.at(beat)
                _strike(player, span, stroke, beat, DYNAMICS[section.name])


def _strike(player: _Player, span: Span, stroke: parts.Stroke, beat: float, level: float) -> None:
    """Play a stroke; its notes are spread over the stereo image, and long ones are played again."""
    pitches = _voicing(player, span, stroke)
    pieces = max(1, int(np.ceil(stroke.length * player.chart.beat / LONGEST)))
    length = stroke.length / pieces
    wide = 0.5 if player.track in ("strings", "synth") else 0.15
    pans = player.pan + wide * (np.linspace(-0.5, 0.5, len(pitches)) if len(pitches) > 1 else np.zeros(1))
    for piece in range(pieces):
        for pitch, pan in zip(pitches, pans, strict=True):
            loud = stroke.level * level / float(np.sqrt(len(pitches)))
            player.note(beat + piece * length, pitch, length, loud, float(pan))


def _voicing(player: _Player, span: Span, stroke: parts.Stroke) -> list[int]:
    """The pitches of a stroke: the chord in the instrument's register, or one of its tones."""
    chart, track, chord = player.chart, player.track, span.chord
    if player.song.patch(track) == "drive":
        root = chart.pitch(chord.tones[0], 40)
        return [root, root + 7, root + 12, root + 12 + chord.tones[1] - chord.tones[0]]
    tones = [chart.pitch(tone_, CHORD_FLOOR[track]) for tone_ in chord.tones]
    if stroke.tone == 0:
        return [tones[0] - 12]
    if stroke.tone is not None:
        return [sorted(tones)[stroke.tone] if stroke.tone < len(tones) else tones[0] + 12]
    if track == "woodwinds":
        return [tones[1]]
    return sorted(tones) + ([min(tones) + 12] if track == "strings" and span.section.name == "Chorus" else [])


def _play_answers(player: _Player) -> None:
    """Three notes up or down the chord where the singer breathes, after every second line."""
    song, beats = player.song, player.song.beats
    floor = LEAD_FLOOR[player.track]
    for section in player.chart.sections:
        if section.name not in ("Verse", "Chorus"):
            continue
        order = song.rng(42, "VC".index(section.name[0])).permutation(3)
        for number in range(1, section.phrases, 2):
            last = (section.start + (number + 1) * section.phrase_bars) * beats
            step = 1 / 3 if song.metre == 6 else 0.5 if player.chart.beat < 0.8 else 0.25
            tones = sorted(player.chart.pitch(tone_, floor) for tone_ in player.chart.at(last - 0.5).chord.tones[:3])
            for index, which in enumerate(order):
                player.note(last - (3 - index) * step, tones[int(which)], step * 0.9, 0.7)


def _play_lead(player: _Player) -> None:
    """Play the tune; in a larger group it waits until the intro is over."""
    song = player.song
    waits = len(song.tracks) > 2 and parts.first_chords(song) not in ("", player.track)
    for section, note in lead_line(player.chart, LEAD_FLOOR[player.track]):
        if waits and section.name == "Intro":
            continue
        level = DYNAMICS[section.name] * (1.0 if note.beat % 1 == 0 else 0.85)
        player.note(note.beat, note.pitch, note.length * 0.96, level)


def _play_vocals(player: _Player) -> None:
    singer = SINGERS[player.song.patch("vocals")]
    before, ended = None, -1.0
    for item in sung_line(player.chart):
        legato = before if item.start - ended < 0.08 else None
        sound = sing(item.syllable, item.pitch, item.end - item.start, singer, legato)
        player.place(item.start, sound, DYNAMICS[item.section])
        before, ended = item.pitch, item.end


def _play_backing(player: _Player) -> None:
    """Chords on "ooh" and "aah"; in a chorus the words of the lead, a third above or on the nearest chord tone."""
    vowels = {"Chorus": "a", "Bridge": "o", "Intro": "u", "Outro": "u", "Verse": "u"}
    words = "vocals" in player.song.tracks
    for span in player.chart.spans:
        name = span.section.name
        if words and name == "Chorus":
            continue
        length = span.length
        pieces = max(1, int(np.ceil(length * player.chart.beat / LONGEST)))
        for piece in range(pieces):
            for index, tone_ in enumerate(span.chord.tones[:3]):
                sound = choir(vowels[name], player.chart.pitch(tone_, 60))
                cut = _cut(sound, length / pieces * player.chart.beat * 0.94, 0.15)
                moment = player.start(span.start + piece * length / pieces)
                player.place(moment, cut, DYNAMICS[name] * 0.8, (-0.6, 0.6, 0.0)[index])
    if words:
        _sing_along(player)


def _sing_along(player: _Player) -> None:
    for item in sung_line(player.chart):
        if item.section != "Chorus":
            continue
        chord = player.chart.at((item.start + item.end) / 2 / player.chart.beat).chord
        above = item.pitch - player.song.tonic + 4
        for pitch, side, stretch in (
            (nearest_tone(above, chord), -0.6, "female"),
            (nearest_tone(above - 8, chord), 0.6, "male"),
        ):
            sound = sing(item.syllable, player.song.tonic + pitch, item.end - item.start, SINGERS[stretch])
            player.place(item.start + 0.008, sound, 0.9, side)


def _play_fx(player: _Player) -> None:
    """A rise into every section, an impact at its start, and glitter or a fall between."""
    beats, beat = player.song.beats, player.chart.beat
    kit = int(player.song.rng(25).integers(KITS))
    for section in player.chart.sections:
        start = section.start * player.song.bar_seconds
        player.place(start, hit("impact", kit), 0.9)
        player.place(start, sweep(int(np.clip(8 * beat * 10, 12, 30)), False), 0.6, -0.4)
        tenths = int(np.clip(min(2 * beats * beat, section.bars * beats * beat) * 10, 8, 40))
        player.place(max(0.0, section.end * player.song.bar_seconds - tenths / 10), sweep(tenths, True), 0.8, 0.3)
        for number in range(section.phrases):
            moment = (section.start + (number + 0.5) * section.phrase_bars) * player.song.bar_seconds
            player.place(
                moment, hit("zap" if (number + kit) % 3 == 0 else "sparkle", kit), 0.6, 0.6 - 1.2 * (number % 2)
            )


PARTS = {
    "drums": _play_drums,
    "percussion": _play_percussion,
    "bass": _play_bass,
    "vocals": _play_vocals,
    "backing_vocals": _play_backing,
    "fx": _play_fx,
}
