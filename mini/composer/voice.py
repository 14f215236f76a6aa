"""A singer by formant synthesis: vowels as wave tables shaped by five formants, consonants as short noise and hums."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mini.composer.instruments import TABLE, hertz_of, wave_table
from mini.composer.kit import RATE, Sound, band

# Centre frequencies in Hz of a man's first three formants (after Peterson & Barney 1952) and their levels in dB.
FORMANTS = {
    "i": ((270, 2290, 3010), (0, -8, -11)),
    "I": ((390, 1990, 2550), (0, -8, -12)),
    "e": ((530, 1840, 2480), (0, -7, -12)),
    "@": ((660, 1720, 2410), (0, -5, -11)),
    "a": ((730, 1090, 2440), (0, -4, -17)),
    "O": ((570, 840, 2410), (0, -5, -22)),
    "o": ((450, 800, 2500), (0, -7, -24)),
    "U": ((440, 1020, 2240), (0, -8, -22)),
    "u": ((300, 870, 2240), (0, -12, -27)),
    "V": ((640, 1190, 2390), (0, -6, -18)),
    "3": ((490, 1350, 1690), (0, -7, -10)),
    # hums and glides, sung before or after a vowel
    "m": ((250, 1100, 2200), (0, -24, -30)),
    "n": ((250, 1500, 2500), (0, -22, -28)),
    "N": ((250, 1900, 2600), (0, -22, -28)),
    "l": ((360, 1300, 2700), (0, -14, -20)),
    "r": ((350, 1060, 1380), (0, -10, -12)),
    "w": ((290, 610, 2150), (0, -12, -30)),
    "y": ((260, 2070, 3020), (0, -16, -18)),
}
VOWELS = frozenset("iIe@aOoUuV3")
HUMS = frozenset("mnNlrwy")
WIDTHS = (70.0, 100.0, 140.0, 220.0, 300.0)  # Hz
# Noise of a consonant: low and high Hz, seconds, level, whether the voice sounds with it.
NOISES: dict[str, tuple[float, float, float, float, bool]] = {
    "s": (5000, 10500, 0.09, 0.5, False),
    "z": (4800, 10000, 0.06, 0.3, True),
    "S": (2200, 6500, 0.09, 0.5, False),
    "f": (1500, 9000, 0.07, 0.22, False),
    "v": (1500, 7000, 0.04, 0.12, True),
    "T": (3500, 9500, 0.06, 0.2, False),
    "h": (600, 4000, 0.06, 0.18, False),
    "t": (3000, 9000, 0.035, 0.7, False),
    "k": (1300, 3500, 0.035, 0.7, False),
    "p": (500, 1800, 0.03, 0.6, False),
    "d": (2500, 6000, 0.025, 0.45, True),
    "g": (1000, 2800, 0.025, 0.45, True),
    "b": (400, 1400, 0.025, 0.45, True),
}
PLOSIVES = frozenset("tkpdgb")
HUM_SECONDS, MOST_ONSET = 0.05, 0.11


@dataclass(frozen=True, slots=True, kw_only=True)
class Singer:
    """A voice: how long its throat is, how it vibrates, and the lowest note of its range."""

    stretch: float  # of the formants, 1 = a man
    vibrato: float  # cents
    floor: int  # MIDI
    breath: float


SINGERS = {
    "male": Singer(stretch=1.0, vibrato=22, floor=50, breath=0.02),
    "female": Singer(stretch=1.17, vibrato=26, floor=59, breath=0.03),
}


def onset_of(syllable: str) -> str:
    """The consonants before the vowel."""
    return syllable[: next((index for index, sound in enumerate(syllable) if sound in VOWELS), len(syllable))]


def onset_seconds(syllable: str) -> float:
    """How long before its beat a syllable begins, so that the vowel falls on the beat."""
    lengths = [HUM_SECONDS if sound in HUMS else NOISES[sound][2] for sound in onset_of(syllable)]
    return min(MOST_ONSET, sum(lengths))


@lru_cache(maxsize=900)
def _table(sound: str, note: int, stretch: float) -> Sound:
    """One period of a vowel or hum at the pitch of `note`, with equal power for all."""
    hertz = hertz_of(note)
    orders = np.arange(1, max(2, int(10000 / hertz)))
    centres, levels = FORMANTS[sound]
    strength = np.zeros(len(orders))
    for centre, level, width in zip((*centres, 3500, 4500), (*levels, -19, -25), WIDTHS, strict=True):
        offset = (orders * hertz - centre * stretch) / (width * stretch)
        strength += 10 ** (level / 20) / (1 + offset**2) ** 0.8
    strength *= orders**-0.25
    return wave_table(strength / np.sqrt((strength**2).sum() / 2))


@lru_cache(maxsize=32)
def _hiss(sound: str) -> Sound:
    low, high, seconds, level, _ = NOISES[sound]
    samples = int(seconds * RATE)
    noise = band(np.random.default_rng(ord(sound)).standard_normal(samples + 480), low, high)[240 : 240 + samples]
    place = np.linspace(0, 1, samples)
    shape = np.exp(-place * 5) if sound in PLOSIVES else np.sin(np.pi * place) ** 0.5
    return np.asarray(noise / (noise.std() + 1e-9) * shape * level, np.float32)


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of one vowel or hum inside a syllable."""

    sound: str
    start: float  # seconds
    end: float
    level: float


