"""The diffusion transformer under fixed conditions: what doesn't change from step to step is computed once.

Runs the modules of diffusers' AceStepTransformer1DModel (adapters and quantised layers included), but not its forward:
that one projects the conditions at every step, builds a dense mask for every sliding window and gives the unprompted
half of guidance a whole cross-attention over identical rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:  # takes eight seconds to import; only loader.py does
    from diffusers.models.transformers.ace_step_transformer import (
        AceStepAttention,
        AceStepTransformer1DModel,
        AceStepTransformerBlock,
    )

BLOCKS_WORTH_IT = 4  # a sliding window is cut into blocks when the sequence is longer than this many windows


@dataclass(frozen=True, slots=True)
class _Conditions:
    """What cross-attention of one layer reads."""

    key: Tensor  # [B, heads, L, D]
    value: Tensor
    nothing: Tensor | None  # [1, 1, H], what attending to the null condition gives, whatever the query


@dataclass(frozen=True, slots=True)
class _Positions:
    """Rotary angles of a sequence: cosine and sine `[1, 1, N, D]`, float32."""

    cosine: Tensor
    sine: Tensor

    def turn(self, heads: Tensor) -> Tensor:
        """Rotate `[B, heads, N, D]`; the halves of D form the pairs (engine.md 2.3)."""
        first, second = heads.float().chunk(2, dim=-1)
        crossed = torch.cat([-second, first], dim=-1)
        return (heads * self.cosine + crossed * self.sine).to(heads.dtype)


class Velocity:
    """The DiT's velocity as a function of latents and noise level, for one set of conditions."""

    def __init__(
        self, transformer: AceStepTransformer1DModel, states: Tensor, context: Tensor, null: Tensor | None = None
    ) -> None:
        """Prepare for encoder states `[B, L, He]` and context latents `[B, T, 2C]`.

        With the null condition `[1, 1, He]` the second half of every batch runs unprompted.
        """
        self._dit, self._context = transformer, context
        self._layers = [cast("AceStepTransformerBlock", layer) for layer in transformer.layers]
        self._frames = context.shape[1]
        tokens = -(-self._frames // transformer.patch_size)
        self._positions = _positions(tokens, transformer.head_dim, transformer.rope_theta, context.device)
        self._attend = [_self_attention(layer.self_attn, tokens, context) for layer in self._layers]
        encoded = transformer.condition_embedder(states)
        nothing = None if null is None else transformer.condition_embedder(null)
        self._conditions = [_cross_conditions(layer.cross_attn, encoded, nothing) for layer in self._layers]
        self._rest = transformer.time_embed_r(torch.zeros(1, device=context.device, dtype=context.dtype))

    def __call__(self, latents: Tensor, level: float, *, unprompted: bool = False) -> tuple[Tensor, Tensor | None]:
        """Return the prompted and, when asked for, the unprompted velocity, each `[B, T, C]` in float32."""
        dit, dtype = self._dit, self._context.dtype
        moment = torch.full((1,), level, device=latents.device, dtype=dtype)
        temb, modulation = (a + b for a, b in zip(dit.time_embed(moment), self._rest, strict=True))
        hidden = self._patches(latents.to(dtype))
        if unprompted:
            hidden = torch.cat([hidden, hidden])
        for layer, attend, conditions in zip(self._layers, self._attend, self._conditions, strict=True):
            hidden = _block(layer, hidden, modulation, self._positions, attend, conditions)
        shift, scale = (dit.scale_shift_table + temb.unsqueeze(1)).chunk(2, dim=1)
        hidden = (dit.norm_out(hidden) * (1 + scale) + shift).type_as(hidden)
        velocity = dit.proj_out_conv(hidden.transpose(1, 2)).transpose(1, 2)[:, : self._frames].float()
        if not unprompted:
            return velocity, None
        prompted, other = velocity.chunk(2)
        return prompted, other

    def _patches(self, latents: Tensor) -> Tensor:
        joined = torch.cat([self._context, latents], dim=-1)
        missing = -self._frames % self._dit.patch_size
        joined = F.pad(joined, (0, 0, 0, missing))
        hidden: Tensor = self._dit.proj_in_conv(joined.transpose(1, 2))
        return hidden.transpose(1, 2)


def _block(
    layer: AceStepTransformerBlock,
    hidden: Tensor,
    modulation: Tensor,
    positions: _Positions,
    attend: Callable[[Tensor, Tensor, Tensor], Tensor],
    conditions: _Conditions,
) -> Tensor:
    """One layer on `[B or 2B, N, H]` (engine.md 2.3)."""
    shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = (layer.scale_shift_table + modulation).chunk(6, dim=1)
    normed = (layer.self_attn_norm(hidden) * (1 + scale_a) + shift_a).type_as(hidden)
    query, key, value = _heads(layer.self_attn, normed)
    mixed = attend(positions.turn(query), positions.turn(key), value)
    hidden = (hidden + _join(layer.self_attn, mixed) * gate_a).type_as(hidden)
    hidden = hidden + _cross_attention(layer, hidden, conditions)
    normed = (layer.mlp_norm(hidden) * (1 + scale_m) + shift_m).type_as(hidden)
    result: Tensor = (hidden + layer.mlp(normed) * gate_m).type_as(hidden)
    return result


def _heads(attention: AceStepAttention, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Query `[B, heads, N, D]` and, for fewer heads, key and value; the first two normalised."""
    size = attention.head_dim
    query = attention.norm_q(attention.to_q(hidden).unflatten(-1, (-1, size))).transpose(1, 2)
    key = attention.norm_k(attention.to_k(hidden).unflatten(-1, (-1, size))).transpose(1, 2)
    value = attention.to_v(hidden).unflatten(-1, (-1, size)).transpose(1, 2)
    return query, key, value


def _join(attention: AceStepAttention, mixed: Tensor) -> Tensor:
    """Bring `[B, heads, N, D]` back to `[B, N, H]`."""
    joined: Tensor = attention.to_out[0](mixed.transpose(1, 2).flatten(2))
    return joined


def _cross_attention(layer: AceStepTransformerBlock, hidden: Tensor, conditions: _Conditions) -> Tensor:
    """What the prompted part of the batch hears of its prompt; the rest, if any, hears the null condition."""
    attention, prompted = layer.cross_attn, conditions.key.shape[0]
    normed = layer.cross_attn_norm(hidden[:prompted]).type_as(hidden)
    query = attention.norm_q(attention.to_q(normed).unflatten(-1, (-1, attention.head_dim))).transpose(1, 2)
    mixed = F.scaled_dot_product_attention(query, conditions.key, conditions.value, scale=attention.scaling)
    heard = _join(attention, mixed)
    if hidden.shape[0] == prompted or conditions.nothing is None:
        return heard
    return torch.cat([heard, conditions.nothing.expand_as(heard)])


def _cross_conditions(attention: AceStepAttention, encoded: Tensor, nothing: Tensor | None) -> _Conditions:
    """Keys and values of one layer; attending to equal rows gives their value, so null needs no attention at all."""
    key = attention.norm_k(attention.to_k(encoded).unflatten(-1, (-1, attention.head_dim))).transpose(1, 2)
    value = attention.to_v(encoded).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
    heard = None
    if nothing is not None:
        alone = attention.to_v(nothing).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
        heard = _join(attention, _for_all_heads(attention, alone))
    return _Conditions(_for_all_heads(attention, key), _for_all_heads(attention, value), heard)


def _for_all_heads(attention: AceStepAttention, shared: Tensor) -> Tensor:
    """Repeat key or value heads until each query head has its own."""
    return shared.repeat_interleave(attention.heads // attention.kv_heads, dim=1)


def _positions(tokens: int, size: int, theta: float, device: torch.device) -> _Positions:
    """Angles at positions 0 to `tokens`; float32 throughout, for half precision loses far positions (engine.md 2.8)."""
    exponents = torch.arange(0, size, 2, dtype=torch.float64) / size
    angles = torch.outer(torch.arange(tokens, dtype=torch.float64), theta**-exponents)
    angles = torch.cat([angles, angles], dim=-1)[None, None]
    return _Positions(angles.cos().float().to(device), angles.sin().float().to(device))


def _self_attention(
    attention: AceStepAttention, tokens: int, context: Tensor
) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The cheapest exact self-attention of a layer: whole, with a band mask, or in blocks of its window."""
    window, scale = attention.sliding_window, attention.scaling
    shared = attention.heads != attention.kv_heads

    def whole(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(query, key, value, scale=scale, enable_gqa=shared)

    if window is None or tokens <= window + 1:
        return whole
    places = torch.arange(tokens, device=context.device)
    if tokens <= BLOCKS_WORTH_IT * window:
        band = (places[:, None] - places[None]).abs() <= window

        def banded(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(query, key, value, attn_mask=band, scale=scale, enable_gqa=shared)

        return banded
    return _Blocks(tokens, window, scale, shared, context.device)


class _Blocks:
    """Sliding-window attention in blocks of one window that see one block to either side."""

    def __init__(self, tokens: int, window: int, scale: float, shared: bool, device: torch.device) -> None:
        self._window, self._scale, self._shared = window, scale, shared
        self._padding = -tokens % window
        blocks = (tokens + self._padding) // window
        own = torch.arange(window, device=device)
        seen = torch.arange(3 * window, device=device) - window
        near = (own[:, None] - seen[None]).abs() <= window
        places = seen[None] + window * torch.arange(blocks, device=device)[:, None]
        real = (places >= 0) & (places < tokens)
        self._mask = (near[None] & real[:, None])[None, :, None]  # [1, blocks, 1, window, 3 * window]

    def __call__(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend `[B, heads, N, D]`."""
        batch, _, tokens, _ = query.shape
        heads, size = query.shape[1], query.shape[3]
        own = F.pad(query, (0, 0, 0, self._padding)).view(batch, heads, -1, self._window, size).transpose(1, 2)
        keys, values = self._around(key), self._around(value)
        mask = self._mask.expand(batch, -1, -1, -1, -1).flatten(0, 1)
        mixed = F.scaled_dot_product_attention(
            own.flatten(0, 1), keys, values, attn_mask=mask, scale=self._scale, enable_gqa=self._shared
        )
        whole = mixed.view(batch, -1, heads, self._window, size).transpose(1, 2).flatten(2, 3)
        return whole[:, :, :tokens]

    def _around(self, heads: Tensor) -> Tensor:
        """Each block with its two neighbours: `[B * blocks, heads, 3 * window, D]`."""
        size = self._window
        padded = F.pad(heads, (0, 0, size, self._padding + size))
        return padded.unfold(2, 3 * size, size).permute(0, 2, 1, 4, 3).flatten(0, 1)
