"""Drums, percussion and effects: strokes as mono float32 at unit velocity, each in a band of its own.

A kick lives below 120 Hz, snares and claps burst from 1 to 6 kHz, hats and cymbals stay above 6 kHz, so that the nine
noise bands of the spectral autoencoder keep them apart.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RATE = 24000
Sound = NDArray[np.float32]
Values = NDArray[np.float64]
KITS = 4

LENGTHS = {  # seconds
    "kick": 0.28,
    "snare": 0.24,
    "ghost": 0.12,
    "clap": 0.22,
    "rim": 0.06,
    "hat": 0.09,
    "open": 0.26,
    "ride": 0.34,
    "brush": 0.16,
    "tom high": 0.28,
    "tom low": 0.34,
    "crash": 1.2,
    "shaker": 0.08,
    "tambourine": 0.14,
    "conga high": 0.18,
    "conga low": 0.24,
    "clave": 0.07,
    "cowbell": 0.22,
    "timpani": 0.8,
    "triangle": 0.5,
    "impact": 1.6,
    "sparkle": 0.9,
    "zap": 0.35,
}


@lru_cache(maxsize=400)
def hit(name: str, kit: int, tonic: int | None = None) -> Sound:
    """One stroke; `kit` picks a variant, and drums with a pitch are tuned to the key whose tonic is given."""
    rng = np.random.default_rng((kit, sum(map(ord, name))))
    seconds = np.arange(int(RATE * LENGTHS[name])) / RATE
    noise = rng.standard_normal(len(seconds))
    if name in TUNED:
        usual, body = TUNED[name]
        sound = body(seconds, noise, kit, _in_key(usual, tonic) if tonic is not None else usual)
    else:
        sound = BODIES[name](seconds, noise, kit)
    fade = min(len(sound), 240)
    sound[-fade:] *= np.linspace(1, 0, fade)
    return sound.astype(np.float32)


def _in_key(hertz: float, tonic: int) -> float:
    """The tonic or fifth of a key nearest to a pitch, so that no skin plays against the harmony."""
    near = []
    for step in (tonic, tonic + 7):
        pitch = 440 * 2 ** ((step - 9) / 12)
        near.append(pitch * 2 ** round(float(np.log2(hertz / pitch))))
    tonic_first = (0.0, 0.15)  # octaves: the fifth must be that much nearer
    distances = [abs(np.log2(pitch / hertz)) + extra for pitch, extra in zip(near, tonic_first, strict=True)]
    return float(near[int(np.argmin(distances))])


def _sine(seconds: Values, hertz: float, fall: float = 0.0, speed: float = 30.0) -> Values:
    """A sine that starts higher and settles on `hertz`; `fall` is the number of extra turns."""
    return np.asarray(np.sin(2 * np.pi * (hertz * seconds + fall * (1 - np.exp(-speed * seconds)))))


def band(noise: Values, low: float, high: float) -> Values:
    """Noise between two frequencies, with steep edges."""
    spectrum = np.fft.rfft(noise)
    hertz = np.fft.rfftfreq(len(noise), 1 / RATE)
    keep = 1 / (1 + (low / np.maximum(hertz, 1)) ** 8) / (1 + (hertz / high) ** 16)
    return np.asarray(np.fft.irfft(spectrum * np.sqrt(keep), len(noise)))


def _clap(t: Values, noise: Values, kit: int) -> Values:
    bursts = sum(np.exp(-(((t - start) / 0.003) ** 2)) for start in (0.003, 0.012, 0.021))
    tail = np.exp(-np.maximum(0, t - 0.02) * (26 + 2 * kit))
    return np.asarray(0.95 * band(noise, 1000, 4500) * (0.7 * bursts + tail))


def _cowbell(t: Values, noise: Values, kit: int) -> Values:
    return 0.5 * (_sine(t, 562 + 10 * kit) + _sine(t, 845 + 10 * kit)) * np.exp(-t * 18)


def _sparkle(t: Values, noise: Values, kit: int) -> Values:
    """A rush of small bells from high to higher."""
    sound = np.zeros(len(t))
    for index in range(14):
        start = int(index * 0.045 * RATE)
        rest = t[: len(t) - start]
        sound[start:] += 0.3 * _sine(rest, 2600 + 310 * ((index * (5 + kit)) % 14)) * np.exp(-rest * 14)
    return sound


BODIES: dict[str, Callable[[Values, Values, int], Values]] = {
    "snare": lambda t, n, k: (
        0.9 * band(n, 1000, 6500) * np.exp(-t * (20 + 2 * k)) + 0.45 * _sine(t, 180 + 12 * k, 0.6) * np.exp(-t * 26)
    ),
    "ghost": lambda t, n, k: 0.5 * band(n, 1200, 6000) * np.exp(-t * 45),
    "clap": _clap,
    "rim": lambda t, n, k: 0.8 * (band(n, 1400, 4500) + _sine(t, 1720 + 60 * k)) * np.exp(-t * 95),
    "hat": lambda t, n, k: 0.62 * band(n, 6800, 11600) * np.exp(-t * (62 + 6 * k)),
    "open": lambda t, n, k: 0.52 * band(n, 6300, 11600) * np.exp(-t * 13),
    "ride": lambda t, n, k: (
        0.5 * band(n, 6200, 11000) * (0.65 * np.exp(-t * 40) + 0.35 * np.exp(-t * 9))
        + 0.05 * _sine(t, 6450) * np.exp(-t * 9)
    ),
    "brush": lambda t, n, k: 0.55 * band(n, 1500, 6500) * np.exp(-t * 22) * np.minimum(1, t * 150),
    "crash": lambda t, n, k: 0.5 * band(n, 4500, 11600) * np.exp(-t * 3.6),
    "shaker": lambda t, n, k: 0.42 * band(n, 5500, 10500) * np.sin(np.pi * np.minimum(1, t / 0.07)),
    "tambourine": lambda t, n, k: (
        0.42 * band(n, 7000, 11500) * (np.exp(-t * 30) + 0.5 * np.exp(-np.abs(t - 0.04) * 120))
    ),
    "clave": lambda t, n, k: 0.9 * _sine(t, 2350 + 120 * k) * np.exp(-t * 70),
    "cowbell": _cowbell,
    "triangle": lambda t, n, k: 0.3 * (_sine(t, 5120) + 0.6 * _sine(t, 7930)) * np.exp(-t * 7),
    "impact": lambda t, n, k: 1.2 * _sine(t, 38, 2.5, 9) * np.exp(-t * 3) + 0.5 * band(n, 200, 5000) * np.exp(-t * 5),
    "sparkle": _sparkle,
    "zap": lambda t, n, k: (
        0.6 * np.sin(2 * np.pi * (260 * t + (150 + 30 * k) * (1 - np.exp(-14 * t)))) * np.exp(-t * 7)
    ),
}


def _skin(t: Values, noise: Values) -> Values:
    return band(noise, 900, 4000) * np.exp(-t * 90)


def _kick(t: Values, noise: Values, kit: int, hertz: float) -> Values:
    body = 1.35 * _sine(t, hertz, 2.2, 38) * np.exp(-t * (11 + kit))
    return np.asarray(body + 0.12 * band(noise, 800, 3000) * np.exp(-t * 300))


def _drum(decay: float, fall: float, skin: float) -> Callable[[Values, Values, int, float], Values]:
    """A skin with a pitch that falls by `fall` turns."""

    def body(t: Values, noise: Values, kit: int, hertz: float) -> Values:
        tones = _sine(t, hertz, fall, 21) + 0.2 * _sine(t, 1.5 * hertz)
        return np.asarray(tones * np.exp(-t * (decay + kit)) + skin * _skin(t, noise))

    return body


# Usual pitch in Hz; the song's tonic or fifth near it is played.
TUNED: dict[str, tuple[float, Callable[[Values, Values, int, float], Values]]] = {
    "kick": (50.0, _kick),
    "tom high": (150.0, _drum(11, 1.4, 0.15)),
    "tom low": (98.0, _drum(9, 1.4, 0.15)),
    "conga high": (350.0, _drum(22, 0.3, 0.3)),
    "conga low": (200.0, _drum(16, 0.3, 0.25)),
    "timpani": (85.0, _drum(4.5, 0.3, 0.2)),
}


@lru_cache(maxsize=128)
def sweep(tenths: int, rising: bool) -> Sound:
    """Noise that rises (or falls) in pitch and level for `tenths` tenths of a second; effects before a new section."""
    samples = tenths * RATE // 10
    noise = np.random.default_rng(tenths).standard_normal(samples)
    place = np.linspace(0, 1, samples) if rising else np.linspace(1, 0, samples)
    sound = np.zeros(samples)
    for index, centre in enumerate((500, 900, 1600, 2900, 5200, 9000)):
        window = np.exp(-(((place - index / 5) / 0.16) ** 2))
        sound += band(noise, centre / 1.35, min(centre * 1.35, 11500)) * window / np.sqrt(centre / 500)
    shape = place**1.2 if rising else place**2
    sound *= (0.1 + shape) * np.minimum(1, np.linspace(0, samples / 480, samples))
    sound[-240:] *= np.linspace(1, 0, 240)
    return (0.9 * sound).astype(np.float32)
