"""The songs of `mini.data` as audio codes, each also in other keys and cut at other places.

Latents are energies of semitones, so moving them up or down by whole semitones is the song in another key.
`python -m mini.lm.bank` writes the bank with the audio tokenizer that `mini.codes` trains, or with a checkpoint's.
"""

from __future__ import annotations

import argparse
import multiprocessing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from mini import data
from mini.composer import Song, draw_song
from mini.composer.song import MAX_BPM, MIN_BPM
from mini.composer.tempo import CLOCKS, FRAME_RATE
from mini.lm.texts import at_tempo, transposed
from mini.lm.vocabulary import CODES
from studio.engine.spectral.layout import NOISE, SEMITONES

if TYPE_CHECKING:
    from mini.codes import Codec

BANK = data.WORK / "lm_bank.npz"
GROUP = 5  # latent frames of one code
FARTHEST = 5  # semitones a song is moved at most
HELD_OUT = 200  # last songs, never trained on, if not said otherwise
SONGS_AT_ONCE = 50
CODES_A_SONG = 120
STRETCHES = range(-9, 10)  # steps of the tempo grid, 2.4 % each
LABELS = ("codes", "seeds", "shifts", "offsets", "stretches")


@dataclass(frozen=True, slots=True)
class Bank:
    """Rows of codes; a held-out row is an unchanged song no language model was trained on."""

    codes: NDArray[np.int64]  # [rows, 120], -1 after the last one
    seeds: NDArray[np.int64]
    shifts: NDArray[np.int64]  # semitones the song was moved
    offsets: NDArray[np.int64]  # latent frames cut from its beginning
    stretches: NDArray[np.int64]  # steps of the tempo grid it was made faster
    chunks: NDArray[np.float32]  # [4096, 5, 64] standardised latents that each code stands for
    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    held_out: NDArray[np.bool_]

    def song(self, row: int) -> Song:
        """The facts of a row."""
        song = draw_song(int(self.seeds[row]))
        return at_tempo(transposed(song, int(self.shifts[row])), int(self.stretches[row]))

    @property
    def unchanged(self) -> NDArray[np.bool_]:
        """Which rows are songs as they are."""
        return (self.shifts == 0) & (self.offsets == 0) & (self.stretches == 0)

    def start(self, row: int) -> float:
        """When in its song a row begins, in seconds."""
        return float(self.offsets[row]) / FRAME_RATE


def load_bank(path: Path = BANK) -> Bank:
    """Read what `make_bank` wrote."""
    with np.load(path) as parts:
        arrays = {name: parts[name] for name in (*LABELS, "chunks", "mean", "spread")}
        kept = int(parts["held_out"]) if "held_out" in parts else HELD_OUT
    last = int(arrays["seeds"].max()) + 1
    return Bank(**arrays, held_out=arrays["seeds"] >= last - kept)


def stretch(latents: NDArray[np.float16], steps: int) -> NDArray[np.float16]:
    """Latents `[frames, 64]` of the same music faster by `steps` of the tempo grid, as many frames; silence fills up.

    Semitones are interpolated; of the other numbers the frame with the strongest hit is kept, and where there is none
    to spare the softer neighbour: a hit between two frames would be none, or two.
    """
    frames, rate = len(latents), 2 ** (steps / CLOCKS)
    count = min(frames, int((frames - 1) / rate))
    places = np.arange(count) * rate
    low = places.astype(np.int64)
    part = (places - low)[:, None].astype(np.float16)
    tones = latents[low] * (1 - part) + latents[low + 1] * part
    loud = latents[:, NOISE].astype(np.float32).sum(1)
    first = np.ceil(places - 1e-6).astype(np.int64)
    hits = np.array(
        [
            at + int(loud[at:end].argmax()) if end > at else at - int(loud[at - 1] < loud[min(at, frames - 1)])
            for at, end in zip(first, [*first[1:], first[-1] + 1], strict=True)
        ]
    ).clip(0, frames - 1)
    faster = np.repeat(latents[-1:], frames, 0)
    faster[:count, :SEMITONES] = tones[:, :SEMITONES]
    faster[:count, SEMITONES:] = latents[hits, SEMITONES:]
    return faster


