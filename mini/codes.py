"""Trains the audio tokenizer and detokenizer: five frames of latents to one of 4,096 codes and back.

They are trained before the DiT, as an autoencoder of single groups of frames, and then left alone: the DiT learns to
follow what they keep. diffusers' quantiser has no gradient, so training passes it straight through.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from diffusers.pipelines.ace_step.modeling_ace_step import AceStepAudioTokenDetokenizer, AceStepAudioTokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from mini import data
from studio.engine.spectral.layout import SEMITONES

LEVELS = (4, 4, 4, 4, 4, 4)  # 4,096 codes
GROUP = 5  # latent frames of one code
WIDTH, HEADS, HEAD, INNER = 128, 4, 32, 384
BATCH = 24
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

    def rebuild(self, latents: Tensor) -> Tensor:
        """Standardised latents `[B, T, 64]` after a way through the codes, with a gradient; T a multiple of 5."""
        coder = self.tokenizer
        groups = latents.reshape(len(latents), -1, GROUP, latents.shape[-1])
        pooled = coder.attention_pooler(coder.audio_acoustic_proj(groups))
        quantiser = coder.quantizer
        free = quantiser.project_in(pooled)
        edge = 1 + 1 / (torch.tensor(LEVELS) - 1)
        free = (free / edge).tanh() * edge
        kept = free + (quantiser._quantize(free) - free).detach()
        rebuilt: Tensor = self.detokenizer(quantiser.project_out(kept))
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


def train(steps: int, batch: int) -> Codec:
    """Train from scratch; minutes on one core."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    songs = data.load_songs().latents
    codec = Codec()
    mean, spread = data.statistics(songs[:, data.MIX])
    codec.mean.copy_(torch.from_numpy(mean))
    codec.spread.copy_(torch.from_numpy(spread))
    held_out = codec.standardise(torch.from_numpy(songs[-16:, data.MIX].astype(np.float32)))
    optimizer = torch.optim.AdamW(codec.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=0.01)
    weight = torch.ones(64)
    weight[SEMITONES:] = 2.0
    started = time.time()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1.0, (step + 1) / 100) * (0.02 + 0.98 * min(1.0, 2 * (1 - step / steps)))
        rows = rng.integers(0, len(songs) - 16, batch)
        starts = rng.integers(0, songs.shape[2] - 100, batch)
        which = np.where(rng.random(batch) < 0.8, data.MIX, rng.integers(1, 3, batch))
        clips = np.stack([songs[r, w, s : s + 100] for r, w, s in zip(rows, which, starts, strict=True)])
        latents = codec.standardise(torch.from_numpy(clips))
        loss = ((codec.rebuild(latents) - latents).square() * weight).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
        optimizer.step()
        if step % 200 == 199 or step == steps - 1:
            with torch.no_grad():
                error = F.mse_loss(codec.hints(held_out), held_out)
                used = codec.codes(held_out).unique().numel()
            spent = time.time() - started
            print(
                f"codes {step + 1}/{steps} {spent:.0f}s held-out error {error:.4f} of 1, {used} codes used", flush=True
            )
    return codec


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
        codec = train(steps, BATCH)
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
