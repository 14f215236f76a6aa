"""Trains the mini text encoder, condition encoder and DiT; `make mini` runs it and resumes where it stopped.

Five stages (reasons in docs/log.md): the text encoder learns to name what a prompt says; the DiT learns to pick the
clock that a prompt's tempo means; then the average song of a prompt at t = 1; then the flow from noise to songs, with
and without a prompt; then the turbo model learns to give at once what classifier-free guidance gives in two passes.
"""

from __future__ import annotations

import argparse
import copy
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from mini import data, probe
from mini.composer import Song, draw_song
from mini.composer.song import GENRES, TRACKS
from mini.composer.tempo import CLOCKS, snap
from mini.network import TEXT_WIDTH, WIDTH, Mini
from mini.prompts import make_tokenizer, prompt_of, tokenise
from studio.engine.spectral.layout import SEMITONES

CLIP = 150  # frames of a usual clip: 6 s
LONG_CLIP = 300
STATE = data.WORK / "train.pt"
HARMONICS = (1, 2, 4)  # of the beat, that the states are asked for
STAGES = ("text", "clock", "mean", "flow", "guide")
PEAK_RATES = {"text": 2e-3, "clock": 2e-3, "mean": 1.6e-3, "flow": 1.6e-3, "guide": 4e-4}
UNPROMPTED = 0.12  # share of the flow stage's clips that get the null condition instead of their prompt
GUIDANCE = 2.0  # scale of classifier-free guidance that the turbo model takes over
DETAIL = 2.0  # weight of the latents above the semitones (brightness, noise bands, hits) in the loss


