"""Songs as latents on disk: rendered once, in parallel, and picked up where the last run stopped.

Each song is kept three times: the whole mix, one of its tracks alone, and the mix without that track; for the stage
that is about stems with each of its tracks in turn.
"""

from __future__ import annotations

import argparse
import multiprocessing
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mini.composer import draw_song, render
from mini.composer.mixing import Stems
from mini.composer.song import TRACKS
from studio.engine.spectral import SpectralAutoencoder
from studio.engine.spectral.layout import SEMITONES

WORK = Path(__file__).parent / "work"
SONGS_A_SHARD = 250
SONGS_A_STEM_SHARD = 50  # with every track in turn
FIRST_STEM_SONG = 100_000  # seed; other songs than the earlier stages'
SECONDS = 24.0
HELD_OUT = 10_000_000  # first seed of the songs no training ever sees
MIX, STEM, REST = 0, 1, 2  # the three versions of a song
WEIGHTS = {"drums": 3.0, "bass": 3.0, "vocals": 2.0, "keyboard": 1.5, "guitar": 1.5}  # of the track kept alone; else 1
AUDIBLE = 0.02  # a track that is softer than this share of the mix is not asked for


@dataclass(frozen=True, slots=True)
class Songs:
    """Latents `[rows, 3, frames, 64]` of mix, one track and the rest, which track that is (-1: none), whose song."""

    latents: NDArray[np.float16]
    tracks: NDArray[np.int64]
    seeds: NDArray[np.int64]


def encode_songs(seeds: list[int], seconds: float = SECONDS) -> NDArray[np.float16]:
    """Raw (not yet standardised) latents `[songs, frames, 64]` of the mixes of composed songs."""
    torch.set_num_threads(1)
    return np.stack([_encode(render(draw_song(seed), seconds)[1][None])[0] for seed in seeds])


def split_song(seed: int, seconds: float = SECONDS) -> tuple[NDArray[np.float32], int]:
    """Audio `[3, 2, samples]` of mix, one drawn track and the rest, and the track's number in `TRACKS`.

    A song of one track has no rest: its number is -1.
    """
    stems, mix = render(draw_song(seed), seconds)
    tracks = audible(stems, mix)
    if len(tracks) < 2:
        return np.stack([mix, mix, mix]), -1
    weights = np.array([WEIGHTS.get(track, 1.0) for track in tracks])
    track = tracks[int(np.random.default_rng((seed, 21)).choice(len(tracks), p=weights / weights.sum()))]
    return np.stack([mix, stems[track], mix - stems[track]]), TRACKS.index(track)


def audible(stems: Stems, mix: NDArray[np.float32]) -> list[str]:
    """The tracks that can be heard in the mix, in the order of `TRACKS`."""
    power = {track: float(np.square(stem).mean()) for track, stem in stems.items()}
    floor = AUDIBLE**2 * float(np.square(mix).mean())
    return [track for track in TRACKS if power.get(track, 0.0) > floor]


def _encode(audio: NDArray[np.float32]) -> NDArray[np.float16]:
    latents = SpectralAutoencoder().encode(torch.from_numpy(audio)).latent_dist.mode()
    return latents.transpose(1, 2).numpy().astype(np.float16)


def _make_shard(shard: int) -> Path:
    first = shard * SONGS_A_SHARD
    return _write(WORK / f"songs_{shard:03d}.npz", map(one_track, range(first, first + SONGS_A_SHARD)))


def _make_stem_shard(shard: int) -> Path:
    first = FIRST_STEM_SONG + shard * SONGS_A_STEM_SHARD
    return _write(WORK / f"stems_{shard:03d}.npz", map(every_track, range(first, first + SONGS_A_STEM_SHARD)))


def one_track(seed: int) -> Songs:
    """One row: the song with the track drawn for it."""
    audio, track = split_song(seed)
    return Songs(_encode(audio)[None], np.array([track]), np.array([seed]))


def every_track(seed: int, seconds: float = SECONDS) -> Songs:
    """A row a track of the song; none of a song that has one alone."""
    stems, mix = render(draw_song(seed), seconds)
    tracks = audible(stems, mix)
    tracks = tracks if len(tracks) > 1 else []
    whole = _encode(mix[None])[0]
    rows = [np.stack([whole, *_encode(np.stack([stems[track], mix - stems[track]]))]) for track in tracks]
    numbers = np.array([TRACKS.index(track) for track in tracks], np.int64)
    return Songs(np.array(rows, np.float16).reshape(-1, 3, *whole.shape), numbers, np.full(len(rows), seed))


def _join(parts: Iterable[Songs]) -> Songs:
    columns = zip(*((part.latents, part.tracks, part.seeds) for part in parts), strict=True)
    return Songs(*map(np.concatenate, columns))


def _write(path: Path, parts: Iterable[Songs]) -> Path:
    if not path.exists():
        torch.set_num_threads(1)
        songs = _join(parts)
        temporary = path.with_suffix(".tmp.npz")
        np.savez(temporary, latents=songs.latents, tracks=songs.tracks, seeds=songs.seeds)
        temporary.rename(path)
    return path


def make_shards(count: int, processes: int, stems: bool = False) -> None:
    """Render and encode `count` shards of songs, with `stems` those with every track; finished shards are kept."""
    WORK.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for path in pool.imap(_make_stem_shard if stems else _make_shard, range(count)):
            print("shard", path.name, flush=True)


def load_songs(name: str = "songs") -> Songs:
    """Every finished shard without a gap, of "songs" or of "stems"; row k of "songs" is the song of seed k."""
    parts: list[Songs] = []
    while (path := WORK / f"{name}_{len(parts):03d}.npz").exists():
        with np.load(path) as shard:
            parts.append(Songs(shard["latents"], shard["tracks"], shard["seeds"]))
    return _join(parts)


def move(latents: NDArray[np.float16], semitones: int) -> NDArray[np.float16]:
    """Latents `[..., 64]` of the same music higher by `semitones`; what moves in at the edge is as soft as can be."""
    moved = latents.copy()
    notes = latents[..., :SEMITONES]
    silence = notes.min(-1, keepdims=True)
    if semitones > 0:
        moved[..., semitones:SEMITONES] = notes[..., :-semitones]
        moved[..., :semitones] = silence
    elif semitones < 0:
        moved[..., : SEMITONES + semitones] = notes[..., -semitones:]
        moved[..., SEMITONES + semitones : SEMITONES] = silence
    return moved


def statistics(mixes: NDArray[np.float16]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and spread of each latent over `[songs, frames, 64]`.

    Semitones share one spread so that rare notes are not blown up.
    """
    sample = mixes[::3].reshape(-1, mixes.shape[-1]).astype(np.float32)
    mean, spread = sample.mean(0), sample.std(0) + 1e-3
    mean[:SEMITONES], spread[:SEMITONES] = mean[:SEMITONES].mean(), sample[:, :SEMITONES].std()
    return mean, spread


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--stems", action="store_true", help="shards of 50 songs with every track in turn")
    options = parser.parse_args()
    make_shards(options.shards, options.processes, options.stems)
