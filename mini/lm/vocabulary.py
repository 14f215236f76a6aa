"""The tokenizer: a small byte-level BPE of the prompts, the tags of the published models, and one token for each code.

A number and a key are one token each, so that a tempo or a key is chosen in one step.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from mini.composer import draw_song
from mini.composer.song import NOTES
from mini.lm.languages import LINES
from mini.lm.texts import FLATS, facts_of, full_caption, language_of, user_caption, wish_of, words_of
from studio.engine.lm import prompts
from studio.engine.lm.codes import code_token
from studio.engine.lm.metadata import FIELDS, facts_yaml
from studio.engine.lm.vocabulary import Vocabulary, from_tokenizer
from studio.engine.requests import LANGUAGES, MAX_DURATION

CODES = 4096  # FSQ levels 4·4·4·4·4·4 of the mini's audio tokenizer
TEXT_TOKENS = 2400
SONGS = 4000
# How Qwen cuts text into pieces before merging, but with numbers and keys whole and their space before them.
PIECES = (
    r" ?[A-G][#b]? (?:major|minor)|(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+| ?\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TAGS = ("<|endoftext|>", prompts.START, prompts.END, prompts.THINK, prompts.THINK_END)
CHAT = (  # ChatML as the published models' template writes these messages
    "{% for m in messages %}<|im_start|>{{m['role']}}\n{{m['content']}}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_tokenizer(folder: Path) -> Tokenizer:
    """Train the tokenizer into `folder`, or read it if it is there."""
    file = folder / "tokenizer.json"
    if not file.exists():
        core = Tokenizer(models.BPE())
        core.normalizer = normalizers.NFC()
        cut = pre_tokenizers.Split(Regex(PIECES), "isolated")
        core.pre_tokenizer = pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(False, use_regex=False)])
        core.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=TEXT_TOKENS, initial_alphabet=alphabet, show_progress=False)
        core.train_from_iterator(_corpus(), trainer)
        names = [*TAGS, *map(code_token, range(CODES))]
        core.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
        folder.mkdir(parents=True, exist_ok=True)
        core.save(str(file))
        settings = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": prompts.END,
            "pad_token": TAGS[0],
            "chat_template": CHAT,
        }
        (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    return Tokenizer.from_file(str(file))


def make_vocabulary(folder: Path) -> Vocabulary:
    """The ids of that tokenizer as the engine sees them."""
    tokenizer = make_tokenizer(folder)
    return from_tokenizer(tokenizer, tokenizer.get_vocab_size(), CODES)


def _corpus() -> Iterator[str]:
    rng = np.random.default_rng(0)
    for seed in range(SONGS):
        song = draw_song(20_000_000 + seed)
        language = language_of(song, rng, 0.1)
        lyrics = words_of(song, 30.0, language, rng)
        caption = user_caption(song, rng)
        facts = facts_of(song, 30, full_caption(song, rng), language, flats=bool(rng.random() < 0.5))
        yield prompts.codes_prompt(caption, lyrics, facts_yaml(facts.known()))
        yield wish_of(song, rng, language)
        if seed % 10 == 0:
            yield prompts.create_prompt("a", True) + prompts.format_prompt("", "") + prompts.understand_prompt(())
            yield prompts.create_prompt("a", False) + prompts.codes_without("")
    often = 20  # wherever a token must be whole
    for number in chain(range(10, int(MAX_DURATION) + 1), (2, 3, 4, 6)):
        yield from [f"bpm: {number}\n"] * often
    for note in (*NOTES, *FLATS.values()):
        yield from [f"keyscale: {note} {mode}\n" for mode in ("major", "minor") for _ in range(often)]
    yield from [f"language: {code}\n" for code in LANGUAGES for _ in range(often)]
    yield from [f"{name}: x" for name in FIELDS for _ in range(often)]
    yield from [line for lines in LINES.values() for line in lines for _ in range(2)]
