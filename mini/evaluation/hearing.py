"""How the evaluation hears a piece: the studio's own measures, drums by three bands, onsets, chroma and bands.

Audio is `[2, samples]` at 24 kHz, the composer's rate; frames are 40 ms, as the models' own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mini.composer.kit import RATE
from studio.engine.audio.measure import MAJOR, MINOR, Measurement, measure

Audio = NDArray[np.float32]
Values = NDArray[np.float64]

HOP = 960  # samples a frame
QUIET = 60.0  # dB below the loudest band; less counts as silence in a mel distance
SMALLEST = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One piece of audio as the estimators hear it."""

    facts: Measurement
    low: float  # share of the energy below 120 Hz, dB: high with a kick drum
    hits: float  # how much of the energy comes in short bursts, dB: high with drums

    def plays(self, bpm: float, *factors: float) -> bool:
        """Whether the heard tempo times one of `factors` is within 4 % of `bpm`."""
        tempo = self.facts.tempo
        return tempo is not None and any(abs(tempo.bpm * factor / bpm - 1) <= 0.04 for factor in factors)

    def is_in(self, key_scale: str) -> bool:
        """Whether the heard key is exactly this one."""
        return self.facts.key is not None and self.facts.key.agrees(key_scale)


def listen(audio: Audio) -> Heard:
    """Measure one piece."""
    mono = audio.mean(0)
    return Heard(facts=measure(audio, RATE), low=low_level(mono), hits=burst_level(mono))


def low_level(mono: Audio) -> float:
    """Energy below 120 Hz over all energy, in dB."""
    power = np.abs(np.fft.rfft(mono)) ** 2
    return float(10 * np.log10((power[: int(120 * len(mono) / RATE)].sum() + SMALLEST) / (power.sum() + SMALLEST)))


def burst_level(mono: Audio) -> float:
    """Energy above 2 kHz in the loudest tenth of 20 ms windows over the median window, in dB."""
    size = RATE // 50
    windows = mono[: len(mono) // size * size].reshape(-1, size) * np.hanning(size)
    high = (np.abs(np.fft.rfft(windows)) ** 2)[:, int(2000 * size / RATE) :].sum(1) + SMALLEST
    ordered = np.sort(high)
    return float(10 * np.log10(ordered[-len(ordered) // 10 :].mean() / np.median(ordered)))


def bands(audio: Audio, count: int, size: int = 2048, hop: int = HOP) -> Values:
    """Magnitudes of mel bands `[count, frames]`; windows of 85 ms every 40 ms if nothing else is said."""
    import librosa

    power = librosa.feature.melspectrogram(y=audio.mean(0), sr=RATE, n_fft=size, hop_length=hop, n_mels=count)
    return np.sqrt(np.asarray(power, np.float64))


def mel_distance(one: Audio, other: Audio) -> float:
    """Mean difference of 64 mel bands every 11 ms in dB; what is 60 dB below the loudest band of `one` is silence.

    The same definition as that of the figures in docs/decisions/0008-spectral-autoencoder.md.
    """
    first, second = (bands(audio, 64, 1024, 256) for audio in (one, other))
    floor = max(float(first.max()) * 10 ** (-QUIET / 20), SMALLEST)
    return float(20 * np.abs(np.log10(np.maximum(first, floor) / np.maximum(second, floor))).mean())


def onsets(audio: Audio) -> Values:
    """Onset strength every 20 ms, smoothed over 60 ms so that a hit may be a little early or late."""
    import librosa

    strength = librosa.onset.onset_strength(y=audio.mean(0), sr=RATE, hop_length=HOP // 2, n_fft=1024)
    return np.convolve(strength.astype(np.float64), [0.25, 0.5, 0.25], mode="same")


def chroma(audio: Audio) -> Values:
    """Energy of the twelve pitch classes `[12, frames]`."""
    import librosa

    power = librosa.feature.chroma_stft(y=audio.mean(0), sr=RATE, n_fft=8192, hop_length=HOP, tuning=0.0, norm=None)
    return np.asarray(power, np.float64)


def onset_likeness(one: Audio, other: Audio) -> float:
    """Correlation of two pieces' onset strengths."""
    return correlation(onsets(one), onsets(other))


def chroma_likeness(one: Audio, other: Audio) -> float:
    """Correlation of how two pieces' pitch classes move in time; a common key alone counts nothing.

    Each frame is scaled to its loudest class and each class has its mean over time taken away.
    """
    shapes = []
    for audio in (one, other):
        classes = chroma(audio)
        classes = classes / (classes.max(0, keepdims=True) + SMALLEST)
        shapes.append(classes - classes.mean(1, keepdims=True))
    return correlation(*shapes)


def correlation(one: Values, other: Values) -> float:
    """Pearson correlation of two arrays cut to the shorter one's frames; 0 where either is constant."""
    frames = min(one.shape[-1], other.shape[-1])
    first, second = (part[..., :frames] - part[..., :frames].mean() for part in (one, other))
    scale = float(np.sqrt(np.square(first).sum() * np.square(second).sum()))
    return float((first * second).sum()) / scale if scale > SMALLEST else 0.0


def key_lean(audio: Audio, wanted: tuple[int, bool], instead: tuple[int, bool]) -> float:
    """By how much a piece sounds more like one key than another: difference of Krumhansl correlations.

    A key is its tonic in semitones above C and whether it is minor.
    """
    mean = chroma(audio).mean(1)
    wanted_fit, other_fit = (
        correlation(mean, np.roll(MINOR if minor else MAJOR, tonic)) for tonic, minor in (wanted, instead)
    )
    return wanted_fit - other_fit


def signal_ratio(estimate: Values, true: Values) -> float:
    """Scale-invariant signal to distortion ratio in dB (Le Roux et al. 2019), of arrays of one shape.

    Given samples it is the SI-SDR; given band magnitudes it asks the same of the bands and ignores phases.
    """
    scale = float((estimate * true).sum()) / (float(np.square(true).sum()) + SMALLEST)
    target = scale * true
    noise = float(np.square(estimate - target).sum())
    return float(10 * np.log10((float(np.square(target).sum()) + SMALLEST) / (noise + SMALLEST)))
