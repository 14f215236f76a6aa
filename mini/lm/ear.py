"""Teaches the model's first layers to hear tempo and key in codes, thirty times faster than whole examples would.

Only the layers below `POOL_LAYER` run, on codes alone; the mean of their states over a clip must name the tempo and the
key. Asked for nothing else they learn the songs by heart; so each state must also say how alike the hits of its code
and those of every frame up to 2.5 s before are (`echoes`), from which tempo follows.
`python -m mini.lm.ear` changes the saved state of `mini.lm.train`, which then goes on from there.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mini.composer.tempo import CLOCKS
from mini.lm.bank import Bank
from mini.lm.muon import HALVES, Muon
from mini.lm.network import POOL_LAYER, TEMPOS, WIDTH, Listener, echoes, labels_of
from mini.lm.train import Trainer

CLIP, BATCH = 90, 32  # codes of a clip, clips of a step
RATE = 4e-3
NEAR = 0.8  # spread of the wanted tempo, in steps of the tempo grid (2.4 %)


class Ear(nn.Module):
    """The first layers of the language model and what their mean is asked: tempo, its place in the octave, key."""

    def __init__(self, model: Listener, first_code: int) -> None:
        super().__init__()
        body = model.lm.model
        self.model, self.turns, self.first_code = model, body.rotary_emb, first_code
        self.layers = body.layers[:POOL_LAYER]
        self.clock, self.key = nn.Linear(WIDTH, CLOCKS), nn.Linear(WIDTH, 24)

    def forward(self, codes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits of tempo, clock and key `[B, classes]` and echoes `[B, N, 128]` of codes `[B, N]`."""
        states = F.embedding(codes + self.first_code, self.model.table())
        positions = torch.arange(codes.shape[1])[None]
        turns = self.turns(states, positions)
        for layer in self.layers:
            states = layer(states, attention_mask=None, position_ids=positions, position_embeddings=turns)
        mean = F.rms_norm(states.float().mean(1), (WIDTH,))
        echo = self.model.echo(F.rms_norm(states.float(), (WIDTH,)))
        return self.model.tempo(mean), self.clock(mean), self.key(mean), echo


def soft(classes: Tensor, count: int, *, around: bool) -> Tensor:
    """Wanted shares `[B, count]`: mostly the class itself and its neighbours, `around` the octave if asked."""
    distance = (torch.arange(count) - classes[:, None]).abs()
    if around:
        distance = torch.minimum(distance, count - distance)
    return (-0.5 * (distance / NEAR) ** 2).softmax(-1)


def train(trainer: Trainer, steps: int) -> None:
    """Teach; prints how often held-out songs' tempo and key are right."""
    torch.manual_seed(1)
    bank, ear = trainer.bank, Ear(trainer.model, trainer.vocabulary.first_code)
    truth = np.array([labels_of(bank.song(row)) for row in range(len(bank.codes))])
    lengths = (bank.codes >= 0).sum(1)
    held_out = np.flatnonzero(bank.held_out & bank.unchanged)
    matrices = [part for part in ear.layers.parameters() if part.ndim == 2]
    model = trainer.model
    heads = [model.tempo, model.echo, ear.clock, ear.key]
    rest = [part for module in heads for part in module.parameters()]
    rest += [part for part in ear.layers.parameters() if part.ndim != 2]
    rest += [model.hit_rows, model.note_rows, model.lm.get_input_embeddings().weight]
    size = float(echoes(bank.chunks, bank.codes[:64, :CLIP].clip(0)).std())
    muon = Muon(matrices, lr=RATE, weight_decay=0.02)
    adam = torch.optim.AdamW(rest, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.0)
    rng, started, losses = np.random.default_rng(1), time.time(), list[tuple[float, float]]()
    for step in range(steps):
        share = min(1.0, (step + 1) / 50) * min(1.0, 2 * (1 - step / steps) + 0.02)
        muon.param_groups[0]["lr"], adam.param_groups[0]["lr"] = RATE * share, 1e-3 * share
        rows = rng.choice(trainer.rows, BATCH)
        starts = rng.integers(0, lengths[rows] - CLIP + 1)
        codes = np.stack([bank.codes[row, at : at + CLIP] for row, at in zip(rows, starts, strict=True)]).astype(
            np.int64
        )
        tempo, key = torch.from_numpy(truth[rows, 0]), torch.from_numpy(truth[rows, 1])
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=HALVES):
            said = [part.float() for part in ear(torch.from_numpy(codes))]
        heard = F.cross_entropy(said[0], soft(tempo, TEMPOS, around=False))
        heard = heard + F.cross_entropy(said[1], soft(tempo % CLOCKS, CLOCKS, around=True))
        echo = F.mse_loss(said[3], echoes(bank.chunks, codes) / size)
        loss = heard + 0.3 * F.cross_entropy(said[2], key) + 2 * echo
        for optimizer in (muon, adam):
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_([*matrices, *rest], 1.0)
        muon.step()
        adam.step()
        losses.append((float(heard.detach()), float(echo.detach())))
        if step % 200 == 199 or step == steps - 1:
            told, again = np.mean(losses, 0)
            spent = time.time() - started
            print(f"ear {step + 1}/{steps} {spent:.0f}s tempo {told:.3f} echo {again:.3f}", flush=True)
            print("   ", scores(ear, bank, held_out, truth), flush=True)
            losses.clear()
            trainer.average.load_state_dict(trainer.model.state_dict())
            trainer.save()


@torch.no_grad()
def scores(ear: Ear, bank: Bank, rows: NDArray[np.int64], truth: NDArray[np.int64]) -> dict[str, float]:
    """Share of songs whose tempo is within one step, the same with octaves allowed, and whose key is right."""
    tempo, _, key, _ = ear(torch.from_numpy(bank.codes[rows].astype(np.int64)))
    error = np.abs(tempo.argmax(1).numpy() - truth[rows, 0])
    octave = np.minimum(error % CLOCKS, CLOCKS - error % CLOCKS)
    right = key.argmax(1).numpy() == truth[rows, 1]
    return {"tempo": float(np.mean(error <= 1)), "octave": float(np.mean(octave <= 1)), "key": float(np.mean(right))}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--earlier", type=Path, help="folder of an exported model to begin with instead of chance")
    torch.set_num_threads(1)
    options = parser.parse_args()
    trainer = Trainer(0, options.earlier)
    trainer.resume()
    train(trainer, options.steps)
