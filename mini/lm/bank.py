"""The songs of `mini.data` as audio codes, each also in other keys and cut at other places.

Latents are energies of semitones, so moving them up or down by whole semitones is the song in another key.
`python -m mini.lm.bank` writes the bank; it needs the audio tokenizer that `mini.codes` trains.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mini import data
from mini.composer import Song, draw_song
from mini.composer.tempo import FRAME_RATE
from mini.lm.texts import transposed
from mini.lm.vocabulary import CODES
from studio.engine.spectral.layout import SEMITONES

BANK = data.WORK / "lm_bank.npz"
GROUP = 5  # latent frames of one code
FARTHEST = 5  # semitones a song is moved at most
HELD_OUT = 200  # last songs, never trained on
GROUPS_AT_ONCE = 50  # songs


@dataclass(frozen=True, slots=True)
class Bank:
    """Rows of codes; a held-out row is an unchanged song no language model was trained on."""

    codes: NDArray[np.int16]  # [rows, 119 or 120 codes]
    seeds: NDArray[np.int64]
    shifts: NDArray[np.int64]  # semitones the song was moved
    offsets: NDArray[np.int64]  # latent frames cut from its beginning
    chunks: NDArray[np.float32]  # [4096, 5, 64] standardised latents that each code stands for
    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    held_out: NDArray[np.bool_]

    def song(self, row: int) -> Song:
        """The facts of a row."""
        return transposed(draw_song(int(self.seeds[row])), int(self.shifts[row]))

    def start(self, row: int) -> float:
        """When in its song a row begins, in seconds."""
        return float(self.offsets[row]) / FRAME_RATE


def load_bank(path: Path = BANK) -> Bank:
    """Read what `make_bank` wrote."""
    with np.load(path) as parts:
        names = ("codes", "seeds", "shifts", "offsets", "chunks", "mean", "spread")
        arrays = {name: parts[name] for name in names}
    last = int(arrays["seeds"].max()) + 1
    return Bank(**arrays, held_out=arrays["seeds"] >= last - HELD_OUT)


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


def make_bank(variants: int) -> None:
    """Encode every finished shard: each song as it is, and `variants` times moved and cut."""
    from mini.codes import load_codec

    codec, rng = load_codec(), np.random.default_rng(0)
    rows: list[NDArray[np.int16]] = []
    labels: list[tuple[int, int, int]] = []
    shard = 0
    while (path := data.WORK / f"songs_{shard:03d}.npz").exists():
        with np.load(path) as parts:
            mixes = parts["latents"][:, data.MIX]
        for variant in range(variants + 1):
            shifts = rng.integers(-FARTHEST, FARTHEST + 1, len(mixes)) * bool(variant)
            offsets = rng.integers(0, GROUP, len(mixes)) * bool(variant)
            for first in range(0, len(mixes), GROUPS_AT_ONCE):
                some = slice(first, first + GROUPS_AT_ONCE)
                pairs = zip(mixes[some], shifts[some], offsets[some], strict=True)
                clips = [np.roll(move(mix, int(shift)), -int(offset), 0) for mix, shift, offset in pairs]
                codes = codec.codes(codec.standardise(torch.from_numpy(np.stack(clips))))
                rows.append(codes.numpy().astype(np.int16)[:, :-1] if variant else codes.numpy().astype(np.int16))
            seeds = shard * data.SONGS_A_SHARD + np.arange(len(mixes))
            labels += zip(seeds.tolist(), shifts.tolist(), offsets.tolist(), strict=True)
        print("bank", path.name, flush=True)
        shard += 1
    _write(codec_chunks(codec), rows, labels, codec.mean.numpy(), codec.spread.numpy())


def codec_chunks(codec: torch.nn.Module) -> NDArray[np.float32]:
    """What each code alone decodes to, `[4096, 5, 64]` standardised latents."""
    from mini.codes import Codec

    assert isinstance(codec, Codec)
    with torch.no_grad():
        quantised = codec.tokenizer.quantizer.get_output_from_indices(torch.arange(CODES)[None, :, None])
        latents = codec.detokenizer(quantised)
    return latents.reshape(CODES, GROUP, -1).numpy().astype(np.float32)


def _write(
    chunks: NDArray[np.float32],
    rows: list[NDArray[np.int16]],
    labels: list[tuple[int, int, int]],
    mean: NDArray[np.float32],
    spread: NDArray[np.float32],
) -> None:
    length = max(part.shape[1] for part in rows)
    padded = [np.pad(part, ((0, 0), (0, length - part.shape[1])), constant_values=-1) for part in rows]
    seeds, shifts, offsets = np.array(labels).T
    temporary = BANK.with_suffix(".tmp.npz")
    np.savez(
        temporary,
        codes=np.concatenate(padded),
        seeds=seeds,
        shifts=shifts,
        offsets=offsets,
        chunks=chunks,
        mean=mean,
        spread=spread,
    )
    temporary.rename(BANK)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variants", type=int, default=2, help="how often each song is moved and cut")
    torch.set_num_threads(1)
    make_bank(parser.parse_args().variants)
