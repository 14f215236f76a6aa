"""A spectral autoencoder: 64 numbers a frame that a small model can learn and a listener can hear in tune.

The analysis measures, 25 times a second, how loud each semitone is, how bright the sustained sound is, how loud nine
bands of short noise are, where in the frame a hit falls, and how wide the stereo image is. The synthesis plays those
numbers back on a bank of oscillators with fixed pitches (so chords hold their tuning), harmonics shaped to the measured
brightness, and noise. Nothing is learned except the mean and spread of each number. Phases follow absolute time, so a
decode in tiles equals a decode in one piece.
"""

from studio.engine.spectral.autoencoder import SpectralAutoencoder

__all__ = ["SpectralAutoencoder"]
