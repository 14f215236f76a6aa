"""Builds what the tests load: tokenizers cut out of the real one, and tiny random models in the published shapes."""

from __future__ import annotations

import json
import warnings
from functools import cache
from pathlib import Path

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from studio.engine.lm.codes import code_token
from studio.engine.lm.vocabulary import LETTERS, Vocabulary, from_tokenizer
from tests.engine.lm.make_fragment import FRAGMENT, PIECES

REAL_SIZE, REAL_BASE, REAL_CODES = 217_204, 151_643, 65_535
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
# The order of the 26 added tokens of Qwen3; only the first three and the last two matter here.
ADDED = [*SPECIAL, *(f"<|filler_{index}|>" for index in range(21)), "<think>", "</think>"]
CHAT = (  # Qwen3's template, reduced to what these messages need
    "{% for m in messages %}<|im_start|>{{m['role']}}\n{{m['content']}}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build_tokenizer(vocab: dict[str, int], merges: list[tuple[str, str]], added: list[str]) -> Tokenizer:
    """Byte-level BPE cut into pieces as Qwen does; `added` must be in `vocab` already when their ids matter."""
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.normalizer = normalizers.NFC()
    cut = pre_tokenizers.Split(Regex(PIECES), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in added])
    return tokenizer


@cache
def fragment() -> tuple[dict[int, str], list[tuple[int, int]]]:
    """Token letters by real id, and the merges in the order they apply."""
    content = json.loads(FRAGMENT.read_text())
    letter = {byte: chr(char) for char, byte in LETTERS.items()}
    tokens = {id_: letter[byte] for byte, id_ in enumerate(content["bytes"])}
    merges = []
    for left, right, made in content["merges"]:
        tokens[made] = tokens[left] + tokens[right]
        merges.append((left, right))
    return tokens, merges


@cache
def real_layout() -> Vocabulary:
    """All 217,204 ids in their real places; those outside the fragment have made-up texts that no merge reaches."""
    tokens, merges = fragment()
    letters = {id_: tokens.get(id_, f"Ġ«{id_}»") for id_ in range(REAL_BASE)}
    names = [*ADDED, *map(code_token, range(REAL_CODES))]
    vocab = {text: id_ for id_, text in letters.items()} | {name: REAL_BASE + i for i, name in enumerate(names)}
    pairs = [(tokens[left], tokens[right]) for left, right in merges]
    return from_tokenizer(build_tokenizer(vocab, pairs, names), REAL_SIZE)


def small_tokenizer(codes: int) -> Tokenizer:
    """The fragment with consecutive ids, Qwen's tags and a few codes."""
    tokens, merges = fragment()
    ids = {id_: index for index, id_ in enumerate(sorted(tokens))}
    vocab = {tokens[id_]: index for id_, index in ids.items()}
    pairs = [(tokens[left], tokens[right]) for left, right in merges]
    return build_tokenizer(vocab, pairs, [*SPECIAL, "<think>", "</think>", *map(code_token, range(codes))])


@cache
def small_vocabulary(codes: int = 40, surplus: int = 3, rows: int = 5) -> Vocabulary:
    """`surplus` code tokens beyond the codebook, and `rows` of the model that no token names."""
    tokenizer = small_tokenizer(codes + surplus)
    return from_tokenizer(tokenizer, tokenizer.get_vocab_size() + rows, codes)


def save_lm(
    folder: Path,
    *,
    bare: bool,
    codes: int = 40,
    surplus: int = 3,
    tied: bool = True,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    shard: str = "1GB",
) -> Path:
    """Save a tiny random model in the published 1.7B's shape (`bare`: Qwen3Model, no `model.`) or the 0.6B's.

    The published ones are stored in bfloat16; the 4B is the 0.6B's shape in several shards.
    """
    from safetensors.torch import load_file, save_file
    from transformers import Qwen3Config, Qwen3ForCausalLM

    tokenizer = small_tokenizer(codes + surplus)
    size = tokenizer.get_vocab_size() + 5
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=size,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=4096,
        tie_word_embeddings=tied,
        initializer_range=0.25,
        bos_token_id=None,
        eos_token_id=tokenizer.token_to_id("<|im_end|>"),
        pad_token_id=tokenizer.token_to_id("<|endoftext|>"),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Qwen3ForCausalLM(config).to(dtype).save_pretrained(folder, max_shard_size=shard)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "chat_template": CHAT})
    )
    (folder / "generation_config.json").unlink(missing_ok=True)
    stated = json.loads((folder / "config.json").read_text())
    stated["studio"] = {"audio_codes": codes}
    if bare:
        stated["architectures"] = ["Qwen3Model"]
        weights = load_file(folder / "model.safetensors")
        save_file(
            {name.removeprefix("model."): tensor for name, tensor in weights.items()},
            folder / "model.safetensors",
            {"format": "pt"},
        )
    (folder / "config.json").write_text(json.dumps(stated))
    return folder
