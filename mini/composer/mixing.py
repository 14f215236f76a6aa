"""From players to a mix: balance, a light reverb inside each stem, and stems that add up exactly."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import scipy.fft  # type: ignore[import-untyped]  # scipy ships no types
from numpy.typing import NDArray

from mini.composer.kit import RATE, Sound, band
from mini.composer.song import Song

Stems = dict[str, NDArray[np.float32]]

LEVELS = {  # dB of the loud parts of each stem against the others
    "drums": 0.0,
    "percussion": -7.0,
    "bass": -3.5,
    "keyboard": -6.0,
    "guitar": -6.0,
    "strings": -7.0,
    "synth": -7.5,
    "brass": -7.0,
    "woodwinds": -8.0,
    "fx": -8.0,
    "vocals": -2.0,
    "backing_vocals": -8.0,
}
LEAD_DB = 2.5
SENDS = {
    "percussion": 0.1,
    "keyboard": 0.14,
    "guitar": 0.1,
    "strings": 0.3,
    "synth": 0.14,
    "brass": 0.2,
    "woodwinds": 0.25,
    "fx": 0.2,
    "vocals": 0.16,
    "backing_vocals": 0.3,
}
ROOMS = {"ambient": 1.7, "orchestral": 1.6, "waltz": 1.3, "ballad": 1.3, "electronic": 0.9, "funk": 0.5, "hip hop": 0.6}
HIGH = 2000.0  # Hz; above it drums carry at least this share of the energy of the mix, as far as their level may move
DRUM_SHARE, DRUM_RANGE = 0.4, (0.8, 2.2)
LOUDNESS, PEAK = 0.13, 0.95  # root mean square and highest sample of the mix
GRID = np.float32(2.0**22)  # stems lie on multiples of 2 ** -22, so that any sum of them is exact in float32
REVERB = 12000  # samples
BLOCK = 1 << 15


def mix(song: Song, stems: Stems, lead: str) -> tuple[Stems, NDArray[np.float32]]:
    """Balance the raw `stems` `[2, S]`, add their reverb, and sum them; both results peak below full scale."""
    wet = ROOMS.get(song.genre, 1.0)
    for track in stems:
        level = LEVELS[track] + (LEAD_DB if track == lead and track != "vocals" else 0.0)
        stems[track] *= np.float32(10 ** (level / 20) / (_loud(stems[track]) + 1e-9))
        if track in SENDS:
            stems[track] += _reverb(stems[track], SENDS[track] * wet)
    if "drums" in stems and len(stems) > 1:
        stems["drums"] *= np.float32(_drum_gain(stems))
    total = np.sum(list(stems.values()), axis=0)
    rms, peak = float(np.sqrt(np.mean(total * total))), float(np.abs(total).max())
    scale = np.float32(min(LOUDNESS / (rms + 1e-9), (PEAK - 0.01) / (peak + 1e-9)))
    stems = {track: np.rint(stem * (scale * GRID)) / GRID for track, stem in stems.items()}
    return stems, np.sum(list(stems.values()), axis=0, dtype=np.float32)


def _blocks(sound: Sound, size: int) -> NDArray[np.float32]:
    return sound[: len(sound) // size * size].reshape(-1, size)


def _loud(stem: NDArray[np.float32]) -> float:
    """Root mean square of the loudest third of the windows of a tenth of a second."""
    energy = sum(np.einsum("bs,bs->b", *(2 * (_blocks(side, 2400),))) for side in stem) / 4800
    energy = np.sort(energy)
    return float(np.sqrt(np.mean(energy[-max(1, len(energy) // 3) :]))) if len(energy) else 0.0


def _high(stem: NDArray[np.float32]) -> float:
    """Energy above HIGH, from every second stretch of 1024 samples."""
    size = 1024
    frames = _blocks(stem[0] + stem[1], size)[::2] * np.hanning(size).astype(np.float32)
    spectrum = scipy.fft.rfft(frames, axis=1)[:, int(HIGH * size / RATE) :]
    return float(np.sum(spectrum.real**2 + spectrum.imag**2))


def _drum_gain(stems: Stems) -> float:
    drums = _high(stems["drums"])
    others = sum(_high(stem) for track, stem in stems.items() if track != "drums")
    wanted = np.sqrt(DRUM_SHARE / (1 - DRUM_SHARE) * others / (drums + 1e-9))
    return float(np.clip(wanted, *DRUM_RANGE))


@lru_cache(maxsize=1)
def _room() -> NDArray[np.complex64]:
    """Spectra of the left and right impulse response: half a second of noise that darkens."""
    rng = np.random.default_rng(11)
    seconds = np.arange(REVERB) / RATE
    sides = []
    for _ in range(2):
        noise = rng.standard_normal(REVERB)
        response = band(noise, 250, 2500) * np.exp(-seconds * 9) + band(noise, 2500, 7000) * np.exp(-seconds * 17)
        response[: int(0.008 * RATE)] = 0
        sides.append(response / np.sqrt((response**2).sum()))
    return np.asarray(scipy.fft.rfft(np.array(sides, np.float32), BLOCK, axis=1), np.complex64)


def _reverb(stem: NDArray[np.float32], amount: float) -> NDArray[np.float32]:
    """The room's answer to a stem `[2, S]`, of the same length."""
    samples = stem.shape[1]
    step = BLOCK - REVERB
    count = -(-samples // step)
    dry = np.zeros(count * step, np.float32)
    dry[:samples] = (stem[0] + stem[1]) * np.float32(amount / 2)
    spectra = scipy.fft.rfft(dry.reshape(count, step), BLOCK, axis=1)
    wet = np.zeros((2, (count + 1) * step), np.float32)
    for side, response in enumerate(_room()):
        pieces = scipy.fft.irfft(spectra * response, BLOCK, axis=1)
        wet[side, : count * step] += pieces[:, :step].ravel()
        tails = wet[side, step:].reshape(count, step)
        tails[:, :REVERB] += pieces[:, step:]
    return wet[:, :samples]
