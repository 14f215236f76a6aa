"""Who plays? A linear reader for each of the twelve tracks, fitted to the composer's songs.

It reads statistics over time of what the spectral analysis hears: the energy of 48 semitones, brightness, noise in nine
bands, the shape of hits and the stereo width. `readers.npz` beside this file holds them; `fit_readers` makes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mini.composer.song import TRACKS
from studio.engine.spectral import SpectralAutoencoder
from studio.engine.spectral.layout import FLOOR, NOISE, SEMITONES

Audio = NDArray[np.float32]
Values = NDArray[np.float64]

READERS = Path(__file__).parent / "readers.npz"
LOUDNESS = 0.13  # root mean square every piece is brought to, so that loudness alone tells nothing
FARTHEST = 6.0  # spreads from the mean; what lies beyond tells no more


def features(latents: Values) -> Values:
    """Statistics over time of raw latents `[64, frames]`, brought to one loudness: 448 numbers."""
    energy = np.clip(10 ** latents[: NOISE.stop] - FLOOR, 0, None)
    total = (energy[:SEMITONES].sum(0) / 2 + energy[NOISE].sum(0)).mean()
    levelled = np.log10(energy * (LOUDNESS**2 / (total + FLOOR)) + FLOOR)
    values = np.concatenate([levelled, latents[NOISE.stop :]])
    moves = np.diff(values, axis=1)
    ordered = np.sort(values, axis=1)
    loud = [ordered[:, int(share * (values.shape[1] - 1))] for share in (0.1, 0.75, 0.95)]
    return np.concatenate([values.mean(1), values.std(1), moves.std(1), np.abs(moves).mean(1), *loud])


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """One linear reader a track, on standardised features."""

    mean: Values
    spread: Values
    weights: Values  # [features, tracks]

    def scores(self, audio: Audio) -> Values:
        """How much each of `TRACKS` seems to play in `audio` `[2, samples]` at 24 kHz.

        Scores of one track can be compared with each other, those of two tracks can't.
        """
        return self.read(features(_latents(audio).double().numpy()[0]))

    def read(self, rows: Values) -> Values:
        """The scores `[..., tracks]` of rows of features."""
        return np.clip((rows - self.mean) / self.spread, -FARTHEST, FARTHEST) @ self.weights


@lru_cache(maxsize=1)
def trained() -> Readers:
    """The readers that come with the project."""
    with np.load(READERS) as parts:
        return Readers(**{name: parts[name].astype(np.float64) for name in ("mean", "spread", "weights")})


@torch.no_grad()
def _latents(audio: Audio) -> torch.Tensor:
    latents: torch.Tensor = SpectralAutoencoder().encode(torch.from_numpy(audio)[None]).latent_dist.mode()
    return latents


@torch.no_grad()
def through_autoencoder(audio: Audio) -> Audio:
    """What the autoencoder makes of `audio` `[2, samples]` at 24 kHz."""
    again: Audio = SpectralAutoencoder().decode(_latents(audio)).sample[0].numpy()
    return again


def presence(tracks: tuple[str, ...]) -> list[bool]:
    """Which of `TRACKS` are among `tracks`."""
    return [track in tracks for track in TRACKS]
