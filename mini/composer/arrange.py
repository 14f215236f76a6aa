"""From facts to sound: who plays what when, rendered to stems that sum to the mix exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mini.composer import patterns
from mini.composer.instruments import RATE, hit, tone
from mini.composer.song import LEADS, Song
from mini.composer.words import lyrics_of

Stems = dict[str, NDArray[np.float32]]

MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
PROGRESSIONS = (
    ((0, 4, 5, 3), (0, 3, 4, 4), (0, 5, 3, 4), (0, 3, 0, 4)),
    ((0, 5, 2, 6), (0, 3, 4, 0), (0, 6, 5, 6), (0, 3, 5, 4)),
)
GAINS = {
    "drums": 0.9,
    "percussion": 0.5,
    "bass": 0.5,
    "keyboard": 0.3,
    "guitar": 0.3,
    "strings": 0.22,
    "synth": 0.28,
    "brass": 0.28,
    "woodwinds": 0.45,
    "vocals": 0.5,
}
PANS = {
    "percussion": 0.5,
    "keyboard": -0.3,
    "guitar": 0.35,
    "strings": 0.15,
    "synth": -0.2,
    "brass": 0.3,
    "woodwinds": -0.25,
}
CHORD_FLOOR = {"keyboard": 55, "guitar": 52, "strings": 55, "synth": 57, "brass": 52, "woodwinds": 60}


class _Player:
    """Collects the notes of one song into mono tracks."""

    def __init__(self, song: Song, seconds: float) -> None:
        self.song = song
        self.beat = 60 / song.played_bpm
        self.tracks = {name: np.zeros(int(seconds * RATE) + 2 * RATE, np.float32) for name in song.tracks}
        self.rng = np.random.default_rng((song.seed, 3))
        self.kit = int(self.rng.integers(4))
        self.scale = MINOR if song.minor else MAJOR

    def place(self, track: str, beat: float, sound: NDArray[np.float32], level: float) -> None:
        """Mix one sound into a track at `beat`."""
        if track not in self.tracks:
            return
        start = int(beat * self.beat * RATE)
        room = self.tracks[track][start : start + len(sound)]
        room += sound[: len(room)] * np.float32(level * (0.92 + 0.16 * self.rng.random()))

    def note(self, track: str, beat: float, pitch: int, length: float, level: float, vowel: str = "a") -> None:
        """Play one note; `length` in beats."""
        samples = max(600, int(round(length * self.beat, 2) * RATE))
        self.place(track, beat, tone(track, pitch, samples, vowel), level)

    def pitch(self, degree: int, floor: int) -> int:
        """The scale degree as MIDI note in the octave that starts at `floor`."""
        semitone = self.song.tonic + self.scale[degree % 7]
        return floor + (semitone - floor) % 12


def render(song: Song, seconds: float) -> tuple[Stems, NDArray[np.float32]]:
    """Play `song` for `seconds`; gives stereo stems `[2, S]` by track and their sum at 24 kHz."""
    player = _Player(song, seconds)
    bars = int(seconds / (player.beat * song.beats)) + 1
    progression = PROGRESSIONS[int(song.minor)][int(player.rng.integers(4))]
    groove = patterns.drums(song, player.rng)
    melody = patterns.Melody(song, player.rng, lyrics_of(song))
    lead = _lead(song)
    for bar in range(bars):
        chord = progression[bar % 4]
        first = bar * song.beats
        _play_drums(player, groove, bar, first)
        _play_bass(player, chord, first)
        for track in CHORD_FLOOR:
            if track in song.tracks and track != lead:
                _play_chords(player, track, chord, first)
        if lead:
            for beat, degree, length, vowel in melody.bar(bar, chord):
                pitch = player.pitch(degree, 64 if lead != "vocals" else 60)
                player.note(lead, first + beat, pitch, length, 0.8, vowel)
    return _mix(player, int(seconds * RATE))


def _lead(song: Song) -> str:
    for track in LEADS:
        if track in song.tracks and (track not in ("guitar", "keyboard") or len(song.tracks) == 1):
            return track if len(song.tracks) > 1 else ""
    return ""


def _play_drums(player: _Player, groove: list[patterns.Stroke], bar: int, first: float) -> None:
    for name, beat, level in groove:
        player.place("drums", first + beat, hit(name, player.kit), level)
    if bar % 4 == 3:
        for step in range(4):
            name = "tom" if step % 2 else "snare"
            player.place("drums", first + player.song.beats - 1 + step / 4, hit(name, player.kit), 0.6)
    if bar % 8 == 0:
        player.place("drums", first, hit("crash", player.kit), 0.5)
    for step in range(player.song.beats * 2):
        name = ("conga", "shaker")[step % 2]
        player.place("percussion", first + step / 2, hit(name, player.kit), 0.9 if step % 4 == 0 else 0.6)


def _play_bass(player: _Player, chord: int, first: float) -> None:
    for beat, step, length in patterns.bass(player.song):
        player.note("bass", first + beat, player.pitch(chord + step, 33), length, 0.9)


def _play_chords(player: _Player, track: str, chord: int, first: float) -> None:
    notes = [player.pitch(chord + step, CHORD_FLOOR[track]) for step in (0, 2, 4)]
    for beat, which, length, level in patterns.chords(player.song, track):
        for pitch in notes if which is None else [notes[which]]:
            player.note(track, first + beat, pitch, length, level)


def _mix(player: _Player, samples: int) -> tuple[Stems, NDArray[np.float32]]:
    stems: Stems = {}
    for track, sound in player.tracks.items():
        pan = PANS.get(track, 0.0)
        mono = sound[:samples] * GAINS[track] * 0.5
        stems[track] = np.stack([mono * np.sqrt(1 - pan), mono * np.sqrt(1 + pan)]).astype(np.float32)
    total = np.sum(list(stems.values()), axis=0)
    scale = np.float32(min(2.0, 0.9 / (np.abs(total).max() + 1e-9)))
    stems = {track: stem * scale for track, stem in stems.items()}
    return stems, np.sum(list(stems.values()), axis=0, dtype=np.float32)
