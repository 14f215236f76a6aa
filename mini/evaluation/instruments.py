"""Who plays? A linear reader for each of the twelve tracks, trained in a minute on the composer's own songs.

It reads statistics over time of what the spectral analysis hears: the energy of 48 semitones, brightness, noise in nine
bands, the shape of hits and the stereo width. Half of its songs are heard through the autoencoder, as takes are. Songs
it learns from have seeds that neither training nor the held-out prompts use.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from mini import data
from mini.composer import draw_song, render
from mini.composer.song import TRACKS
from studio.engine.spectral import SpectralAutoencoder

Audio = NDArray[np.float32]
Values = NDArray[np.float64]

FIRST = data.HELD_OUT + 5_000_000  # seed of the first song the readers learn from
SONGS = 300
SECONDS = 10.0
RIDGE = 60.0
LOUDNESS = 0.13  # root mean square every piece is brought to, so that loudness alone tells nothing


@torch.no_grad()
def statistics(audio: Audio) -> Values:
    """Mean, spread, movement and loud end over time of the analysis of `audio` `[2, samples]` at 24 kHz."""
    level = np.float32(LOUDNESS / max(float(np.sqrt(np.mean(audio**2))), 1e-5))
    latents = SpectralAutoencoder().encode(torch.from_numpy(audio * level)[None]).latent_dist.mode()[0]
    values = latents.double().numpy()
    moves = np.diff(values, axis=1)
    loud = np.percentile(values, [10, 75, 95], axis=1)
    return np.concatenate([values.mean(1), values.std(1), moves.std(1), np.abs(moves).mean(1), *loud])


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """One linear reader a track, on standardised statistics."""

    mean: Values
    spread: Values
    weights: Values  # [statistics, tracks]

    def scores(self, audio: Audio) -> Values:
        """How much each of `TRACKS` seems to play; only comparisons of one track's scores mean anything."""
        return ((statistics(audio) - self.mean) / self.spread) @ self.weights


def fit(rows: Values, present: NDArray[np.bool_]) -> Readers:
    """Ridge regression of presence `[pieces, tracks]` on statistics `[pieces, statistics]`."""
    mean, spread = rows.mean(0), rows.std(0) + 1e-3
    inputs = (rows - mean) / spread
    wanted = present - present.mean(0)
    weights = np.linalg.solve(inputs.T @ inputs + RIDGE * np.eye(inputs.shape[1]), inputs.T @ wanted)
    return Readers(mean=mean, spread=spread, weights=weights)


@lru_cache(maxsize=1)
def trained(songs: int = SONGS) -> Readers:
    """The readers, trained once a process."""
    pairs = [pair for number in range(songs) for pair in _lessons(FIRST + number)]
    return fit(np.array([row for row, _ in pairs]), np.array([who for _, who in pairs]))


def _lessons(seed: int) -> list[tuple[Values, NDArray[np.bool_]]]:
    """A song as it is, and some of its tracks alone, so that who plays doesn't follow from the style."""
    song = draw_song(seed)
    rng = np.random.default_rng((seed, 31))
    guests = [track for track in TRACKS if rng.random() < 0.2]
    stems, mix = render(replace(song, tracks=tuple(t for t in TRACKS if t in {*song.tracks, *guests})), SECONDS)
    chosen = [track for track in stems if rng.random() < 0.5] or list(stems)[:1]
    part = np.sum([stems[track] for track in chosen], axis=0, dtype=np.float32)
    lessons = []
    for audio, tracks in ((mix, list(stems)), (part, chosen)):
        heard = through_autoencoder(audio) if rng.random() < 0.5 else audio
        lessons.append((statistics(heard), np.array([track in tracks for track in TRACKS])))
    return lessons


@torch.no_grad()
def through_autoencoder(audio: Audio) -> Audio:
    """What the autoencoder makes of `audio` `[2, samples]` at 24 kHz."""
    vae = SpectralAutoencoder()
    again: Audio = vae.decode(vae.encode(torch.from_numpy(audio)[None]).latent_dist.mode()).sample[0].numpy()
    return again


def presence(tracks: tuple[str, ...]) -> list[bool]:
    """Which of `TRACKS` are among `tracks`."""
    return [track in tracks for track in TRACKS]
