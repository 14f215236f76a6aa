"""The first stage: the text encoder learns to name what a prompt says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedTokenizerFast

from mini.clips import STEM_TASKS, TASKS, Task, prompt_for
from mini.composer import Song, draw_song
from mini.composer.song import GENRES, TRACKS
from mini.composer.tempo import CLOCKS, snap
from mini.network import TEXT_WIDTH, Mini
from mini.prompts import tokenise

LAST = 14  # tokens at the end of a prompt, each of which must know everything
SHARES = {name: 0.5 if name == "text2music" else 0.1 for name in TASKS}
CHOICES = {"clock": CLOCKS, "fold": 4, "key": 24, "genre": len(GENRES), "metre": 4, "task": len(TASKS)}
MANY = {"tracks": len(TRACKS), "asked": len(TRACKS)}  # several may hold at once
METRES = (2, 3, 4, 6)


@dataclass(frozen=True, slots=True)
class Reading:
    """Prompts and what they say."""

    prompts: list[str]
    answers: dict[str, Tensor]  # [B] for choices, [B, 12] for tracks
    said: Tensor  # [B], whether the prompt says anything about the song


def new_heads() -> nn.Linear:
    """What reads the answers off the text encoder's states; dropped after training but for the clock."""
    return nn.Linear(TEXT_WIDTH, sum(CHOICES.values()) + sum(MANY.values()))


def draw_reading(count: int, rng: np.random.Generator) -> Reading:
    """Draw prompts of every task."""
    songs = [draw_song(int(seed)) for seed in rng.integers(1_000_000, 9_000_000, count)]
    names = rng.choice(list(SHARES), count, p=list(SHARES.values()))
    tasks = [_task(str(name), song, rng) for name, song in zip(names, songs, strict=True)]
    worded = [prompt_for(task, song, rng) for task, song in zip(tasks, songs, strict=True)]
    answers = {
        "clock": [snap(song.bpm)[1] for song in songs],
        "fold": [snap(song.bpm)[2] + 1 for song in songs],
        "key": [song.tonic + 12 * song.minor for song in songs],
        "genre": [list(GENRES).index(song.genre) for song in songs],
        "metre": [METRES.index(song.metre) for song in songs],
        "task": [TASKS.index(task.name) for task in tasks],
        "tracks": [_flags(song.tracks) for song in songs],
        "asked": [_flags(task.tracks) for task in tasks],
    }
    return Reading(
        [prompt for (prompt, _), _ in worded],
        {name: torch.tensor(values) for name, values in answers.items()},
        torch.tensor([float(said) for _, said in worded]),
    )


def _task(name: str, song: Song, rng: np.random.Generator) -> Task:
    if name not in STEM_TASKS:
        return Task(name)
    if name == "complete":
        return Task(name, tuple(track for track in TRACKS if rng.random() < 0.25) or (str(rng.choice(TRACKS)),))
    return Task(name, (str(rng.choice(song.tracks if rng.random() < 0.5 else TRACKS)),))


def _flags(tracks: tuple[str, ...]) -> list[float]:
    return [float(track in tracks) for track in TRACKS]


def reading_loss(model: Mini, heads: nn.Linear, tokenizer: PreTrainedTokenizerFast, reading: Reading) -> Tensor:
    """Each of the last tokens must know tempo, key, style, metre, instruments, task and the tracks asked for."""
    loss = torch.zeros(())
    for name, part in _logits(model, heads, tokenizer, reading.prompts).items():
        answer = reading.answers[name].to(part.device)
        weight = torch.ones_like(reading.said) if name in ("task", "asked") else reading.said
        if name in MANY:
            each = F.binary_cross_entropy_with_logits(part, answer[:, None].expand_as(part), reduction="none").mean(-1)
        else:
            target = answer.repeat_interleave(part.shape[1])
            each = F.cross_entropy(part.flatten(0, 1), target, reduction="none").view(part.shape[:2])
        loss = loss.to(each.device) + (each.mean(1) * weight.to(each.device)).sum() / weight.sum().clamp(min=1)
    return loss


@torch.no_grad()
def reading_scores(
    model: Mini, heads: nn.Linear, tokenizer: PreTrainedTokenizerFast, rng: np.random.Generator
) -> dict[str, float]:
    """How often the last token is right, over prompts that say something."""
    reading = draw_reading(256, rng)
    said = reading.said > 0
    scores = {}
    for name, part in _logits(model, heads, tokenizer, reading.prompts).items():
        last, answer = part[:, -1].cpu(), reading.answers[name]
        right = (last > 0) == (answer > 0) if name in MANY else last.argmax(-1) == answer
        scores[name] = round(float(right[said].float().mean()), 3)
    return scores


def _logits(model: Mini, heads: nn.Linear, tokenizer: PreTrainedTokenizerFast, prompts: list[str]) -> dict[str, Tensor]:
    device = next(model.parameters()).device
    tokens, mask = (part.to(device) for part in tokenise(tokenizer, prompts))
    states = model.text(input_ids=tokens, attention_mask=mask).last_hidden_state
    ends: NDArray[np.int64] = mask.sum(1).cpu().numpy()
    last = torch.stack([states[row, end - LAST : end] for row, end in enumerate(ends)])
    sizes = CHOICES | MANY
    return dict(zip(sizes, heads(last).split(list(sizes.values()), dim=-1), strict=True))
