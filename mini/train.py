"""Trains the mini text encoder, condition encoder and DiT; `make mini` runs it and resumes where it stopped.

Six stages (reasons in docs/log.md): the text encoder learns to name what a prompt says; the DiT learns to pick the
clock that a prompt's tempo means; then the average of what a task asks for, at t = 1; then the flow from noise to
sound for all six tasks, with and without a prompt; then to take tracks out of a mix: that has one right answer, and
the flow leads to its mean instead of a draw; then the turbo model learns to give at once what classifier-free guidance
gives in two passes.
"""

from __future__ import annotations

import argparse
import copy
import shutil
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mini import codes, data, probe
from mini.clips import Clipper, Clips
from mini.composer import draw_song
from mini.composer.tempo import CLOCKS, snap
from mini.export import NAMES, export, halfway, read_weights
from mini.network import WIDTH, Mini
from mini.prompts import make_tokenizer, tokenise
from mini.reading import draw_reading, new_heads, reading_loss, reading_scores
from studio.engine.spectral.layout import NOISE, SEMITONES

CLIP = 150  # frames of a usual clip: 6 s
LONG_CLIP = 300
STATE = data.WORK / "train.pt"
HARMONICS = (1, 2, 4)  # of the beat, that the states are asked for
STAGES = ("text", "clock", "mean", "flow", "stems", "guide")
PEAK_RATES = {"text": 2e-3, "clock": 2e-3, "mean": 1.6e-3, "flow": 1.6e-3, "stems": 8e-4, "guide": 4e-4}
FOLLOWING = {"flow": 0.002, "stems": 0.01, "guide": 0.002}  # share of the new weights in the average, each step
TEXT_ONLY = {"text2music": 1.0}
SIX = {"text2music": 0.46, "cover": 0.14, "repaint": 0.06, "extract": 0.18, "lego": 0.08, "complete": 0.08}
SHARES = {
    "clock": TEXT_ONLY,
    "mean": SIX,
    "flow": SIX,
    "stems": {"text2music": 0.14, "cover": 0.04, "repaint": 0.03, "extract": 0.66, "lego": 0.07, "complete": 0.06},
    "guide": {"text2music": 0.7, "cover": 0.2, "repaint": 0.1},
}
UNPROMPTED = 0.12  # share of the flow and stems stages' clips that get the null condition instead of their prompt
GUIDANCE = 2.0  # scale of classifier-free guidance that the turbo model takes over
DETAIL = 2.0  # weight of the latents above the semitones (brightness, noise bands, hits) in the loss
BACK = 0.85  # of the stems stage after which the flow's shares come back, for the other tasks were forgotten a little
LOUD = 2.0  # weight of a stem's amplitudes in the loss of the stems stage


