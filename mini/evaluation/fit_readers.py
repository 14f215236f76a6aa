"""Fits the readers of `instruments` to the songs that `make mini` keeps as latents: mixes, tracks alone and rests.

`python -m mini.evaluation.fit_readers` writes `readers.npz` within a minute. The readers judge the models and
teach them nothing; the prompts they judge have seeds of their own.

Takes come out of the autoencoder, whose sound differs a little from the composer's. So some clips are decoded and heard
again, and the fit pays for every reader that then changes its mind: on 60 decoded songs it had not seen this raised the
mean AUC from .91 to .93, and cost nothing on songs that were not decoded (.975).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from mini import data
from mini.composer import draw_song
from mini.composer.song import TRACKS
from mini.evaluation.instruments import FARTHEST, READERS, Readers, features, presence
from mini.evaluation.scores import auc
from studio.engine.spectral import SpectralAutoencoder

FRAMES = 250
RIDGE = 600.0
STEADY = 0.3  # what a reader pays for hearing a decoded clip differently, against being wrong
AGAIN = 20  # songs that are decoded, in all versions
JUDGED = 250  # songs at the end that are left out of the fit


def lessons(songs: data.Songs) -> Iterator[tuple[int, int, NDArray[np.float64], list[bool]]]:
    """Seed, version, features and who plays: ten seconds from the start and ten from elsewhere of every version."""
    rng = np.random.default_rng(0)
    for seed, (versions, number) in enumerate(zip(songs.latents, songs.tracks, strict=True)):
        tracks, alone = draw_song(seed).tracks, TRACKS[number] if number >= 0 else ""
        who = [tracks, (alone,), tuple(track for track in tracks if track != alone)]
        for version in range(3 if alone else 1):
            for start in (0, int(rng.integers(50, versions.shape[1] - FRAMES))):
                clip = versions[version, start : start + FRAMES].T.astype(np.float64)
                yield seed, version, features(clip), presence(who[version])


@torch.no_grad()
def changes(songs: data.Songs) -> NDArray[np.float64]:
    """What a way through the autoencoder does to the features, `[clips, features]`, of some clips."""
    vae, rows = SpectralAutoencoder(), []
    for versions in songs.latents[:: max(1, len(songs.latents) // AGAIN)]:
        for version in versions:
            clip = torch.from_numpy(version[:FRAMES].T.astype(np.float32))[None]
            again = vae.encode(vae.decode(clip).sample).latent_dist.mode()
            rows.append(features(again[0].double().numpy()) - features(clip[0].double().numpy()))
    return np.array(rows)


def fit(rows: NDArray[np.float64], present: NDArray[np.bool_], changed: NDArray[np.float64]) -> Readers:
    """Ridge regression of presence `[clips, tracks]` on features `[clips, features]`, steady under `changed`."""
    mean, spread = rows.mean(0), rows.std(0) + 1e-3
    inputs, moves = np.clip((rows - mean) / spread, -FARTHEST, FARTHEST), changed / spread
    steady = STEADY * len(rows) / len(moves) * moves.T @ moves
    weights = np.linalg.solve(
        inputs.T @ inputs + steady + RIDGE * np.eye(rows.shape[1]), inputs.T @ (present - present.mean(0))
    )
    return Readers(mean=mean, spread=spread, weights=weights)


def main() -> None:
    """Fit, judge on the last songs, write."""
    torch.set_num_threads(1)
    songs = data.load_songs()
    seeds, versions, rows, who = (np.array(column) for column in zip(*lessons(songs), strict=True))
    judged = seeds > seeds.max() - JUDGED
    readers = fit(rows[~judged], who[~judged], changes(songs))
    whole = judged & (versions == data.MIX)
    told = readers.read(rows[whole])
    for column, track in enumerate(TRACKS):
        print(f"{track}: AUC {auc(told[:, column], who[whole][:, column]):.3f} in {whole.sum()} clips of whole mixes")
    parts = {"mean": readers.mean, "spread": readers.spread, "weights": readers.weights}
    np.savez_compressed(READERS, allow_pickle=False, **{name: part.astype(np.float32) for name, part in parts.items()})


if __name__ == "__main__":
    main()