class Trainer:
    """Model, optimiser and position in the schedule; everything a resumed run needs."""

    def __init__(self, steps: dict[str, int], device: str, batch: int) -> None:
        self.steps, self.device, self.batch = steps, device, batch
        self.tokenizer = make_tokenizer(data.WORK / "tokenizer")
        torch.manual_seed(0)
        self.model = Mini(len(self.tokenizer)).to(device)
        self.heads = nn.Linear(TEXT_WIDTH, CLOCKS + 4 + 24 + len(GENRES) + len(TRACKS)).to(device)
        self.beat = nn.Linear(WIDTH, 2 * len(HARMONICS)).to(device)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.teacher = copy.deepcopy(self.model).requires_grad_(False)
        self.songs = np.zeros((0, 0, 0), np.float16)  # read when the first stage that needs them begins
        self.facts: list[Song] = []
        self.mean = self.spread = np.zeros(0, np.float32)
        self.stage, self.step, self.optimizer = STAGES[0], 0, self._optimizer(STAGES[0])
        self.rng = np.random.default_rng(0)
        self.seconds = 0.0

    def _optimizer(self, stage: str) -> torch.optim.AdamW:
        """Text encoder first, then everything else: trained on, the text encoder forgets the tempo it was taught."""
        self.model.text.requires_grad_(stage == "text")
        parts = [self.model.text, self.heads] if stage == "text" else [self.model.condition, self.model.dit, self.beat]
        parameters = [parameter for part in parts for parameter in part.parameters()]
        return torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01)

    def save(self) -> None:
        """Write everything to disk, whole or not at all."""
        content = {
            "model": self.model.state_dict(),
            "heads": self.heads.state_dict(),
            "beat": self.beat.state_dict(),
            "average": self.average.state_dict(),
            "teacher": self.teacher.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "stage": self.stage,
            "step": self.step,
            "mean": torch.from_numpy(self.mean),
            "spread": torch.from_numpy(self.spread),
            "torch": torch.get_rng_state(),
            "rng": self.rng.bit_generator.state,
            "seconds": self.seconds,
        }
        temporary = STATE.with_suffix(".tmp")
        torch.save(content, temporary)
        temporary.rename(STATE)

    def resume(self) -> None:
        """Continue from the last save, if there is one."""
        if not STATE.exists():
            return
        content = torch.load(STATE, map_location=self.device, weights_only=False)
        self.model.load_state_dict(content["model"])
        self.heads.load_state_dict(content["heads"])
        self.beat.load_state_dict(content["beat"])
        self.average.load_state_dict(content["average"])
        self.teacher.load_state_dict(content["teacher"])
        self.stage, self.step, self.seconds = content["stage"], content["step"], content["seconds"]
        self.optimizer = self._optimizer(self.stage)
        self.optimizer.load_state_dict(content["optimizer"])
        self.mean, self.spread = content["mean"].numpy(), content["spread"].numpy()
        torch.set_rng_state(content["torch"].cpu())
        self.rng.bit_generator.state = content["rng"]
        print(f"resumed {self.stage} at step {self.step}", flush=True)

    def run(self, save_every: float = 120.0) -> None:
        """Train every remaining stage, saving as it goes."""
        while True:
            if self.stage != "text":
                self._load_songs()
            started, last, losses = time.time(), time.time(), []
            while self.step < self.steps[self.stage]:
                losses.append(self._train_step())
                self.step += 1
                if time.time() - last > save_every or self.step == self.steps[self.stage]:
                    self.seconds += time.time() - last
                    self._report(losses, time.time() - started)
                    losses, last = [], time.time()
                    self.save()
            if self.stage == STAGES[-1]:
                return
            if self.stage == "text":
                self._show_tempo()
            if self.stage == "flow":
                self.teacher.load_state_dict(self.average.state_dict())
                self.model.load_state_dict(self.average.state_dict())
            self.average.load_state_dict(self.model.state_dict())
            self.stage, self.step = STAGES[STAGES.index(self.stage) + 1], 0
            self.optimizer = self._optimizer(self.stage)

    @torch.no_grad()
    def _show_tempo(self) -> None:
        """Let the text projector say aloud, from the start, which clock the text encoder has learned to read."""
        generator = torch.Generator().manual_seed(0)
        directions = torch.linalg.qr(torch.randn(WIDTH, CLOCKS, generator=generator)).Q.to(self.device)
        self.model.condition.text_projector.weight += 0.7 * directions @ self.heads.weight[:CLOCKS]

    def _load_songs(self) -> None:
        self.songs = data.load_songs()
        self.facts = [draw_song(seed) for seed in range(len(self.songs))]
        if not self.mean.size:
            self.mean, self.spread = data.statistics(self.songs)

    def _report(self, losses: list[float], elapsed: float) -> None:
        line = f"{self.stage} {self.step}/{self.steps[self.stage]} {elapsed:.0f}s loss {np.mean(losses):.4f}"
        if self.stage == "text":
            print(line, self._text_scores(), flush=True)
            return
        flowing = self.stage in ("flow", "guide")
        t, model = (0.9, self.average) if flowing else (1.0, self.model)
        print(line, probe.prompt_swap(model, self.tokenizer, self.mean, self.spread, t), flush=True)

    def _train_step(self) -> float:
        done = self.step / self.steps[self.stage]
        for group in self.optimizer.param_groups:
            group["lr"] = (
                PEAK_RATES[self.stage] * min(1.0, (self.step + 1) / 60) * (0.02 + 0.98 * min(1.0, 2.2 * (1 - done)))
            )
        loss = self._text_loss(self._draw(32)) if self.stage == "text" else self._clip_loss()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        if self.stage in ("flow", "guide"):
            self._follow()
        return float(loss.detach())

    @torch.no_grad()
    def _follow(self) -> None:
        rate = 0.02 if self.stage == "flow" and self.step < 400 else 0.002
        for kept, new in zip(self.average.parameters(), self.model.parameters(), strict=True):
            kept.lerp_(new, rate)

    def _draw(self, count: int) -> list[Song]:
        return [draw_song(int(seed)) for seed in self.rng.integers(1_000_000, 9_000_000, count)]

    def _tokens(self, songs: list[Song]) -> list[Tensor]:
        prompts = [prompt_of(song, self.rng) for song in songs]
        captions = tokenise(self.tokenizer, [caption for caption, _ in prompts])
        lyrics = tokenise(self.tokenizer, [lyrics for _, lyrics in prompts])
        return [part.to(self.device) for part in (*captions, *lyrics)]

    def _clip_loss(self) -> Tensor:
        """Flow matching: predict noise minus data at a random t; before the flow stage from nothing, at t = 1."""
        frames = self._frames()
        batch = max(4, self.batch * CLIP // frames)
        rows = self.rng.integers(0, len(self.songs), batch)
        starts = self._starts(batch, frames)
        clips = np.stack([self.songs[row, start : start + frames] for row, start in zip(rows, starts, strict=True)])
        clean = torch.from_numpy((clips.astype(np.float32) - self.mean) / self.spread).to(self.device)
        tokens = self._tokens([self.facts[row] for row in rows])
        states, mask = self.model.encode(*tokens)
        context = self.model.context(torch.from_numpy(starts).to(self.device), frames)
        if self.stage == "mean":
            velocity = self.model.velocity(torch.zeros_like(clean), clean.new_ones(batch), states, mask, context)
            return self._squared(velocity + clean) + self._beat_loss(context, rows).mean()
        t = torch.sigmoid(torch.randn(batch) + 0.6)
        t = torch.where(torch.rand(batch) < 0.35, torch.full_like(t, 0.999), t).to(self.device)
        noise = torch.randn_like(clean)
        noisy = torch.lerp(clean, noise, t[:, None, None])
        prompted = torch.ones(batch, device=self.device)
        if self.stage == "flow":
            prompted = (torch.rand(batch) >= UNPROMPTED).float().to(self.device)
            states = torch.where(prompted[:, None, None] > 0, states, self.model.condition.null_condition_emb)
        wanted = self._guided(noisy, t, tokens, context) if self.stage == "guide" else noise - clean
        loss = self._squared(self.model.velocity(noisy, t, states, mask, context) - wanted)
        beat = (self._beat_loss(context, rows) * prompted).mean()
        return loss / 4 + 2 * beat if self.stage == "clock" else loss + beat

    def _squared(self, error: Tensor) -> Tensor:
        """Mean square, with more weight on what makes hits and brightness."""
        weight = torch.ones(error.shape[-1], device=self.device)
        weight[SEMITONES:] = DETAIL
        return (error.square() * weight / weight.mean()).mean()

    @torch.no_grad()
    def _guided(self, noisy: Tensor, t: Tensor, tokens: list[Tensor], context: Tensor) -> Tensor:
        """The teacher's velocity with classifier-free guidance `[B, T, 64]`."""
        states, mask = self.teacher.encode(*tokens)
        nothing = self.teacher.condition.null_condition_emb.expand_as(states)
        with_prompt = self.teacher.velocity(noisy, t, states, mask, context)
        without = self.teacher.velocity(noisy, t, nothing, mask, context)
        return without + GUIDANCE * (with_prompt - without)

    def _frames(self) -> int:
        """Length of this step's clips; the clock stage grows them, for near the start all clocks still agree."""
        if self.stage == "clock":
            return 40 + 2 * int(55 * self.step / self.steps["clock"])
        return LONG_CLIP if self.step % 4 == 3 else CLIP

    def _starts(self, batch: int, frames: int) -> NDArray[np.int64]:
        """First frames of the clips: always the beginning at first, half the time later."""
        later = self.rng.integers(0, self.songs.shape[1] - frames + 1, batch)
        share = 0.0 if self.stage == "clock" else min(0.5, self.step / self.steps[self.stage])
        return np.where(self.rng.random(batch) < share, later, 0)

    def _beat_loss(self, context: Tensor, rows: NDArray[np.int64]) -> Tensor:
        """How badly the states after two layers name the place in the beat `[B]`: cosine and sine of its harmonics.

        Without this the noise of real music teaches the tempo only slowly (docs/log.md).
        """
        cosine, sine = self._clock(context, rows)
        phase = torch.atan2(sine, cosine)[:, ::2, 0]  # one DiT token is two frames
        parts = [wave(order * phase) for order in HARMONICS for wave in (torch.cos, torch.sin)]
        named = self.beat(F.rms_norm(self.model.beat_states, (WIDTH,)))
        return 0.3 * (named - torch.stack(parts, dim=-1)).square().mean((1, 2))

    def _clock(self, context: Tensor, rows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Cosine and sine of the clock of each song's tempo, each `[B, T, 1]`."""
        clocks = torch.tensor([snap(self.facts[row].bpm)[1] for row in rows], device=self.device)
        columns = torch.stack([clocks, clocks + CLOCKS], dim=1)[:, None].expand(-1, context.shape[1], -1)
        cosine, sine = context.gather(2, columns).split(1, dim=-1)
        return cosine, sine

    def _text_logits(self, songs: list[Song]) -> tuple[Tensor, ...]:
        captions = [prompt_of(song, self.rng)[0] for song in songs]
        tokens, mask = (part.to(self.device) for part in tokenise(self.tokenizer, captions))
        states = self.model.text(input_ids=tokens, attention_mask=mask).last_hidden_state
        ends = mask.sum(1)
        last = torch.stack([states[row, end - 14 : end] for row, end in enumerate(ends.tolist())])
        return self.heads(last).split([CLOCKS, 4, 24, len(GENRES), len(TRACKS)], dim=-1)

    def _text_targets(self, songs: list[Song]) -> tuple[Tensor, Tensor]:
        rows = []
        for song in songs:
            _, clock, fold = snap(song.bpm)
            rows.append([clock, fold + 1, song.tonic + 12 * song.minor, list(GENRES).index(song.genre)])
        tracks = [[float(track in song.tracks) for track in TRACKS] for song in songs]
        return torch.tensor(rows, device=self.device), torch.tensor(tracks, device=self.device)

    def _text_loss(self, songs: list[Song]) -> Tensor:
        """Each of the last tokens must know tempo, key, style and instruments."""
        *logits, tracks = self._text_logits(songs)
        wanted, present = self._text_targets(songs)
        loss = F.binary_cross_entropy_with_logits(tracks, present[:, None].expand_as(tracks))
        for column, part in enumerate(logits):
            target = wanted[:, column].repeat_interleave(part.shape[1])
            loss = loss + F.cross_entropy(part.flatten(0, 1), target)
        return loss

    @torch.no_grad()
    def _text_scores(self) -> dict[str, float]:
        songs = self._draw(256)
        *logits, tracks = self._text_logits(songs)
        wanted, present = self._text_targets(songs)
        names = ("clock", "fold", "key", "genre")
        scores = {
            name: float((part[:, -1].argmax(-1) == wanted[:, column]).float().mean())
            for column, (name, part) in enumerate(zip(names, logits, strict=True))
        }
        return scores | {"tracks": float(((tracks[:, -1] > 0) == (present > 0)).float().mean())}


def main() -> None:
    """Train with the given budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=int, default=1200, help="steps of the first stage")
    parser.add_argument("--clock", type=int, default=400, help="steps of the second stage")
    parser.add_argument("--mean", type=int, default=600, help="steps of the third stage")
    parser.add_argument("--flow", type=int, default=5000, help="steps of the fourth stage")
    parser.add_argument("--guide", type=int, default=700, help="steps of the fifth stage")
    parser.add_argument("--batch", type=int, default=16, help="clips of 6 s a step")
    parser.add_argument("--shards", type=int, default=16, help="shards of 250 songs to render first")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=Path("data/models"))
    options = parser.parse_args()
    data.make_shards(options.shards, options.threads)
    torch.set_num_threads(options.threads)
    trainer = Trainer({stage: getattr(options, stage) for stage in STAGES}, options.device, options.batch)
    trainer.resume()
    trainer.run()
    from mini.export import NAMES, export

    for family, name in NAMES.items():
        export(options.out / name, family)


if __name__ == "__main__":
    main()