class Trainer:
    """Model, optimiser and position in the schedule; everything a resumed run needs."""

    def __init__(self, steps: dict[str, int], device: str, batch: int, gentle: float = 1.0) -> None:
        self.steps, self.device, self.batch, self.gentle = steps, device, batch, gentle
        self.tokenizer = make_tokenizer(data.WORK / "tokenizer")
        torch.manual_seed(0)
        self.model = Mini(len(self.tokenizer)).to(device)
        self.heads = new_heads().to(device)
        self.beat = nn.Linear(WIDTH, 2 * len(HARMONICS)).to(device)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.teacher = copy.deepcopy(self.model).requires_grad_(False)
        self.clipper: Clipper | None = None  # made when the first stage that needs songs begins
        self.stage, self.step, self.optimizer = STAGES[0], 0, self._optimizer(STAGES[0])
        self.rng = np.random.default_rng(0)
        self.losses: dict[str, list[float]] = {}  # of each task since the last report
        self.seconds = 0.0

    def _optimizer(self, stage: str) -> torch.optim.AdamW:
        """Text encoder first, then everything else: trained on, the text encoder forgets the tempo it was taught.

        The stage about stems is only the DiT's: the conditions tell the tracks already.
        """
        self.model.text.requires_grad_(stage == "text")
        self.model.condition.requires_grad_(stage != "stems")
        parts = [self.model.text, self.heads] if stage == "text" else [self.model.condition, self.model.dit, self.beat]
        parameters = [parameter for part in parts for parameter in part.parameters()]
        return torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01)

    @property
    def _modules(self) -> dict[str, nn.Module]:
        return {
            "model": self.model,
            "heads": self.heads,
            "beat": self.beat,
            "average": self.average,
            "teacher": self.teacher,
        }

    def save(self) -> None:
        """Write everything to disk, whole or not at all."""
        content = {name: module.state_dict() for name, module in self._modules.items()}
        content |= {
            "optimizer": self.optimizer.state_dict(),
            "stage": self.stage,
            "step": self.step,
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
        for name, module in self._modules.items():
            module.load_state_dict(content[name])
        self.stage, self.step, self.seconds = content["stage"], content["step"], content["seconds"]
        self.optimizer = self._optimizer(self.stage)
        self.optimizer.load_state_dict(content["optimizer"])
        torch.set_rng_state(content["torch"].cpu())
        self.rng.bit_generator.state = content["rng"]
        print(f"resumed {self.stage} at step {self.step}", flush=True)

    def take_over(self, models: Path, stage: str) -> None:
        """Begin `stage` with exported weights instead of the stages before it; the base model is the teacher."""
        for family, modules in (("base", [self.teacher, self.model]), ("turbo", [self.model])):
            if family == "turbo" and stage != "guide":
                continue
            weights = read_weights(models / NAMES[family])
            for module in modules:
                module.load_state_dict(weights)
        self.average.load_state_dict(self.model.state_dict())
        self.stage, self.optimizer = stage, self._optimizer(stage)

    def run(self, last: str, save_every: float = 120.0) -> None:
        """Train every remaining stage up to `last`, saving as it goes."""
        while True:
            if self.stage != "text":
                self._load_songs()
            started, saved, losses = time.time(), time.time(), []
            while self.step < self.steps[self.stage]:
                losses.append(self._train_step())
                self.step += 1
                if time.time() - saved > save_every or self.step == self.steps[self.stage]:
                    self.seconds += time.time() - saved
                    self._report(losses, time.time() - started)
                    losses, saved = [], time.time()
                    self.save()
            if self.stage == last:
                return
            if self.stage == "text":
                self._show_tempo()
            if self.stage in ("flow", "stems"):
                if self.stage == "stems":
                    self.average.load_state_dict(halfway(self.teacher.state_dict(), self.average.state_dict()))
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
        songs = data.load_songs("stems" if self.stage == "stems" else "songs")
        facts = [draw_song(int(seed)) for seed in songs.seeds]
        self.clipper = Clipper(songs, facts, codes.load_codec(), self.rng)

    def _report(self, losses: list[float], elapsed: float) -> None:
        line = f"{self.stage} {self.step}/{self.steps[self.stage]} {elapsed:.0f}s loss {np.mean(losses):.4f}"
        if self.stage == "text":
            print(line, reading_scores(self.model, self.heads, self.tokenizer, self.rng), flush=True)
            return
        assert self.clipper is not None
        each = {name: round(float(np.mean(values)), 3) for name, values in sorted(self.losses.items())}
        self.losses = {}
        if self.stage == "stems":  # what the probe asks is not taught here
            print(line, each, flush=True)
            return
        flowing = self.stage in FOLLOWING
        t, model = (0.9, self.average) if flowing else (1.0, self.model)
        print(line, each, probe.prompt_swap(model, self.tokenizer, self.clipper.codec, t), flush=True)

    def _train_step(self) -> float:
        done = self.step / self.steps[self.stage]
        for group in self.optimizer.param_groups:
            group["lr"] = (
                self.gentle
                * PEAK_RATES[self.stage]
                * min(1.0, (self.step + 1) / 60)
                * (0.02 + 0.98 * min(1.0, 2.2 * (1 - done)))
            )
        if self.stage == "text":
            loss = reading_loss(self.model, self.heads, self.tokenizer, draw_reading(32, self.rng))
        else:
            loss = self._clip_loss()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        if self.stage in FOLLOWING:
            self._follow()
        return float(loss.detach())

    @torch.no_grad()
    def _follow(self) -> None:
        rate = 0.02 if self.stage == "flow" and self.step < 400 else FOLLOWING[self.stage]
        for kept, new in zip(self.average.parameters(), self.model.parameters(), strict=True):
            kept.lerp_(new, rate)

    def _condition(self, clips: Clips) -> list[Tensor]:
        """Everything `Mini.encode` reads."""
        captions = tokenise(self.tokenizer, [caption for caption, _ in clips.prompts])
        lyrics = tokenise(self.tokenizer, [lyrics for _, lyrics in clips.prompts])
        return [part.to(self.device) for part in (*captions, *lyrics, clips.references, clips.whose)]

    def _clip_loss(self) -> Tensor:
        """Flow matching: predict noise minus data at a random t; before the flow stage from nothing, at t = 1."""
        assert self.clipper is not None
        frames = self._frames()
        batch = max(4, self.batch * CLIP // frames)
        later = {"clock": 0.0, "stems": 0.5}.get(self.stage, min(0.5, self.step / self.steps[self.stage]))
        back = self.stage == "stems" and self.step > BACK * self.steps["stems"]
        clips = self.clipper.batch(self.model, SIX if back else SHARES[self.stage], batch, frames, later)
        clean, context = clips.clean.to(self.device), clips.context.to(self.device)
        told = self._condition(clips)
        states, mask = self.model.encode(*told)
        clocked = clips.clocked.to(self.device)
        if self.stage == "mean":
            velocity = self.model.velocity(torch.zeros_like(clean), clean.new_ones(batch), states, mask, context)
            return self._squared(velocity + clean, clips) + self._beat_loss(clips, clocked)
        t = torch.sigmoid(torch.randn(batch) + 0.6)
        t = torch.where(torch.rand(batch) < 0.35, torch.full_like(t, 0.999), t).to(self.device)
        noise = torch.randn_like(clean)
        if self.stage in ("flow", "stems"):
            prompted = (torch.rand(batch) >= UNPROMPTED).float().to(self.device)
            clocked = clocked * prompted
            states = torch.where(prompted[:, None, None] > 0, states, self.model.condition.null_condition_emb)
        end = self._first_guess(clips, noise, states, mask, context) if self.stage == "stems" else clean
        noisy = torch.lerp(end, noise, t[:, None, None])
        wanted = self._guided(noisy, t, told, context) if self.stage == "guide" else noise - clean
        velocity = self.model.velocity(noisy, t, states, mask, context)
        loss = self._squared(velocity - wanted, clips)
        if self.stage == "stems":
            return loss + LOUD * self._loud_loss(noise - velocity, clips)
        beat = self._beat_loss(clips, clocked)
        return loss / 4 + 2 * beat if self.stage == "clock" else loss + beat

    def _squared(self, error: Tensor, clips: Clips) -> Tensor:
        """Mean square, with more weight on what makes hits and brightness, and less outside a span."""
        weight = torch.ones(error.shape[-1], device=self.device)
        weight[SEMITONES:] = DETAIL
        each = (error.square() * (weight / weight.mean()) * clips.weight.to(self.device)).mean((1, 2))
        for task, value in zip(clips.tasks, each.detach().tolist(), strict=True):
            self.losses.setdefault(task.name, []).append(value)
        return each.mean()

    @torch.no_grad()
    def _first_guess(self, clips: Clips, noise: Tensor, states: Tensor, mask: Tensor, context: Tensor) -> Tensor:
        """Where the way from `noise` leads to `[B, T, 64]`: for extract to what the model itself guesses from the mix.

        A way to the true stem would tell, with less and less noise, what is not in the mix's latents, and the model
        would learn to make it up.
        """
        end = clips.clean.to(self.device, copy=True)
        if not (rows := _extracts(clips)):
            return end
        ones = end.new_ones(len(rows))
        end[rows] = noise[rows] - self.model.velocity(noise[rows], ones, states[rows], mask[rows], context[rows])
        return end

    def _loud_loss(self, made: Tensor, clips: Clips) -> Tensor:
        """How much of a stem's amplitudes is missed; in the latents, which are levels, soft and loud count alike."""
        assert self.clipper is not None
        rows = _extracts(clips)
        codec = self.clipper.codec
        stem, mix, made = (
            10 ** ((part[rows] * codec.spread + codec.mean)[..., : NOISE.stop].clamp(max=0) / 2)
            for part in (clips.clean, clips.context[..., :64], made.cpu())
        )
        missed, whole = (made - stem).square().sum((1, 2)), stem.square().sum((1, 2)) + 0.05 * mix.square().sum((1, 2))
        each = missed / whole
        self.losses.setdefault("loud", []).extend(each.detach().tolist())
        return each.sum() / len(clips.tasks)

    @torch.no_grad()
    def _guided(self, noisy: Tensor, t: Tensor, told: list[Tensor], context: Tensor) -> Tensor:
        """The teacher's velocity with classifier-free guidance `[B, T, 64]`."""
        states, mask = self.teacher.encode(*told)
        nothing = self.teacher.condition.null_condition_emb.expand_as(states)
        with_prompt = self.teacher.velocity(noisy, t, states, mask, context)
        without = self.teacher.velocity(noisy, t, nothing, mask, context)
        return without + GUIDANCE * (with_prompt - without)

    def _frames(self) -> int:
        """Length of this step's clips; the clock stage grows them, for near the start all clocks still agree."""
        if self.stage == "clock":
            return 40 + 2 * int(55 * self.step / self.steps["clock"])
        return LONG_CLIP if self.step % 4 == 3 else CLIP

    def _beat_loss(self, clips: Clips, share: Tensor) -> Tensor:
        """How badly the states after two layers name the place in the beat: cosine and sine of its harmonics.

        Only clips with a `share` `[B]` above zero count. Without this the noise of real music teaches the tempo only
        slowly (docs/log.md).
        """
        assert self.clipper is not None
        clocks = torch.tensor([snap(self.clipper.facts[row].bpm)[1] for row in clips.rows])
        columns = torch.stack([clocks, clocks + CLOCKS], dim=1)[:, None].expand(-1, clips.context.shape[1], -1)
        cosine, sine = clips.context.gather(2, columns).to(self.device).split(1, dim=-1)
        phase = torch.atan2(sine, cosine)[:, ::2, 0]  # one DiT token is two frames
        parts = [wave(order * phase) for order in HARMONICS for wave in (torch.cos, torch.sin)]
        named = self.beat(F.rms_norm(self.model.beat_states, (WIDTH,)))
        missed = (named - torch.stack(parts, dim=-1)).square().mean((1, 2))
        return 0.3 * (missed * share).sum() / share.sum().clamp(min=1)


def _extracts(clips: Clips) -> list[int]:
    """The clips of a batch in which a track is taken out of a mix."""
    return [row for row, task in enumerate(clips.tasks) if task.name == "extract"]


def take_parts(folder: Path) -> None:
    """Begin with the tokenizer and the codec of an exported checkpoint, where this folder has none of its own."""
    if not (data.WORK / "tokenizer").exists():
        shutil.copytree(folder / "tokenizer", data.WORK / "tokenizer")
    if not codes.STATE.exists():
        torch.save(codes.read_codec(folder).state_dict(), codes.STATE)


def main() -> None:
    """Train with the given budget."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=int, default=1500, help="steps of the first stage")
    parser.add_argument("--clock", type=int, default=400, help="steps of the second stage")
    parser.add_argument("--mean", type=int, default=800, help="steps of the third stage")
    parser.add_argument("--flow", type=int, default=5000, help="steps of the fourth stage")
    parser.add_argument("--stems", type=int, default=800, help="steps of the fifth stage")
    parser.add_argument("--guide", type=int, default=700, help="steps of the sixth stage")
    parser.add_argument("--codes", type=int, default=2500, help="steps of the audio tokenizer, before the rest")
    parser.add_argument("--batch", type=int, default=16, help="clips of 6 s a step")
    parser.add_argument("--shards", type=int, default=16, help="shards of 250 songs to render first")
    parser.add_argument("--stem-shards", type=int, default=3, help="shards of 50 songs for the fifth stage")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--earlier", choices=STAGES[3:], help="stage to begin with, on the exported models")
    parser.add_argument("--last", choices=STAGES[4:], default=STAGES[-1], help="stage to end with; turbo needs guide")
    parser.add_argument(
        "--gentle", type=float, default=1.0, help="factor on all rates, for weights that are good already"
    )
    parser.add_argument("--out", type=Path, default=Path("data/models"))
    options = parser.parse_args()
    stages = STAGES[STAGES.index(options.earlier or STAGES[0]) : STAGES.index(options.last) + 1]
    if stages != ("stems",):
        data.make_shards(options.shards, options.threads)
    if "stems" in stages:
        data.make_shards(options.stem_shards, options.threads, stems=True)
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)  # sharp attention makes many tiny numbers, and those are slow on a CPU
    if options.earlier:
        take_parts(options.out / NAMES["base"])
    else:
        codes.make(options.codes)
    trainer = Trainer(
        {stage: getattr(options, stage) for stage in STAGES}, options.device, options.batch, options.gentle
    )
    if options.earlier and not STATE.exists():
        trainer.take_over(options.out, options.earlier)
    trainer.resume()
    trainer.run(options.last)
    for family, name in NAMES.items():
        if family == "base" or options.last == "guide":
            export(options.out / name, family)


if __name__ == "__main__":
    main()
