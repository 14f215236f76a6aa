"""Training clips of every task: what the DiT should make, what it may hear, where, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mini.codes import Codec
from mini.composer import Song
from mini.composer.song import TRACKS
from mini.data import MIX, REST, STEM, Songs
from mini.network import REFERENCE_FRAMES, Mini
from mini.prompts import bare_prompt, prompt_of

TASKS = ("text2music", "cover", "repaint", "extract", "lego", "complete")
STEM_TASKS = ("extract", "lego", "complete")
UNSAID = {"repaint": 0.1, "cover": 0.1, "extract": 0.5, "lego": 0.3, "complete": 0.3}  # share of prompts without words
FEWER = {REST: 0.3, STEM: 0.1}  # share of the songs made from text that are made without one track, or with it alone
REFERENCED = 0.25  # share of clips that get a reference of the same song
OUTSIDE = 0.1  # weight of the loss where the source is kept anyway


@dataclass(frozen=True, slots=True)
class Task:
    """What one clip of a batch is about."""

    name: str
    tracks: tuple[str, ...] = ()  # as the instruction names them
    source: int = MIX  # which version of the song is heard
    target: int = MIX


@dataclass(frozen=True, slots=True)
class Clips:
    """A batch; `[B, T, 64]` unless said otherwise, standardised."""

    rows: NDArray[np.int64]  # [B], songs
    tasks: tuple[Task, ...]
    prompts: tuple[tuple[str, str], ...]
    clean: Tensor
    context: Tensor  # [B, T, 128]
    weight: Tensor  # [B, T, 1], of the loss; its mean is 1
    references: Tensor  # [N, frames, 64]
    whose: Tensor  # [N], the clips they belong to

    @property
    def clocked(self) -> Tensor:
        """1 for clips whose context is the clocks of their own song `[B]`."""
        return torch.tensor([float(task.name == "text2music") for task in self.tasks])


def draw_task(name: str, song: Song, track: int, rng: np.random.Generator) -> Task:
    """Fill in versions and tracks; a song without separate tracks is made from text instead.

    The same song with and without its drums, each with a caption that says so, teaches what that word means.
    """
    if track < 0 or name not in (*STEM_TASKS, "text2music"):
        return Task("text2music" if name in STEM_TASKS else name)
    if name == "text2music":
        luck = rng.random()
        which = REST if luck < FEWER[REST] else STEM if luck < FEWER[REST] + FEWER[STEM] else MIX
        return Task(name, target=which)
    one = TRACKS[track]
    if name == "complete":
        others = tuple(other for other in song.tracks if other != one)
        if others and rng.random() < 0.5:
            return Task(name, others, STEM, MIX)
        return Task(name, (one,), REST, MIX)
    return Task(name, (one,), MIX if name == "extract" else REST, STEM)


def players(task: Task, song: Song, track: int) -> Song:
    """The song with the tracks that play in what a text asks for."""
    if task.name != "text2music" or task.target == MIX:
        return song
    one = TRACKS[track]
    return replace(song, tracks=(one,) if task.target == STEM else tuple(t for t in song.tracks if t != one))


def prompt_for(task: Task, song: Song, rng: np.random.Generator) -> tuple[tuple[str, str], bool]:
    """One wording for `task`, and whether it says anything about the song."""
    if rng.random() < UNSAID.get(task.name, 0.0):
        return bare_prompt(task.name, task.tracks, rng), False
    return prompt_of(song, rng, task.name, task.tracks), True


class Clipper:
    """Cuts batches from the songs."""

    def __init__(self, songs: Songs, facts: Sequence[Song], codec: Codec, rng: np.random.Generator) -> None:
        self.songs, self.facts, self.codec, self.rng = songs, facts, codec, rng

    def batch(self, model: Mini, shares: Mapping[str, float], size: int, frames: int, later: float) -> Clips:
        """`size` clips of `frames`, a share `later` of them from anywhere in the song instead of its beginning."""
        rng = self.rng
        rows = rng.integers(0, len(self.facts), size)
        names = rng.choice(list(shares), size, p=np.array([*shares.values()]) / sum(shares.values()))
        tasks = tuple(
            draw_task(str(name), self.facts[row], int(self.songs.tracks[row]), rng)
            for name, row in zip(names, rows, strict=True)
        )
        starts = np.where(rng.random(size) < later, rng.integers(0, self.songs.latents.shape[2] - frames + 1, size), 0)
        clean = self._cut(rows, [task.target for task in tasks], starts, frames)
        heard = self._cut(rows, [task.source for task in tasks], starts, frames)
        context, weight = self._context(model, tasks, heard, starts, later)
        asked = [
            players(task, self.facts[row], int(self.songs.tracks[row])) for task, row in zip(tasks, rows, strict=True)
        ]
        prompts = tuple(prompt_for(task, song, rng)[0] for task, song in zip(tasks, asked, strict=True))
        whose = np.flatnonzero(rng.random(size) < REFERENCED)
        moments = rng.integers(0, self.songs.latents.shape[2] - REFERENCE_FRAMES, len(whose))
        references = self._cut(rows[whose], [MIX] * len(whose), moments, REFERENCE_FRAMES)
        return Clips(rows, tasks, prompts, clean, context, weight, references, torch.from_numpy(whose))

    def _cut(self, rows: NDArray[np.int64], which: list[int], starts: NDArray[np.int64], frames: int) -> Tensor:
        if not len(rows):
            return torch.zeros(0, frames, self.songs.latents.shape[-1])
        cut = [
            self.songs.latents[row, one, start : start + frames]
            for row, one, start in zip(rows, which, starts, strict=True)
        ]
        return self.codec.standardise(torch.from_numpy(np.stack(cut)))

    def _context(
        self, model: Mini, tasks: tuple[Task, ...], heard: Tensor, starts: NDArray[np.int64], later: float
    ) -> tuple[Tensor, Tensor]:
        """Context and weight of the loss (engine.md 5.3)."""
        frames = heard.shape[1]
        # A source need not begin on its beat: what a repaint finds in the silence inside is then no clock of its song.
        foreign = np.array([task.name != "text2music" and self.rng.random() < later for task in tasks])
        silence = model.silence(torch.from_numpy(np.where(foreign, 0, starts)), frames).float()
        mask = torch.ones(len(tasks), frames, 1)
        source = heard.clone()
        for index, task in enumerate(tasks):
            if task.name == "text2music":
                source[index] = silence[index]
            if task.name in ("repaint", "lego"):
                first, last = self._span(frames, whole=0.5 if task.name == "lego" else 0.1)
                mask[index] = 0
                mask[index, first:last] = 1
                if task.name == "repaint":
                    source[index, first:last] = silence[index, first:last]
        covers = [index for index, task in enumerate(tasks) if task.name == "cover"]
        if covers:
            source[covers] = self.codec.hints(heard[covers])
        weight = mask + OUTSIDE * (1 - mask)
        weight = weight / weight.mean(1, keepdim=True)
        return torch.cat([source, mask.expand_as(source)], dim=-1), weight

    def _span(self, frames: int, whole: float) -> tuple[int, int]:
        """A span of at least a fifth of the clip; `whole` is the chance that it is all of it."""
        if self.rng.random() < whole:
            return 0, frames
        length = int(self.rng.integers(frames // 5, frames * 4 // 5))
        first = int(self.rng.integers(0, frames - length + 1))
        return first, first + length
