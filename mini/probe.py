"""Does the model listen? How much held-out loss rises when the prompt names a wrong tempo, key or caption."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedTokenizerFast

from mini import data
from mini.codes import Codec
from mini.composer import Song, draw_song
from mini.network import Mini
from mini.prompts import prompt_of, tokenise

SONGS = 32
FRAMES = 250

CHANGES: dict[str, Callable[[Song, Song], Song]] = {
    "right": lambda song, other: song,
    "wrong_bpm": lambda song, other: replace(song, bpm=60 + (song.bpm - 60 + 47) % 121, states_bpm=True),
    "wrong_key": lambda song, other: replace(song, tonic=(song.tonic + 6) % 12, states_key=True),
    "wrong_caption": lambda song, other: replace(
        song, genre=other.genre, tracks=other.tracks, pace=other.pace, minor=other.minor
    ),
}


@lru_cache(maxsize=1)
def held_out() -> tuple[list[Song], NDArray[np.float16]]:
    """Songs no training sees that state tempo and key, and their raw latents."""
    seeds = [seed for seed in range(data.HELD_OUT, data.HELD_OUT + 200)]
    seeds = [seed for seed in seeds if draw_song(seed).states_bpm and draw_song(seed).states_key][:SONGS]
    return [draw_song(seed) for seed in seeds], data.encode_songs(seeds, FRAMES / 25)


@torch.no_grad()
def prompt_swap(model: Mini, tokenizer: PreTrainedTokenizerFast, codec: Codec, t: float) -> dict[str, float]:
    """Mean squared error of the velocity at noise level `t`, and by how much a changed prompt raises it."""
    songs, raw = held_out()
    device = next(model.parameters()).device
    clean = codec.standardise(torch.from_numpy(raw)).to(device)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0)).to(device) * (0.0 if t == 1.0 else 1.0)
    context = model.context(torch.zeros(len(songs), dtype=torch.long, device=device), FRAMES)
    losses = {}
    for name, change in CHANGES.items():
        rng = np.random.default_rng(5)
        changed = [change(song, songs[(row + 7) % len(songs)]) for row, song in enumerate(songs)]
        prompts = [prompt_of(song, rng) for song in changed]
        parts = (*tokenise(tokenizer, [p for p, _ in prompts]), *tokenise(tokenizer, [w for _, w in prompts]))
        states, mask = model.encode(*(part.to(device) for part in parts))
        noisy = torch.lerp(clean, noise, t)
        velocity = model.velocity(noisy, clean.new_full((len(songs),), t), states, mask, context)
        losses[name] = float((velocity - (noise - clean)).square().mean())
    return {name: round(loss - (losses["right"] if name != "right" else 0.0), 4) for name, loss in losses.items()}
