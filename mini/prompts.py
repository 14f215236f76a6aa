"""The prompts of the training songs and the small tokenizer that reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from mini.composer import Song, caption_of, draw_song, lyrics_of
from mini.composer.song import TRACKS
from mini.composer.words import key_text, tempo_text
from studio.engine.prompts import END, INSTRUCTIONS, caption_prompt, instruction_for, lyrics_prompt, metas_text
from studio.engine.requests import INSTRUMENTAL, LANGUAGES, Metas

VOCABULARY = 2000
LYRICS_SECONDS = 30.0  # words of later sections would only lengthen the prompts of clips


def prompt_of(
    song: Song, rng: np.random.Generator, task: str = "text2music", tracks: tuple[str, ...] = ()
) -> tuple[str, str]:
    """One wording of the caption prompt and the lyrics prompt of `song` for `task`.

    A stated tempo or key stands in the facts block, in the caption or in both, as users write them.
    """
    caption = caption_of(song, rng)
    bpm, key = (song.bpm if song.states_bpm else None), (song.key_scale if song.states_key else None)
    if bpm is not None and rng.random() < 0.3:
        caption += tempo_text(song, rng)
        bpm = None if rng.random() < 0.7 else bpm
    if key is not None and rng.random() < 0.2:
        caption += key_text(song, rng)
        key = None if rng.random() < 0.6 else key
    metre = str(song.metre) if song.metre != 4 or rng.random() < 0.5 else None
    seconds = float(rng.choice([10, 12, 20, 30, 60, 120]))
    metas = metas_text(Metas(bpm=bpm, key_scale=key, time_signature=metre), seconds)
    words = lyrics_of(song, min(seconds, LYRICS_SECONDS))
    language = "en" if words and rng.random() < 0.5 else "unknown"
    if not words and rng.random() < 0.5:
        words = INSTRUMENTAL
    return caption_prompt(instruction_for(task, tracks), caption, metas), lyrics_prompt(words, language)


def bare_prompt(task: str, tracks: tuple[str, ...], rng: np.random.Generator) -> tuple[str, str]:
    """The prompts of someone who says nothing about the music; an extraction is then captioned with its track."""
    metas = metas_text(Metas(), float(rng.choice([10, 12, 20, 30, 60])))
    words = str(rng.choice(["", INSTRUMENTAL]))
    caption = tracks[0] if task == "extract" else ""
    return caption_prompt(instruction_for(task, tracks), caption, metas), lyrics_prompt(words, "unknown")


def make_tokenizer(path: Path) -> PreTrainedTokenizerFast:
    """Train (or load) the byte-level BPE; every number that prompts use becomes one token."""
    if not (path / "tokenizer.json").exists():
        core = Tokenizer(models.BPE())
        core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        core.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=[END, "<|im_start|>", "<|im_end|>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        core.train_from_iterator(_corpus(), trainer)
        PreTrainedTokenizerFast(tokenizer_object=core, eos_token=END, pad_token=END).save_pretrained(path)
    return PreTrainedTokenizerFast.from_pretrained(path)


def _corpus() -> Iterator[str]:
    rng = np.random.default_rng(0)
    for seed in range(12000):
        yield from prompt_of(draw_song(seed), rng)
    for task in ("extract", "lego", "complete"):
        for track in TRACKS:
            yield from [instruction_for(task, (track, str(rng.choice(TRACKS)))) for _ in range(100)]
    yield from [instruction_for(task) for task in INSTRUCTIONS for _ in range(1000)]
    for number in range(10, 601):
        yield from [f" {number}"] * (40 if number <= 300 else 5)
    yield from [f"# Languages\n{code}\n\n# Lyric\n" for code in LANGUAGES for _ in range(20)]


def tokenise(tokenizer: PreTrainedTokenizerFast, texts: list[str], multiple: int = 16) -> tuple[Tensor, Tensor]:
    """Ids and mask `[B, L]`, right padded; lengths are rounded up so that few shapes occur."""
    ids = tokenizer(texts)["input_ids"]
    length = -(-max(map(len, ids)) // multiple) * multiple
    tokens, mask = torch.zeros(len(ids), length, dtype=torch.long), torch.zeros(len(ids), length, dtype=torch.long)
    for row, item in enumerate(ids):
        tokens[row, : len(item)] = torch.tensor(item)
        mask[row, : len(item)] = 1
    return tokens, mask
