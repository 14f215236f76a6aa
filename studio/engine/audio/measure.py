"""Measures finished audio: tempo, key, loudness, true peak, silence, clipping and transients. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from studio.engine.requests import MAX_BPM, MIN_BPM, parse_key_scale
from studio.errors import InvalidRequest

Samples = NDArray[np.float32]
Values = NDArray[np.float64]

ANALYSIS_RATE = 22050  # Hz; tempo and key need nothing above 11 kHz
HOP = 256  # samples at ANALYSIS_RATE between onset frames, 11.6 ms
SHORTEST = 2.0  # seconds; less holds too few beats or notes to name a tempo or a key
FLOOR = 10 ** (-60 / 20)  # -60 dBFS; quieter windows count as silence
FULL_SCALE = 1.0 - 2.0**-15  # the highest value 16-bit PCM can hold
PITCHES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
# Krumhansl & Kessler (1982), probe-tone ratings from the tonic upwards.
MAJOR = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
MINOR = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])


@dataclass(frozen=True, slots=True, kw_only=True)
class Tempo:
    """A tempo with how much of the rhythm repeats at it."""

    bpm: float  # beats a minute
    confidence: float  # 0..1: correlation of the onsets with themselves, a beat later

    @property
    def candidates(self) -> tuple[float, ...]:
        """Half, same and double tempo as far as a request may name them; a listener may tap any of these."""
        return tuple(round(bpm, 1) for bpm in (self.bpm / 2, self.bpm, self.bpm * 2) if MIN_BPM <= bpm <= MAX_BPM)

    def agrees(self, requested: float, tolerance: float = 0.04) -> bool:
        """Whether `requested` (beats a minute) is this tempo, its half or its double, within a relative tolerance."""
        return any(abs(bpm / requested - 1) <= tolerance for bpm in (self.bpm / 2, self.bpm, self.bpm * 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key scale with how clearly it beats the next best one."""

    scale: str  # "A minor"; always spelled with sharps
    confidence: float  # 0..1: margin between the two best correlations; 0 = could be either

    def agrees(self, requested: str) -> bool:
        """Whether `requested` names the same key, in any spelling ("Bb minor" is "A# minor")."""
        return _tonic_and_mode(requested) == _tonic_and_mode(self.scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What can be heard in a piece of audio, as numbers; None where it holds too little to tell."""

    duration: float  # seconds
    tempo: Tempo | None
    key: Key | None
    loudness: float | None  # LUFS, integrated
    true_peak: float | None  # dBTP
    silence: float  # 0..1: share of the time below -60 dBFS
    clipped: int  # samples at full scale
    transients: float  # sharp high-band onsets a second; drums make many

    @property
    def silent(self) -> bool:
        """Whether nothing can be heard at all."""
        return self.silence >= 1.0

    def as_row(self) -> Mapping[str, object]:
        """Return one flat JSON-ready mapping."""
        return {
            "duration": round(self.duration, 3),
            "bpm": self.tempo and round(self.tempo.bpm, 1),
            "bpm_confidence": self.tempo and round(self.tempo.confidence, 3),
            "bpm_candidates": list(self.tempo.candidates) if self.tempo else [],
            "key_scale": self.key and self.key.scale,
            "key_confidence": self.key and round(self.key.confidence, 3),
            "loudness_lufs": self.loudness and round(self.loudness, 2),
            "true_peak_dbtp": None if self.true_peak is None else round(self.true_peak, 2),
            "silence": round(self.silence, 4),
            "silent": self.silent,
            "clipped": self.clipped,
            "transients": round(self.transients, 2),
        }


def measure(audio: Samples, rate: int) -> Measurement:
    """Measure `audio` [channels, samples] at `rate` Hz.

    Raises InvalidRequest for anything but one to five channels of finite samples.
    """
    if audio.ndim != 2 or not 1 <= audio.shape[0] <= 5 or audio.shape[1] == 0:
        raise InvalidRequest("audio", "be 1 to 5 channels of at least one sample", audio.shape)
    if not np.isfinite(audio).all():
        raise InvalidRequest("audio", "hold finite samples only", "NaN or infinity")
    duration = audio.shape[1] / rate
    silence = silence_share(audio, rate)
    enough = duration >= SHORTEST and silence < 1.0
    mono = soxr.resample(audio.mean(axis=0), rate, ANALYSIS_RATE) if enough else None
    return Measurement(
        duration=duration,
        tempo=None if mono is None else tempo(mono),
        key=None if mono is None else key(mono),
        loudness=loudness(audio, rate),
        true_peak=true_peak(audio, rate),
        silence=silence,
        clipped=int(np.count_nonzero(np.abs(audio) >= FULL_SCALE)),
        transients=transient_rate(audio, rate),
    )


def tempo(mono: Samples) -> Tempo | None:
    """Return the tempo of `mono` [samples] at ANALYSIS_RATE, or None when it holds no onsets.

    A beat repeats: the autocorrelation of the onset strength is averaged over one to four beats for every tempo of a
    fine grid and weighted by a wide log-normal preference around 120 bpm (Ellis 2007, "Beat tracking by dynamic
    programming").
    """
    import librosa

    strength: Values = librosa.onset.onset_strength(y=mono, sr=ANALYSIS_RATE, hop_length=HOP).astype(np.float64)
    strength -= strength.mean()
    power = float(strength @ strength)
    if power < 1e-9:
        return None
    spectrum = np.fft.rfft(strength, 2 * strength.size)
    overlap = strength.size / np.arange(strength.size, 0, -1)  # long lags see fewer frames; don't punish slow tempi
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)[: strength.size] / power * overlap
    grid = np.geomspace(MIN_BPM, MAX_BPM, 1200)
    beat = 60.0 * ANALYSIS_RATE / HOP / grid  # frames
    lags = np.arange(1, 5)[:, None] * beat[None, :]
    heard = lags < strength.size * 0.75
    comb = np.where(heard, np.interp(lags, np.arange(strength.size), correlation), 0.0)
    score = comb.sum(axis=0) / np.maximum(heard.sum(axis=0), 1)
    best = int(np.argmax(score * np.exp(-0.5 * (np.log2(grid / 120.0) / 1.0) ** 2)))
    return Tempo(bpm=float(grid[best]), confidence=float(np.clip(score[best], 0.0, 1.0)))


def key(mono: Samples) -> Key | None:
    """Return the key of `mono` [samples] at ANALYSIS_RATE by the Krumhansl-Schmuckler method, or None without pitch."""
    import librosa

    chroma = librosa.feature.chroma_cqt(y=mono, sr=ANALYSIS_RATE, norm=None).mean(axis=1)
    if chroma.std() < 1e-9:
        return None
    scores = {
        f"{pitch} {mode}": float(np.corrcoef(chroma, np.roll(profile, step))[0, 1])
        for step, pitch in enumerate(PITCHES)
        for mode, profile in (("major", MAJOR), ("minor", MINOR))
    }
    first, second = sorted(scores, key=scores.__getitem__, reverse=True)[:2]
    return Key(scale=first, confidence=min(1.0, scores[first] - scores[second]))


def loudness(audio: Samples, rate: int) -> float | None:
    """Return the integrated loudness of `audio` [channels, samples] in LUFS (ITU-R BS.1770-4).

    None when it is shorter than one 400 ms block or never passes the absolute gate of -70 LUFS.
    """
    import pyloudnorm

    meter = pyloudnorm.Meter(rate)
    if audio.shape[1] < meter.block_size * rate:
        return None
    with np.errstate(divide="ignore"):  # blocks of digital silence are -inf and gated away
        level = float(meter.integrated_loudness(audio.T.astype(np.float64)))
    return level if math.isfinite(level) else None


def true_peak(audio: Samples, rate: int) -> float | None:
    """Return the true peak of `audio` [channels, samples] in dBTP: 4x oversampled (ITU-R BS.1770-4, annex 2).

    None for digital silence. Works in blocks, so ten minutes need no gigabyte.
    """
    stream = soxr.ResampleStream(rate, 4 * rate, audio.shape[0], dtype="float32", quality="VHQ")
    frames = np.ascontiguousarray(audio.T, dtype=np.float32)
    peak, block = 0.0, 1 << 18
    for start in range(0, frames.shape[0], block):
        chunk = stream.resample_chunk(frames[start : start + block], last=start + block >= frames.shape[0])
        peak = max(peak, float(np.abs(chunk).max(initial=0.0)))
    # Some filters round a lone full-scale sample down; the samples themselves are the floor.
    peak = max(peak, float(np.abs(audio).max()))
    return 20 * math.log10(peak) if peak > 0 else None


def silence_share(audio: Samples, rate: int) -> float:
    """Return the share (0..1) of 50 ms windows of `audio` [channels, samples] whose peak is below -60 dBFS."""
    window = max(1, rate // 20)
    peaks = np.maximum.reduceat(np.abs(audio).max(axis=0), np.arange(0, audio.shape[1], window))
    return float(np.mean(peaks < FLOOR))


def transient_rate(audio: Samples, rate: int, low: float = 4000.0, rise: float = 9.0) -> float:
    """Return how often a second the band above `low` Hz of `audio` [channels, samples] jumps by `rise` dB or more.

    Sticks and skins reach that band at once; strings, pads and voices hardly do. Jumps within 60 ms are one, and
    anything 50 dB below the loudest frame of the whole piece is no jump.
    """
    size, hop = rate // 50, rate // 100  # 20 ms windows every 10 ms
    mono: Samples = audio.mean(axis=0)
    if mono.size < 8 * hop:
        return 0.0
    frames = np.lib.stride_tricks.sliding_window_view(mono, size)[::hop]
    full, band = _energies(frames, int(low * size / rate))
    ground = float(full.max()) * 10 ** (-50 / 10)
    if ground == 0:
        return 0.0
    level: Values = 10 * np.log10(band + ground)
    before = np.minimum(np.minimum(level[:-3], level[1:-2]), level[2:-1])
    jumps = np.flatnonzero(level[3:] - before >= rise)
    apart = np.diff(jumps, prepend=-100) > 6
    return float(np.count_nonzero(apart)) / (mono.size / rate)


def _energies(frames: Samples, low: int) -> tuple[Values, Values]:
    """Return the energy of each of `frames` [F, samples], and that from bin `low` up, 4096 frames at a time."""
    window = np.hanning(frames.shape[1])
    full, band = np.empty(len(frames)), np.empty(len(frames))
    for start in range(0, len(frames), 4096):
        part = slice(start, start + 4096)
        energy = np.abs(np.fft.rfft(frames[part] * window, axis=1)) ** 2
        full[part], band[part] = energy.sum(axis=1), energy[:, low:].sum(axis=1)
    return full, band


def _tonic_and_mode(text: str) -> tuple[int, str]:
    name, mode = parse_key_scale(text).split()
    step = {"#": 1, "♯": 1, "b": -1, "♭": -1}.get(name[1:], 0)
    return (PITCHES.index(name[0]) + step) % 12, mode