def make_bank(passes: int, processes: int, checkpoint: Path | None = None, held_out: int = HELD_OUT) -> None:
    """Encode every finished shard `passes` times; what an earlier run has encoded is kept.

    The audio tokenizer is that of a checkpoint's folder, or else the one in training.

    First the songs as they are, then moved, then moved and stretched, which keeps a model from knowing a tempo by the
    tune.
    """
    codec, parts = _codec(checkpoint), _read()
    done = len(parts["seeds"]) // max(1, len(np.unique(parts["seeds"])))
    for number in range(done, passes):
        jobs = [(path, shard, number, checkpoint) for shard, path in enumerate(_shards())]
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            found = pool.starmap(_encode, jobs, chunksize=1)
        parts = {name: np.concatenate([parts[name], *(one[name] for one in found)]) for name in LABELS}
        print(f"bank: pass {number + 1} of {passes}", flush=True)
        facts = {"chunks": codec_chunks(codec), "mean": codec.mean.numpy(), "spread": codec.spread.numpy()}
        _write(parts | facts | {"held_out": np.array(held_out)})


def _codec(checkpoint: Path | None) -> Codec:
    from mini.codes import load_codec, read_codec

    return read_codec(checkpoint) if checkpoint else load_codec()


def _shards() -> list[Path]:
    paths: list[Path] = []
    while (path := data.WORK / f"songs_{len(paths):03d}.npz").exists():
        paths.append(path)
    return paths


def _encode(path: Path, shard: int, number: int, checkpoint: Path | None) -> dict[str, NDArray[np.int64]]:
    torch.set_num_threads(1)
    codec, rng = _codec(checkpoint), np.random.default_rng((100 + number, shard))
    with np.load(path) as parts:
        mixes = parts["latents"][:, data.MIX]
    seeds = shard * data.SONGS_A_SHARD + np.arange(len(mixes))
    shifts = rng.integers(-FARTHEST, FARTHEST + 1, len(mixes)) * (number > 0)
    offsets = rng.integers(0, GROUP, len(mixes)) * (number > 0)
    stretches = np.array([_draw_stretch(int(seed), rng) for seed in seeds]) * (number > 1)
    rows = []
    for first in range(0, len(mixes), SONGS_AT_ONCE):
        clips = []
        for index in range(first, min(len(mixes), first + SONGS_AT_ONCE)):
            clip = data.move(mixes[index], int(shifts[index]))
            clip = stretch(clip, int(stretches[index])) if stretches[index] else clip
            clips.append(np.roll(clip, -int(offsets[index]), 0))
        codes = codec.codes(codec.standardise(torch.from_numpy(np.stack(clips)))).numpy().astype(np.int64)
        for row, (offset, steps) in enumerate(
            zip(offsets[first : first + SONGS_AT_ONCE], stretches[first : first + SONGS_AT_ONCE], strict=True)
        ):
            length = min(1.0, 2 ** -(steps / CLOCKS)) * mixes.shape[1] - offset
            codes[row, int(length // GROUP) :] = -1
        rows.append(codes)
    found = {"codes": np.concatenate(rows), "seeds": seeds, "shifts": shifts}
    return found | {"offsets": offsets, "stretches": stretches}


def _draw_stretch(seed: int, rng: np.random.Generator) -> int:
    """Steps of the tempo grid, such that the tempo stays in the composer's range."""
    bpm = draw_song(seed).bpm
    steps = [step for step in STRETCHES if MIN_BPM <= bpm * 2 ** (step / CLOCKS) <= MAX_BPM and step]
    return int(rng.choice(steps))


def _read() -> dict[str, NDArray[np.int64]]:
    if not BANK.exists():
        return {name: np.zeros((0, CODES_A_SONG) if name == "codes" else 0, np.int64) for name in LABELS}
    with np.load(BANK) as parts:
        return {name: parts[name].astype(np.int64) for name in LABELS}


def codec_chunks(codec: Codec) -> NDArray[np.float32]:
    """What each code alone decodes to, `[4096, 5, 64]` standardised latents."""
    with torch.no_grad():
        quantised = codec.tokenizer.quantizer.get_output_from_indices(torch.arange(CODES)[None, :, None])
        latents = codec.detokenizer(quantised)
    return latents.reshape(CODES, GROUP, -1).numpy().astype(np.float32)


def _write(parts: dict[str, NDArray[np.int64] | NDArray[np.float32]]) -> None:
    temporary = BANK.with_suffix(".tmp.npz")
    np.savez(temporary, **parts)
    temporary.rename(BANK)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passes", type=int, default=4, help="how often each song is encoded")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument(
        "--checkpoint", type=Path, help="folder with the audio tokenizer, instead of the one in training"
    )
    parser.add_argument("--held-out", type=int, default=HELD_OUT, help="last songs no language model is trained on")
    torch.set_num_threads(1)
    options = parser.parse_args()
    make_bank(options.passes, options.processes, options.checkpoint, options.held_out)
