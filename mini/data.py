"""Songs as latents on disk: rendered once, in parallel, and picked up where the last run stopped."""

from __future__ import annotations

import argparse
import multiprocessing
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mini.composer import draw_song, render
from studio.engine.spectral import SpectralAutoencoder
from studio.engine.spectral.layout import SEMITONES

WORK = Path(__file__).parent / "work"
SONGS_A_SHARD = 250
SECONDS = 24.0
HELD_OUT = 10_000_000  # first seed of the songs no training ever sees


def encode_songs(seeds: list[int], seconds: float = SECONDS) -> NDArray[np.float16]:
    """Raw (not yet standardised) latents `[songs, frames, 64]` of composed songs."""
    torch.set_num_threads(1)
    vae = SpectralAutoencoder()
    songs = []
    for seed in seeds:
        audio = torch.from_numpy(render(draw_song(seed), seconds)[1])[None]
        songs.append(vae.encode(audio).latent_dist.mode()[0].T.numpy().astype(np.float16))
    return np.stack(songs)


def _make_shard(shard: int) -> Path:
    path = WORK / f"songs_{shard:03d}.npy"
    if not path.exists():
        first = shard * SONGS_A_SHARD
        songs = encode_songs(list(range(first, first + SONGS_A_SHARD)))
        temporary = path.with_suffix(".tmp.npy")
        np.save(temporary, songs)
        temporary.rename(path)
    return path


def make_shards(count: int, processes: int) -> None:
    """Render and encode `count` shards of songs; finished shards are kept."""
    WORK.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for path in pool.imap(_make_shard, range(count)):
            print("shard", path.name, flush=True)


def load_songs() -> NDArray[np.float16]:
    """Latents `[songs, frames, 64]` of every finished shard without a gap; row k is the song of seed k."""
    shards = []
    while (path := WORK / f"songs_{len(shards):03d}.npy").exists():
        shards.append(np.load(path))
    return np.concatenate(shards)


def statistics(songs: NDArray[np.float16]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and spread of each latent; semitones share one spread so that rare notes are not blown up."""
    sample = songs[::3].reshape(-1, songs.shape[-1]).astype(np.float32)
    mean, spread = sample.mean(0), sample.std(0) + 1e-3
    mean[:SEMITONES], spread[:SEMITONES] = mean[:SEMITONES].mean(), sample[:, :SEMITONES].std()
    return mean, spread


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=14)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    make_shards(options.shards, options.processes)
