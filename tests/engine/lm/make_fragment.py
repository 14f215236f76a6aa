"""Writes qwen_fragment.json: the part of the public Qwen BPE that the tests' texts touch, with its real ids.

usage: python -m tests.engine.lm.make_fragment qwen.tiktoken
(The file is part of the PyPI package dashscope, dashscope/resources/qwen.tiktoken; 151,643 lines "base64 rank".)
"""

from __future__ import annotations

import base64
import json
import sys
from itertools import pairwise
from pathlib import Path

from tokenizers import Regex, pre_tokenizers

from studio.engine.lm import prompts
from studio.engine.lm.metadata import FIELDS
from studio.engine.requests import KEY_SCALES, LANGUAGES

FRAGMENT = Path(__file__).with_name("qwen_fragment.json")
# How Qwen cuts text into pieces before merging; every digit is a piece of its own.
PIECES = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEXTS = [
    *(f"{name}: x\n" for name in FIELDS),
    *(f"keyscale: {key}\n" for key in KEY_SCALES),
    *(f"language: {code}\n" for code in LANGUAGES),
    prompts.plan_prompt("calm piano", "hello world"),
    prompts.plan_prompt("A bright pop song with drums, bass and a warm female vocal.", "[Verse]\nWe sing tonight.\n"),
    prompts.create_prompt("a soft song", False) + prompts.create_prompt("", True),
    prompts.format_prompt("", "") + prompts.understand_prompt([]) + prompts.codes_without(""),
    "hello Hello  x\n\n  \n   \t` :: - ' \" # Lyric\n. , ,\n.\n.\n\n",
    "A calm piano song with soft strings and a warm, intimate female vocal that\n  slowly builds.\n",
    "pop rock chinese folk <|audio_code_65535|><|audio_code_0001|> 0123456789 4/4 6/8 120 N/A unknown",
]


def main() -> None:
    lines = Path(sys.argv[1]).read_text().splitlines()
    ranks = {base64.b64decode(token): int(rank) for token, rank in map(str.split, lines)}
    cut = pre_tokenizers.Split(Regex(PIECES), "isolated")
    merges: dict[int, tuple[int, int]] = {}
    for text in TEXTS:
        for piece, _ in cut.pre_tokenize_str(text):
            collect(piece.encode(), ranks, merges)
    letters = [ranks[bytes([byte])] for byte in range(256)]
    content = {"bytes": letters, "merges": [[*pair, made] for made, pair in sorted(merges.items())]}
    FRAGMENT.write_text(json.dumps(content, separators=(",", ":")) + "\n")
    sys.stdout.write(f"{len(merges)} merges\n")


def collect(piece: bytes, ranks: dict[bytes, int], merges: dict[int, tuple[int, int]]) -> None:
    """Merge the pair with the lowest rank until none is left, keeping every merge that happened."""
    parts = [bytes([byte]) for byte in piece]
    while True:
        pairs = [(ranks[a + b], index) for index, (a, b) in enumerate(pairwise(parts)) if a + b in ranks]
        if not pairs:
            return
        made, index = min(pairs)
        merges[made] = (ranks[parts[index]], ranks[parts[index + 1]])
        parts[index : index + 2] = [parts[index] + parts[index + 1]]


if __name__ == "__main__":
    main()
