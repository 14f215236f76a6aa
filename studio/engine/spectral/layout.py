"""What each of the 64 latents of a frame stands for."""

from __future__ import annotations

FLOOR = 1e-6  # energies below this count as silence (-60 dB)
LOWEST = 33  # MIDI number of the first semitone latent: A1, 55 Hz
SEMITONES = 48
BRIGHT_EDGES = (830.0, 1600.0, 3200.0, 6400.0)  # Hz
NOISE_EDGES = (0.0, 120.0, 300.0, 700.0, 1500.0, 3000.0, 5000.0, 7000.0, 9500.0, 12000.0)  # Hz
SLOTS = 4  # parts of a frame that noise resolves
SHORT = 512  # samples, window of the noise analysis and synthesis
BRIGHT = slice(SEMITONES, SEMITONES + len(BRIGHT_EDGES) - 1)
NOISE = slice(BRIGHT.stop, BRIGHT.stop + len(NOISE_EDGES) - 1)
POSITION, PEAK, TONE_WIDTH, NOISE_WIDTH = range(NOISE.stop, NOISE.stop + 4)
LATENTS = NOISE.stop + 4


def hertz_of(note: float) -> float:
    """Return the frequency of a MIDI note number in equal temperament, A4 = 440 Hz."""
    return float(440.0 * 2 ** ((note - 69) / 12))
