"""Trains the audio tokenizer and detokenizer: five frames of latents to one of 4,096 codes and back.

They are trained before the DiT, as an autoencoder of single groups of frames, and then left alone: the DiT learns to
follow what they keep. diffusers' quantiser has no gradient, so training passes it straight through.

Twelve bits are few for 200 ms, and what a listener misses first is the beat. So changes from frame to frame count as
much as the latents themselves, and half of a code's digits are asked for the hits alone, the other half for the notes:
a language model then finds the rhythm of a song in some digits and its harmony in others.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from diffusers.pipelines.ace_step.modeling_ace_step import AceStepAudioTokenDetokenizer, AceStepAudioTokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from mini import data
from studio.engine.spectral import SpectralAutoencoder
from studio.engine.spectral.layout import LATENTS, NOISE, NOISE_WIDTH, PEAK, POSITION, SEMITONES, TONE_WIDTH

LEVELS = (4, 4, 4, 4, 4, 4)  # 4,096 codes
GROUP = 5  # latent frames of one code
WIDTH, HEADS, HEAD, INNER = 128, 4, 32, 384
BATCH = 24
RATE = 2e-3
CLIP = 100  # frames
HIT_DIGITS = 3  # digits that are asked for the hits; the others are asked for the notes
HITS = (*range(NOISE.start, NOISE.stop), POSITION, PEAK)
WEIGHTS = {POSITION: 1.0, PEAK: 1.0, TONE_WIDTH: 0.2, NOISE_WIDTH: 0.2}  # of latents in the loss
NOISE_WEIGHT = 3.0
MOVE_WEIGHT = 2.0  # of changes from frame to frame
ASKED_WEIGHT = 0.5  # of what the digits of one half say alone
MOVERS = ((0, 16), (16, 32), (32, SEMITONES), (51, 53), (53, 56), (56, NOISE.stop))  # latents that move together
FARTHEST = 6  # semitones a clip is moved at most
STATE = data.WORK / "codes.pt"
SONG_CODES = data.WORK / "codes_songs.npy"


class Codec(nn.Module):
    """Both directions, in diffusers' classes."""

    def __init__(self) -> None:
        super().__init__()
        shape = {
            "hidden_size": WIDTH,
            "intermediate_size": INNER,
            "num_attention_pooler_hidden_layers": 2,
            "num_attention_heads": HEADS,
            "num_key_value_heads": HEADS,
            "head_dim": HEAD,
            "pool_window_size": GROUP,
        }
        self.tokenizer = AceStepAudioTokenizer(fsq_dim=WIDTH, fsq_input_levels=list(LEVELS), **shape)
        self.detokenizer = AceStepAudioTokenDetokenizer(**shape)
        self.register_buffer("mean", torch.zeros(64))
        self.register_buffer("spread", torch.ones(64))

    def standardise(self, raw: Tensor) -> Tensor:
        """Raw latents as the model sees them."""
        return (raw.float() - self.mean) / self.spread

    def digits(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """The digits of each group before they are rounded, and rounded with a gradient, `[B, T / 5, 6]`."""
        coder = self.tokenizer
        groups = latents.reshape(len(latents), -1, GROUP, latents.shape[-1])
        pooled = coder.attention_pooler(coder.audio_acoustic_proj(groups))
        quantiser = coder.quantizer
        edge = 1 + 1 / (torch.tensor(LEVELS) - 1)
        free = (quantiser.project_in(pooled) / edge).tanh() * edge
        return free, free + (quantiser._quantize(free) - free).detach()

    def rebuild(self, digits: Tensor) -> Tensor:
        """Standardised latents `[B, T, 64]` of digits, with a gradient."""
        rebuilt: Tensor = self.detokenizer(self.tokenizer.quantizer.project_out(digits))
        return rebuilt

    @torch.no_grad()
    def hints(self, latents: Tensor) -> Tensor:
        """What a cover follows of `latents` `[B, T, 64]`: the stock classes' way through the codes."""
        rebuilt: Tensor = self.detokenizer(self.tokenizer.tokenize(latents)[0])
        return rebuilt[:, : latents.shape[1]]

    @torch.no_grad()
    def codes(self, latents: Tensor) -> Tensor:
        """Code numbers `[B, T / 5]` of standardised latents."""
        numbers: Tensor = self.tokenizer.tokenize(latents)[1]
        return numbers[..., 0]


def load_codec() -> Codec:
    """The trained codec."""
    codec = Codec()
    codec.load_state_dict(torch.load(STATE, map_location="cpu", weights_only=True))
    return codec.eval().requires_grad_(False)


def read_codec(folder: Path) -> Codec:
    """The codec of an exported checkpoint."""
    codec = Codec()
    codec.tokenizer = AceStepAudioTokenizer.from_pretrained(folder / "audio_tokenizer").float()
    codec.detokenizer = AceStepAudioTokenDetokenizer.from_pretrained(folder / "audio_token_detokenizer").float()
    vae = SpectralAutoencoder.from_pretrained(folder / "vae")
    codec.mean, codec.spread = vae.latent_mean.float(), vae.latent_std.float()
    return codec.eval().requires_grad_(False)


class Trainer:
    """The codec, and heads that ask half of its digits for the hits and half for the notes; dropped afterwards."""

    def __init__(self, steps: int, batch: int) -> None:
        torch.manual_seed(0)
        self.steps, self.batch, self.rng = steps, batch, np.random.default_rng(0)
        self.songs = data.load_songs().latents
        self.codec = Codec()
        mean, spread = data.statistics(self.songs[:, data.MIX])
        self.codec.mean.copy_(torch.from_numpy(mean))
        self.codec.spread.copy_(torch.from_numpy(spread))
        self.hits = _head(HIT_DIGITS, GROUP * len(HITS))
        self.notes = _head(len(LEVELS) - HIT_DIGITS, GROUP * SEMITONES)
        self.weight = torch.ones(LATENTS)
        self.weight[NOISE] = NOISE_WEIGHT
        for latent, weight in WEIGHTS.items():
            self.weight[latent] = weight

    def clips(self) -> Tensor:
        """Standardised clips `[B, CLIP, 64]`, most of them of mixes, each in a key of its own."""
        rng, songs = self.rng, self.songs
        rows = rng.integers(0, len(songs) - 16, self.batch)
        starts = rng.integers(0, songs.shape[2] - CLIP, self.batch)
        which = np.where(rng.random(self.batch) < 0.85, data.MIX, rng.integers(1, 3, self.batch))
        cut = [
            data.move(songs[r, w, s : s + CLIP], int(rng.integers(-FARTHEST, FARTHEST + 1)))
            for r, w, s in zip(rows, which, starts, strict=True)
        ]
        return self.codec.standardise(torch.from_numpy(np.stack(cut)))

    def loss(self, latents: Tensor) -> Tensor:
        """How much is lost of the latents, of their moves, and of hits and notes in their own digits."""
        digits = self.codec.digits(latents)[1]
        rebuilt = self.codec.rebuild(digits)
        loss = ((rebuilt - latents).square() * self.weight).mean()
        loss = loss + MOVE_WEIGHT * F.mse_loss(_moves(rebuilt), _moves(latents))
        groups = latents.unflatten(1, (-1, GROUP))
        hits, notes = groups[..., list(HITS)].flatten(2), groups[..., :SEMITONES].flatten(2)
        asked = F.mse_loss(self.hits(digits[..., :HIT_DIGITS]), hits)
        asked = asked + F.mse_loss(self.notes(digits[..., HIT_DIGITS:]), notes)
        return loss + ASKED_WEIGHT * asked

    def run(self) -> Codec:
        """Train from scratch; minutes on one core."""
        held_out = self.codec.standardise(torch.from_numpy(self.songs[-16:, data.MIX].astype(np.float32)))
        parts = [*self.codec.parameters(), *self.hits.parameters(), *self.notes.parameters()]
        optimizer = torch.optim.AdamW(parts, lr=RATE, betas=(0.9, 0.98), weight_decay=0.01)
        started, losses = time.time(), list[float]()
        for step in range(self.steps):
            left = 0.02 + 0.98 * min(1.0, 2 * (1 - step / self.steps))
            optimizer.param_groups[0]["lr"] = RATE * min(1.0, (step + 1) / 100) * left
            loss = self.loss(self.clips())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(parts, 1.0)
            optimizer.step()
            losses.append(float(loss.detach()))
            if step % 200 == 199 or step == self.steps - 1:
                shown = _shown(self.codec, held_out)
                print(f"codes {step + 1} {time.time() - started:.0f}s loss {np.mean(losses):.3f} {shown}", flush=True)
                losses.clear()
        return self.codec


def _head(digits: int, values: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(digits, WIDTH), nn.GELU(), nn.Linear(WIDTH, values))


def _moves(latents: Tensor) -> Tensor:
    """By how much low, middle and high tones and noises rise from frame to frame `[B, T - 1, 6]`."""
    together = torch.stack([latents[..., first:last].mean(-1) for first, last in MOVERS], dim=-1)
    return together.diff(dim=1)


@torch.no_grad()
def _shown(codec: Codec, latents: Tensor) -> dict[str, float]:
    """What held-out songs keep: squared errors of tones and noise, correlation of moves, and how many codes occur."""
    hints, codes = codec.hints(latents), codec.codes(latents)
    error = (hints - latents).square().mean((0, 1))
    pair = torch.stack([_moves(hints).relu().sum(-1).flatten(), _moves(latents).relu().sum(-1).flatten()])
    figures = {"tones": error[:SEMITONES].mean(), "noise": error[NOISE].mean(), "moves": torch.corrcoef(pair)[0, 1]}
    return {name: round(float(value), 3) for name, value in figures.items()} | {"used": codes.unique().numel()}


def encode_all(codec: Codec) -> None:
    """Write the codes of every song's mix `[songs, frames / 5]` for the language model."""
    songs = data.load_songs().latents
    rows = [
        codec.codes(codec.standardise(torch.from_numpy(songs[k : k + 50, data.MIX]))) for k in range(0, len(songs), 50)
    ]
    temporary = SONG_CODES.with_suffix(".tmp.npy")
    np.save(temporary, torch.cat(rows).numpy().astype(np.int16))
    temporary.rename(SONG_CODES)


def make(steps: int) -> None:
    """Train the codec and write the songs' codes, unless that was done before."""
    if not STATE.exists():
        codec = Trainer(steps, BATCH).run()
        temporary = STATE.with_suffix(".tmp")
        torch.save(codec.state_dict(), temporary)
        temporary.rename(STATE)
    if not SONG_CODES.exists():
        encode_all(load_codec())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    make(options.steps)
