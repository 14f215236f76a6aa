"""Pitched instruments: each note is made once from wave tables, in three registers of harmonics that fade apart.

Patches differ where the spectral autoencoder listens: attack and decay, brightness between 0.8 and 6.4 kHz, noise of
fingers or breath, and width (detuned pairs).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mini.composer.kit import RATE, Sound, band, hit

__all__ = ["RATE", "Sound", "hit", "tone", "wave_table"]

TABLE = 8192  # points of one period
SUSTAINED_SECONDS = 3.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """How one instrument sounds."""

    slope: float = 1.2  # harmonic k has amplitude k ** -slope
    even: float = 1.0  # share of even harmonics
    bars: tuple[float, ...] = ()  # amplitudes of the first harmonics instead of the slope
    bump: tuple[float, float, float] = (0.0, 1.0, 0.0)  # body: centre in Hz, width in octaves, gain
    pluck: float = 0.0  # where the string is struck, as share of its length: 0.2 silences every fifth harmonic
    attack: float = 0.004  # seconds
    decay: float = 0.0  # seconds until the fundamental has fallen to 1/e; 0 = held
    damping: float = 1.0  # how much faster the upper harmonics fall
    swell: float = 0.0  # seconds by which the upper harmonics come later
    settle: float = 1.0  # share of the upper harmonics that stays in a held note, after 0.25 s
    detune: float = 0.0  # cents between three players; 0 = one
    vibrato: float = 0.0  # cents
    noise: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)  # level, low and high Hz, decay a second
    drive: float = 0.0  # overdrive


PATCHES = {
    ("bass", "finger"): Patch(slope=1.9, pluck=0.2, decay=1.0, damping=1.5, noise=(0.05, 500, 2000, 70)),
    ("bass", "pick"): Patch(slope=1.5, pluck=0.2, decay=0.8, damping=1.2, noise=(0.12, 1200, 4000, 90)),
    ("bass", "sub"): Patch(bars=(1.0, 0.22, 0.1, 0.03), attack=0.006, decay=2.2, damping=0.3),
    ("bass", "upright"): Patch(slope=2.1, pluck=0.2, decay=0.6, damping=2.0, attack=0.007, noise=(0.12, 300, 1400, 50)),
    ("keyboard", "piano"): Patch(
        slope=1.5, pluck=0.14, decay=0.9, damping=0.9, attack=0.002, noise=(0.10, 300, 1800, 60)
    ),
    ("keyboard", "epiano"): Patch(bars=(1.0, 0.25, 0.06, 0.2, 0.02, 0.01, 0.08), decay=1.1, damping=2.2, attack=0.003),
    ("keyboard", "organ"): Patch(bars=(0.9, 1.0, 0.6, 0.5, 0.0, 0.25, 0.0, 0.2), attack=0.008, vibrato=9),
    ("guitar", "nylon"): Patch(
        slope=1.3, pluck=0.2, decay=0.42, damping=1.5, attack=0.002, noise=(0.22, 900, 3000, 110)
    ),
    ("guitar", "steel"): Patch(
        slope=0.9, pluck=0.2, decay=0.5, damping=0.8, attack=0.0015, noise=(0.3, 2500, 6500, 130)
    ),
    ("guitar", "clean"): Patch(
        slope=1.1,
        pluck=0.2,
        bump=(1400, 0.7, 1.2),
        decay=0.4,
        damping=0.9,
        attack=0.0015,
        noise=(0.25, 2000, 5500, 140),
    ),
    ("guitar", "drive"): Patch(
        slope=0.75,
        pluck=0.2,
        bump=(1100, 0.9, 1.6),
        decay=1.2,
        damping=0.25,
        attack=0.003,
        noise=(0.2, 1500, 4500, 90),
        drive=1.8,
    ),
    ("strings", "section"): Patch(
        slope=1.25, bump=(1900, 0.6, 0.6), attack=0.11, swell=0.06, detune=9, vibrato=13, noise=(0.015, 2500, 6000, 0)
    ),
    ("strings", "solo"): Patch(
        slope=1.1, bump=(2600, 0.5, 1.0), attack=0.07, swell=0.04, vibrato=22, noise=(0.03, 2500, 6500, 0)
    ),
    ("synth", "saw"): Patch(slope=0.85, bump=(4300, 0.5, 1.2), attack=0.004, settle=0.7, detune=14),
    ("synth", "square"): Patch(slope=0.8, even=0.02, bump=(4600, 0.5, 1.0), attack=0.004, settle=0.75),
    ("synth", "pad"): Patch(slope=1.0, bump=(4000, 0.6, 0.9), attack=0.16, swell=0.35, detune=11),
    ("synth", "pluck"): Patch(slope=0.7, bump=(4600, 0.5, 1.0), attack=0.002, decay=0.22, damping=0.8, detune=10),
    ("brass", "trumpets"): Patch(
        bars=(0.7, 1.0, 1.0, 0.9, 0.8, 0.6, 0.5, 0.4, 0.28, 0.2, 0.14, 0.1),
        attack=0.028,
        swell=0.05,
        settle=0.8,
        detune=4,
        vibrato=5,
        noise=(0.03, 900, 2600, 30),
    ),
    ("brass", "horns"): Patch(
        bars=(0.8, 1.0, 0.9, 0.7, 0.45, 0.3, 0.18, 0.1, 0.06), attack=0.05, swell=0.09, settle=0.85, detune=4
    ),
    ("woodwinds", "flute"): Patch(bars=(1.0, 0.22, 0.07, 0.02), attack=0.045, vibrato=20, noise=(0.09, 2200, 7000, 0)),
    ("woodwinds", "clarinet"): Patch(
        bars=(1.0, 0.04, 0.5, 0.05, 0.28, 0.04, 0.1, 0.02, 0.05), attack=0.035, vibrato=7, noise=(0.05, 2000, 6000, 0)
    ),
}


def hertz_of(note: float) -> float:
    """The frequency of a MIDI note."""
    return float(440.0 * 2 ** ((note - 69) / 12))


def wave_table(amplitudes: NDArray[np.float64], first: int = 1) -> Sound:
    """One period whose harmonics, from number `first` on, have these amplitudes; spread phases lower the crest."""
    spectrum = np.zeros(TABLE // 2 + 1, np.complex128)
    orders = np.arange(first, first + len(amplitudes))
    spectrum[orders] = amplitudes * np.exp(1j * (orders * orders * 0.37 - np.pi / 2))
    return (np.fft.irfft(spectrum, TABLE) * (TABLE / 2)).astype(np.float32)


def _strengths(patch: Patch, hertz: float) -> NDArray[np.float64]:
    strength: NDArray[np.float64]
    orders = np.arange(1, max(1, min(48, int(10800 / hertz))) + 1)
    if patch.bars:
        strength = np.zeros(len(orders))
        strength[: len(patch.bars)] = patch.bars[: len(orders)]
    else:
        strength = orders.astype(np.float64) ** -patch.slope * np.where(orders % 2 == 0, patch.even, 1.0)
    if patch.pluck:
        strength = strength * (0.03 + np.abs(np.sin(np.pi * orders * patch.pluck)))
    centre, width, gain = patch.bump
    if gain:
        strength = strength * (1 + gain * np.exp(-((np.log2(orders * hertz / centre) / width) ** 2)))
    return np.asarray(strength)


@lru_cache(maxsize=700)
def tone(instrument: str, name: str, note: int) -> Sound:
    """A note as long as the instrument holds it, at unit loudness; players cut it to length."""
    patch, hertz = PATCHES[instrument, name], hertz_of(note)
    samples = int(RATE * (min(2.6, 4 * patch.decay) if patch.decay else SUSTAINED_SECONDS))
    seconds = np.arange(samples, dtype=np.float32) / np.float32(RATE)
    strength = _strengths(patch, hertz)
    groups = [strength[:2], strength[2:6], strength[6:]]
    envelopes = [_envelope(patch, seconds, order) for order in range(3)]
    tables = [wave_table(group, first) for group, first in zip(groups, (1, 3, 7), strict=True) if len(group)]
    players = ((-patch.detune, 0.0), (0.0, 0.3), (patch.detune, 0.7)) if patch.detune else ((0.0, 0.0),)
    sound = np.zeros(samples, np.float32)
    for cents, turn in players:
        place = _phase(patch, hertz * 2 ** (cents / 1200), seconds, turn)
        for table, envelope in zip(tables, envelopes, strict=False):
            sound += table[place] * envelope
    if patch.drive:
        sound = np.tanh(patch.drive * sound / np.float32(np.abs(sound).max() + 1e-9) * 2.0).astype(np.float32)
    start = sound[: int(0.4 * RATE)]
    sound /= np.float32(np.sqrt(np.mean(start * start)) + 1e-9)
    return sound + _breath(patch, seconds)


def _phase(patch: Patch, hertz: float, seconds: Sound, turn: float) -> NDArray[np.int64]:
    turns = seconds.astype(np.float64) * hertz + turn
    if patch.vibrato:
        speed = 5.1 + turn
        depth = hertz * (2 ** (patch.vibrato / 1200) - 1) / (2 * np.pi * speed)
        turns += depth * np.sin(2 * np.pi * speed * seconds) * np.minimum(1, seconds * 3)
    return (turns * TABLE).astype(np.int64) & (TABLE - 1)


def _envelope(patch: Patch, seconds: Sound, order: int) -> Sound:
    """Loudness over time of the lowest (0), middle (1) or upper (2) harmonics."""
    attack = patch.attack + patch.swell * order
    shape = np.minimum(np.float32(1), seconds / np.float32(attack))
    if patch.decay:
        shape = shape * np.exp(-seconds * np.float32((1 + patch.damping * order) / patch.decay))
    elif order and patch.settle < 1:
        shape = shape * (patch.settle + (1 - patch.settle) * np.exp(-seconds * np.float32(9)))
    return np.asarray(shape, np.float32)


def _breath(patch: Patch, seconds: Sound) -> Sound:
    """Noise of the finger or pick (it decays) or of breath and bow (it stays)."""
    level, low, high, decay = patch.noise
    if not level:
        return np.zeros(len(seconds), np.float32)
    noise = _air(low, high)[: len(seconds)] * np.float32(level)
    if decay:
        return np.asarray(6 * noise * np.exp(-seconds * np.float32(decay)), np.float32)
    return np.asarray(noise * np.minimum(1, seconds / np.float32(patch.attack)), np.float32)


@lru_cache(maxsize=32)
def _air(low: float, high: float) -> Sound:
    noise = band(np.random.default_rng(int(low + high)).standard_normal(int(RATE * SUSTAINED_SECONDS)), low, high)
    return np.asarray(noise / noise.std(), np.float32)
