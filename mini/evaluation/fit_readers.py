"""Fits the readers of `instruments` to the songs that `make mini` keeps as latents: mixes, tracks alone and rests.

`python -m mini.evaluation.fit_readers` writes `readers.npz` within a minute. The readers judge the models and
teach them nothing; the prompts they judge have seeds of their own.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mini import data
from mini.composer import draw_song
from mini.composer.song import TRACKS
from mini.evaluation.instruments import FARTHEST, READERS, Readers, features, presence
from mini.evaluation.scores import auc

FRAMES = 250
RIDGE = 600.0
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


def fit(rows: NDArray[np.float64], present: NDArray[np.bool_]) -> Readers:
    """Ridge regression of presence `[clips, tracks]` on features `[clips, features]`."""
    mean, spread = rows.mean(0), rows.std(0) + 1e-3
    inputs = np.clip((rows - mean) / spread, -FARTHEST, FARTHEST)
    weights = np.linalg.solve(inputs.T @ inputs + RIDGE * np.eye(rows.shape[1]), inputs.T @ (present - present.mean(0)))
    return Readers(mean=mean, spread=spread, weights=weights)


def main() -> None:
    """Fit, judge on the last songs, write."""
    seeds, versions, rows, who = (np.array(column) for column in zip(*lessons(data.load_songs()), strict=True))
    judged = seeds > seeds.max() - JUDGED
    readers = fit(rows[~judged], who[~judged])
    whole = judged & (versions == data.MIX)
    told = readers.read(rows[whole])
    for column, track in enumerate(TRACKS):
        print(f"{track}: AUC {auc(told[:, column], who[whole][:, column]):.3f} in {whole.sum()} clips of whole mixes")
    parts = {"mean": readers.mean, "spread": readers.spread, "weights": readers.weights}
    np.savez_compressed(READERS, allow_pickle=False, **{name: part.astype(np.float32) for name, part in parts.items()})


if __name__ == "__main__":
    main()
