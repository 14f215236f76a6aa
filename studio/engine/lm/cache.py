"""Keys and values of the tokens so far, written in place: transformers' own cache copies all of them every step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_GROWTH = 256  # tokens of room added at a time


class KeyValueCache:
    """What `Qwen3Model` calls as `past_key_values`: one pair of buffers `[rows, heads, room, dim]` a layer."""

    is_compileable = False

    def __init__(self) -> None:
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}
        self._lengths: dict[int, int] = {}

    def update(self, keys: Tensor, values: Tensor, layer_idx: int, *_: object, **__: object) -> tuple[Tensor, Tensor]:
        """Add `[rows, heads, new, dim]` and return views of everything so far."""
        start = self._lengths.get(layer_idx, 0)
        end = start + keys.shape[2]
        if layer_idx not in self._layers or self._layers[layer_idx][0].shape[2] < end:
            self._make_room(layer_idx, keys, end)
        stored = self._layers[layer_idx]
        for buffer, new in zip(stored, (keys, values), strict=True):
            buffer[:, :, start:end] = new
        self._lengths[layer_idx] = end
        return stored[0][:, :, :end], stored[1][:, :, :end]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Return how many tokens are stored."""
        return self._lengths.get(layer_idx, 0)

    def crop(self, length: int) -> None:
        """Forget everything after the first `length` tokens."""
        self._lengths = {layer: min(length, own) for layer, own in self._lengths.items()}

    def select(self, rows: Tensor) -> None:
        """Keep or repeat rows: `rows` are indices into the present ones."""
        for layer, stored in self._layers.items():
            self._layers[layer] = (stored[0].index_select(0, rows), stored[1].index_select(0, rows))

    @classmethod
    def joined(cls, parts: Sequence[KeyValueCache]) -> KeyValueCache:
        """Return one cache of several with one row each, aligned at their ends; the room before is zero."""
        made = cls()
        length = max(part.get_seq_length() for part in parts)
        for layer in parts[0]._layers:
            made._layers[layer] = (_aligned(parts, layer, 0, length), _aligned(parts, layer, 1, length))
            made._lengths[layer] = length
        return made

    def _make_room(self, layer: int, like: Tensor, needed: int) -> None:
        room = -(-needed // _GROWTH) * _GROWTH
        old, length = self._layers.get(layer), self._lengths.get(layer, 0)
        room = max(room, length + length // 2)  # ever larger, so that copies stay rare
        new = [torch.empty(*like.shape[:2], room, like.shape[3], dtype=like.dtype, device=like.device) for _ in "kv"]
        if old is not None:
            for buffer, before in zip(new, old, strict=True):
                buffer[:, :, :length] = before[:, :, :length]
        self._layers[layer] = (new[0], new[1])


def _aligned(parts: Sequence[KeyValueCache], layer: int, which: int, length: int) -> Tensor:
    """Zeros, not whatever memory held: a masked NaN still makes the whole row NaN."""
    like = parts[0]._layers[layer][which]
    joined = like.new_zeros(len(parts), like.shape[1], length + _GROWTH, like.shape[3])
    for row, part in enumerate(parts):
        own = part.get_seq_length(layer)
        joined[row, :, length - own : length] = part._layers[layer][which][0, :, :own]
    return joined
