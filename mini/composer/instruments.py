"""The sounds: additive tones, formant voices and drums, all mono float32 at unit velocity."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RATE = 24000
Sound = NDArray[np.float32]

# Per instrument: harmonic roll-off, share of even harmonics, seconds of attack, decay seconds of the fundamental
# (0 = sustained), how much faster each harmonic decays, vibrato depth in semitones.
VOICES: dict[str, tuple[float, float, float, float, float, float]] = {
    "bass": (1.3, 1.0, 0.004, 0.9, 0.5, 0.0),
    "keyboard": (1.4, 1.0, 0.003, 0.8, 0.35, 0.0),
    "guitar": (1.1, 0.9, 0.002, 0.45, 0.25, 0.0),
    "strings": (1.1, 1.0, 0.09, 0.0, 0.0, 0.1),
    "synth": (0.9, 1.0, 0.008, 0.0, 0.0, 0.0),
    "brass": (0.7, 1.0, 0.035, 0.0, 0.0, 0.05),
    "woodwinds": (2.0, 0.6, 0.04, 0.0, 0.0, 0.15),
}
FORMANTS = {
    "a": ((730, 90, 1.0), (1090, 110, 0.5), (2440, 160, 0.2)),
    "e": ((530, 80, 1.0), (1840, 120, 0.4), (2480, 160, 0.2)),
    "i": ((300, 60, 1.0), (2290, 140, 0.3), (3010, 180, 0.2)),
    "o": ((570, 80, 1.0), (840, 90, 0.5), (2410, 160, 0.1)),
    "u": ((330, 60, 1.0), (870, 90, 0.3), (2240, 160, 0.1)),
}


@lru_cache(maxsize=4000)
def tone(instrument: str, note: int, samples: int, vowel: str = "a") -> Sound:
    """One note of a pitched instrument or the voice."""
    hertz = 440.0 * 2 ** ((note - 69) / 12)
    orders = np.arange(1, max(2, min(24, int(RATE * 0.42 / hertz)) + 1))
    seconds = np.arange(samples, dtype=np.float32) / RATE
    if instrument == "vocals":
        strength, attack, decay, damping, vibrato = _vowel(hertz * orders, vowel), 0.04, 0.0, 0.0, 0.2
    else:
        slope, odd, attack, decay, damping, vibrato = VOICES[instrument]
        strength = orders**-slope * np.where(orders % 2 == 0, odd, 1.0)
    bend = 1.0 + vibrato * 0.0578 * np.sin(2 * np.pi * 5.2 * seconds) * np.minimum(1, seconds * 3) / (5.2 * 2 * np.pi)
    phase = (2 * np.pi * hertz * seconds * bend if vibrato else 2 * np.pi * hertz * seconds).astype(np.float32)
    waves = np.sin(orders[:, None].astype(np.float32) * phase + (orders[:, None] * 2.4 % 6.28).astype(np.float32))
    if decay:
        rates = ((1 + damping * (orders - 1)) / decay).astype(np.float32)
        waves *= np.exp(-rates[:, None] * seconds)
    sound = strength.astype(np.float32) @ waves / np.sqrt((strength**2).sum())
    return (sound * _envelope(samples, attack)).astype(np.float32)


def _vowel(hertz: NDArray[np.float64], vowel: str) -> NDArray[np.float64]:
    peaks = [gain / (1 + ((hertz - centre) / width) ** 2) for centre, width, gain in FORMANTS[vowel]]
    return np.sum(peaks, axis=0) + 0.02


def _envelope(samples: int, attack: float, release: float = 0.04) -> Sound:
    shape = np.ones(samples, np.float32)
    rise, fall = min(samples, max(1, int(attack * RATE))), min(samples, int(release * RATE))
    shape[:rise] *= np.linspace(0, 1, rise, dtype=np.float32)
    shape[samples - fall :] *= np.linspace(1, 0, fall, dtype=np.float32)
    return shape


@lru_cache(maxsize=64)
def hit(name: str, kit: int) -> Sound:
    """One drum or percussion stroke; `kit` picks a variant."""
    rng = np.random.default_rng((kit, sum(map(ord, name))))
    length = {
        "kick": 0.28,
        "snare": 0.22,
        "clap": 0.2,
        "hat": 0.07,
        "open": 0.22,
        "ride": 0.3,
        "brush": 0.16,
        "tom": 0.3,
        "crash": 0.9,
        "shaker": 0.06,
        "conga": 0.2,
        "timpani": 0.6,
    }[name]
    seconds = np.arange(int(RATE * length)) / RATE
    noise = rng.standard_normal(len(seconds))
    bodies = {
        "kick": lambda: (
            np.sin(2 * np.pi * ((46 + 4 * kit) * seconds + 3.5 * (1 - np.exp(-30 * seconds))))
            * np.exp(-seconds * 12)
            * 1.3
            + 0.2 * noise * np.exp(-seconds * 250)
        ),
        "snare": lambda: (
            0.6 * _band(noise, 900, 9000) * np.exp(-seconds * 18)
            + 0.5 * np.sin(2 * np.pi * (180 + 10 * kit) * seconds) * np.exp(-seconds * 25)
        ),
        "clap": lambda: _band(noise, 900, 3500) * np.exp(-seconds * 24),
        "hat": lambda: 0.45 * _band(noise, 6500, 12000) * np.exp(-seconds * (60 + 5 * kit)),
        "open": lambda: 0.4 * _band(noise, 6000, 12000) * np.exp(-seconds * 14),
        "ride": lambda: 0.3 * _band(noise, 5000, 11000) * np.exp(-seconds * 12),
        "brush": lambda: 0.3 * _band(noise, 1800, 7000) * np.exp(-seconds * 18),
        "tom": lambda: np.sin(2 * np.pi * (100 * seconds + 2 * (1 - np.exp(-20 * seconds)))) * np.exp(-seconds * 10),
        "crash": lambda: 0.4 * _band(noise, 3500, 12000) * np.exp(-seconds * 4),
        "shaker": lambda: 0.35 * _band(noise, 5000, 11000) * np.sin(np.pi * seconds / length),
        "conga": lambda: (
            np.sin(2 * np.pi * (220 + 40 * kit) * seconds) * np.exp(-seconds * 20) * 0.8
            + 0.1 * _band(noise, 1500, 5000) * np.exp(-seconds * 60)
        ),
        "timpani": lambda: np.sin(2 * np.pi * 82 * seconds) * np.exp(-seconds * 5),
    }
    return bodies[name]().astype(np.float32)


def _band(noise: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(noise)
    hertz = np.fft.rfftfreq(len(noise), 1 / RATE)
    keep = 1 / (1 + (low / np.maximum(hertz, 1)) ** 6) / (1 + (hertz / high) ** 12)
    return np.fft.irfft(spectrum * np.sqrt(keep), len(noise))
