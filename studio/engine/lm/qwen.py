"""Loads the Qwen3 model of a 5 Hz checkpoint with transformers, in either published layout (lm.md 1.1, 9.5).

Importing this module takes seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from torch import Tensor, nn

from studio.engine.device import choose_dtype
from studio.engine.quiet import quiet
from studio.errors import CheckpointError, InvalidRequest

with quiet():
    from transformers import AttentionInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.models.qwen3.modeling_qwen3 import Qwen3ForCausalLM
    from transformers.utils import logging as transformers_logging

transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # progress goes through `run` instead

_ATTENTION = "studio_grouped"


def grouped_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """Attend with one query token a row, `[rows, heads, 1, dim]`, without repeating keys for every query head.

    Heads that share keys stand in the place of query positions; transformers copies the whole cache instead.
    """
    if query.shape[2] > 1:
        found: tuple[Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling)
        return found
    rows, heads, _one, dim = query.shape
    shared = query.reshape(rows, key.shape[1], heads // key.shape[1], dim)
    attended = F.scaled_dot_product_attention(shared, key, value, attn_mask=attention_mask, scale=scaling)
    return attended.reshape(rows, 1, heads, dim), None


AttentionInterface.register(_ATTENTION, grouped_attention)


def choose_lm_dtype(name: str, place: torch.device) -> torch.dtype:
    """Never 16-bit floats: the published 4B model's activations exceed their range (lm.md 1.4)."""
    if name == "float16":
        raise InvalidRequest("dtype", "be bfloat16 or float32 for the language model", name)
    kind = choose_dtype(name, place)
    return torch.float32 if kind == torch.float16 else kind


def load_model(folder: Path, dtype: torch.dtype, place: torch.device) -> Qwen3ForCausalLM:
    """Load either layout; transformers adds the missing `model.` and ties the head. Nothing may be left at random."""
    try:
        with quiet():
            # A pair, because of output_loading_info.
            loaded: tuple[Qwen3ForCausalLM, Mapping[str, list[str]]] = Qwen3ForCausalLM.from_pretrained(  # type: ignore[assignment]
                folder, dtype=dtype, use_safetensors=True, local_files_only=True, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"{folder} can't be loaded: {error}") from error
    model, info = loaded
    for fault in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if info[fault]:
            first = sorted(map(str, info[fault]))[0]
            raise CheckpointError(f"{folder}: weights don't fit config.json, {fault} {len(info[fault])}, first {first}")
    model.config._attn_implementation = _ATTENTION
    module: nn.Module = model  # transformers' own `to` and `eval` carry no types
    module.to(place).eval().requires_grad_(False)
    return model
