"""Looks into the DiT's cross-attention during one forward: which frame reads which condition row (engine.md 9.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from studio.errors import CheckpointError

if TYPE_CHECKING:  # these classes take eight seconds to import; only loader.py does
    from diffusers.models.transformers.ace_step_transformer import AceStepAttention, AceStepTransformer1DModel

Heads = Mapping[int, Sequence[int]]  # layer -> heads, both from 0

# Heads that follow the lyrics in the published checkpoints; others are for their makers to name in the config.
STANDARD_HEADS: Heads = {2: (6,), 3: (10, 11), 4: (3,), 5: (8, 9), 6: (8,)}
WIDE_HEADS: Heads = {3: (18, 27), 4: (22,), 5: (5, 6, 7), 6: (2, 12, 13), 7: (20, 21)}
CONFIG_KEY = "lyric_alignment_layers_config"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The heads of one model that are listened to."""

    heads: Heads
    notes: tuple[str, ...] = ()  # which ones were left out


def select_heads(config: Mapping[str, object], layers: int, heads: int) -> Selection:
    """Return the heads the transformer's `config` names, or those of its family, as far as it has them.

    `layers` of `heads` is the transformer's size. Raises CheckpointError when the config's table can't be read or none
    of its heads exists.
    """
    table = _table(config)
    here = {
        layer: kept
        for layer, numbers in sorted(table.items())
        if layer < layers and (kept := tuple(number for number in numbers if number < heads))
    }
    missing = ", ".join(
        f"{layer}.{number}"
        for layer, numbers in sorted(table.items())
        for number in numbers
        if number not in here.get(layer, ())
    )
    size = f"{layers} layers of {heads} heads"
    if not here:
        raise CheckpointError(
            f"this checkpoint can't time lyrics: of the attention heads for that ({missing or 'none'}, layer.head) its "
            f"{size} have none; {CONFIG_KEY} in the transformer's config.json can name others"
        )
    note = f"lyric times leave out attention heads {missing} (layer.head): the model has {size}"
    return Selection(heads=here, notes=(note,) if missing else ())


def _table(config: Mapping[str, object]) -> Heads:
    stated = config.get(CONFIG_KEY)
    if stated is None:
        wide = config.get("encoder_hidden_size") not in (None, config.get("hidden_size"))
        return WIDE_HEADS if wide else STANDARD_HEADS
    if isinstance(stated, Mapping) and all(map(_is_row, stated.items())):
        return {int(layer): tuple(numbers) for layer, numbers in stated.items()}
    raise CheckpointError(f"{CONFIG_KEY} must map layers to lists of heads, both whole numbers from 0, got {stated!r}")


def _is_row(row: tuple[object, object]) -> bool:
    """JSON has the layer as text."""
    layer, numbers = row
    return (
        str(layer).isdecimal()
        and isinstance(numbers, list | tuple)
        and all(str(number).isdecimal() for number in numbers)
    )


@dataclass(slots=True)
class Listener:
    """The maps of the last forward, filled in while `listening`."""

    heads: Heads
    rows: slice
    _by_layer: dict[int, Tensor] = field(init=False, default_factory=dict)

    def hear(self, layer: int, probabilities: Tensor) -> None:
        """Store one layer's probabilities `[B, heads, tokens, N]`."""
        self._by_layer[layer] = probabilities

    def maps(self) -> Tensor:
        """Return probabilities `[B, K, tokens, N]`, float32 on the CPU, K in the order of the table."""
        return torch.cat([self._by_layer[layer] for layer in self.heads], dim=1)


@contextmanager
def listening(transformer: AceStepTransformer1DModel, heads: Heads, rows: slice) -> Iterator[Listener]:
    """Store how much every DiT frame attends to the condition `rows` in each forward within the block.

    The model computes what it always does and is as it was afterwards, also when a forward fails.
    """
    listener = Listener(heads, rows)
    handles = []
    try:
        for layer, numbers in heads.items():
            cross = transformer.get_submodule(f"layers.{layer}.cross_attn")
            hook = _Hook(listener, layer, list(numbers))
            handles.append(cross.register_forward_pre_hook(hook, with_kwargs=True))
        yield listener
    finally:
        for handle in handles:
            handle.remove()


@dataclass(frozen=True, slots=True)
class _Hook:
    """Computes queries and keys of the wanted heads a second time; no attention backend gives its probabilities out."""

    listener: Listener
    layer: int
    heads: list[int]

    def __call__(self, module: nn.Module, args: tuple[()], kwargs: Mapping[str, Tensor]) -> None:
        attention = cast("AceStepAttention", module)
        shares = probabilities(attention, kwargs["hidden_states"], kwargs["encoder_hidden_states"], self.heads)
        self.listener.hear(self.layer, shares[..., self.listener.rows].transpose(-1, -2).float().cpu())


def probabilities(attention: AceStepAttention, hidden: Tensor, states: Tensor, heads: Sequence[int]) -> Tensor:
    """Return attention probabilities `[B, heads, N, L]` of `hidden` `[B, N, width]` over `states` `[B, L, width]`.

    The softmax is taken in float32 and cast to the model's type, as in the original (engine.md 9.2).
    """
    query = attention.norm_q(attention.to_q(hidden).unflatten(-1, (attention.heads, attention.head_dim)))
    key = attention.norm_k(attention.to_k(states).unflatten(-1, (attention.kv_heads, attention.head_dim)))
    shared_by = attention.heads // attention.kv_heads  # neighbouring heads share a key head
    query = query[:, :, list(heads)].transpose(1, 2)
    key = key[:, :, [head // shared_by for head in heads]].transpose(1, 2)
    logits = query @ key.transpose(-1, -2) * attention.scaling
    shares: Tensor = logits.softmax(dim=-1, dtype=torch.float32).to(query.dtype)
    return shares