def sing(syllable: str, note: int, seconds: float, singer: Singer, before: int | None = None) -> Sound:
    """A syllable on `note`; `seconds` is all of it from its first consonant, `before` the note it comes from."""
    samples = max(1200, int(seconds * RATE))
    place, hum, noises = _plan(syllable, samples / RATE)
    turns = _turns(note, before, samples, place, singer)
    points = (turns * TABLE).astype(np.int64) & (TABLE - 1)
    sound = np.zeros(samples, np.float32)
    for segment in hum:
        first, last = max(0, int((segment.start - 0.02) * RATE)), min(samples, int((segment.end + 0.02) * RATE))
        if last > first:
            gain = _bump(first, last, segment)
            sound[first:last] += _table(segment.sound, note, singer.stretch)[points[first:last]] * gain
    sound += _hush(samples) * np.abs(sound) * np.float32(singer.breath * 4)
    for name, start in noises:
        hiss = _hiss(name)
        first = int(start * RATE)
        room = sound[first : first + len(hiss)]
        room += hiss[: len(room)]
    fade = min(samples, 360)
    sound[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return sound


def _plan(syllable: str, seconds: float) -> tuple[float, list[Segment], list[tuple[str, float]]]:
    """When the vowel begins, the voiced stretches, and the noises with their starts."""
    onset = onset_of(syllable)
    vowels = [sound for sound in syllable[len(onset) :] if sound in VOWELS] or ["V"]
    coda = syllable[len(onset) + len(vowels) :]
    tail = min(0.3 * seconds, sum(HUM_SECONDS if sound in HUMS else NOISES[sound][2] for sound in coda))
    hums, noises = _consonants(onset, 0.0, min(onset_seconds(syllable), 0.5 * seconds))
    start, end = min(onset_seconds(syllable), 0.5 * seconds), seconds - tail
    cut = end if len(vowels) == 1 else start + 0.6 * (end - start)
    hums.append(Segment(vowels[0], start, cut, 1.0))
    hums += [Segment(sound, cut, end, 0.9) for sound in vowels[1:2]]
    more, last = _consonants(coda, end, tail)
    return start, hums + more, noises + last


def _consonants(sounds: str, start: float, length: float) -> tuple[list[Segment], list[tuple[str, float]]]:
    hums: list[Segment] = []
    noises: list[tuple[str, float]] = []
    each = length / max(1, len(sounds))
    for index, sound in enumerate(sounds):
        first = start + index * each
        if sound in HUMS:
            hums.append(Segment(sound, first, first + each, 0.6))
            continue
        noises.append((sound, first))
        if NOISES[sound][4]:
            hums.append(Segment("m", first, first + each, 0.25))
    return hums, noises


def _bump(first: int, last: int, segment: Segment) -> Sound:
    """The level of a segment between two samples, with edges of 20 ms that cross those of its neighbours."""
    corners = np.array([segment.start - 0.012, segment.start + 0.012, segment.end - 0.012, segment.end + 0.012]) * RATE
    corners[2] = max(corners[1], corners[2])
    corners[3] = max(corners[2] + 1, corners[3])
    gain = np.interp(np.arange(first, last), corners, (0.0, segment.level, segment.level, 0.0))
    return gain.astype(np.float32)


def _turns(note: int, before: int | None, samples: int, vowel: float, singer: Singer) -> NDArray[np.float64]:
    """Phase in periods: a glide from the note before, then vibrato that comes slowly."""
    seconds = np.arange(samples) / RATE
    bend = np.zeros(samples)
    if before is not None and before != note:
        bend += 100 * np.clip(before - note, -5, 5) * np.exp(-(seconds / 0.03)) * (seconds < 0.3)
    depth = singer.vibrato * np.clip((seconds - vowel - 0.18) / 0.25, 0, 1)
    bend += depth * np.sin(2 * np.pi * 5.4 * seconds)
    return np.asarray(np.cumsum(hertz_of(note) / RATE * (1 + bend * (np.log(2) / 1200))))


@lru_cache(maxsize=1)
def _long_hush() -> Sound:
    return band(np.random.default_rng(77).standard_normal(RATE * 4), 1500, 9000).astype(np.float32)


def _hush(samples: int) -> Sound:
    hush = _long_hush()
    return hush[:samples] if samples <= len(hush) else np.resize(hush, samples)


@lru_cache(maxsize=300)
def choir(vowel: str, note: int) -> Sound:
    """Three singers on one vowel for up to 3.2 s, slow to speak: the "ooh" and "aah" behind a song."""
    samples = int(3.2 * RATE)
    seconds = np.arange(samples) / RATE
    sound = np.zeros(samples, np.float32)
    for cents, speed, stretch in ((-8, 4.7, 1.0), (0, 5.2, 1.1), (9, 5.7, 1.2)):
        hertz = hertz_of(note) * 2 ** (cents / 1200)
        turns = seconds * hertz + 0.004 * hertz / speed * np.sin(2 * np.pi * speed * seconds + cents)
        points = (turns * TABLE).astype(np.int64) & (TABLE - 1)
        sound += _table(vowel, note, stretch)[points]
    sound += 0.5 * _hush(samples) * np.abs(sound) * np.float32(0.12)
    return (0.6 * sound * np.minimum(1, seconds / 0.14)).astype(np.float32)
