"""How much room vLLM is given: it takes memory in advance, and a pair may never have to wait inside it."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from studio.engine.device import free_memory
from studio.engine.model_spec import read_json

_PROMPTS = 16_384  # tokens of prompts in one step
_SHARE = 0.4  # of free memory for the cache


def context_of(folder: Path, wanted: int) -> int:
    """Return how many tokens a text may have, at most what the checkpoint was made for."""
    return min(wanted, int(str(read_json(folder / "config.json").get("max_position_embeddings", wanted))))


def prompt_room(context: int) -> int:
    """Return how many tokens of prompts one step takes: those of any pair at least."""
    return max(_PROMPTS, 2 * context)


def cache_bytes(folder: Path, context: int, rows: int, dtype: torch.dtype, kind: str) -> int:
    """Return bytes for every row at full length, if they are there; for one guided text in any case."""
    config = read_json(folder / "config.json")
    layers, heads, width = (int(str(config[key])) for key in ("num_hidden_layers", "num_key_value_heads", "head_dim"))
    each = 2 * layers * heads * width * dtype.itemsize * (context + 256)  # a row's last block, and vLLM's own
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    free = free_memory(torch.device(kind)) if kind == "cuda" else None
    there = free * 1e9 if free is not None else os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(2 * each, int(min(rows * each, (there - weights) * _SHARE)))
