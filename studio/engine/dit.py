"""The diffusion transformer under fixed conditions: what doesn't change from step to step is computed once.

Runs the modules of diffusers' AceStepTransformer1DModel (adapters and quantised layers included), but not its forward:
that one projects the conditions at every step, builds a dense mask for every sliding window and gives the unprompted
half of guidance a whole cross-attention over identical rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:  # takes eight seconds to import; only loader.py does
    from diffusers.models.normalization import RMSNorm
    from diffusers.models.transformers.ace_step_transformer import (
        AceStepAttention,
        AceStepMLP,
        AceStepTransformer1DModel,
        AceStepTransformerBlock,
    )

BLOCKS_WORTH_IT = 4  # a sliding window is cut into blocks when the sequence is longer than this many windows


@dataclass(frozen=True, slots=True)
class _Conditions:
    """What cross-attention of one layer reads."""

    key: Tensor  # [B, kv heads, L, D]
    value: Tensor
    nothing: Tensor | None  # [1, 1, H], what attending to the null condition gives, whatever the query


@dataclass(frozen=True, slots=True)
class _Positions:
    """Rotary angles of a sequence: cosine `[1, N, 1, D]` and sine `[1, N, 1, D / 2]` in the model's number type."""

    cosine: Tensor
    sine: Tensor

    def turn(self, heads: Tensor) -> Tensor:
        """Rotate `[B, N, heads, D]`; the halves of D form the pairs (engine.md 2.3)."""
        first, second = heads.chunk(2, dim=-1)
        turned = heads * self.cosine
        left, right = turned.chunk(2, dim=-1)
        left.addcmul_(second, self.sine, value=-1)
        right.addcmul_(first, self.sine)
        return turned


Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
Block = Callable[["AceStepTransformerBlock", Tensor, Tensor, _Positions, Attend, _Conditions], Tensor]


class Velocity:
    """The DiT's velocity as a function of latents and noise level, for one set of conditions."""

    def __init__(
        self,
        transformer: AceStepTransformer1DModel,
        states: Tensor,
        context: Tensor,
        null: Tensor | None = None,
        *,
        compiled: bool = False,
    ) -> None:
        """Prepare for encoder states `[B, L, He]` and context latents `[B, T, 2C]`.

        With the null condition `[1, 1, He]` the second half of every batch runs unprompted. `compiled` runs the layers
        through torch.compile: the first call takes a minute or more.
        """
        self._dit, self._context = transformer, context
        self._layers = [cast("AceStepTransformerBlock", layer) for layer in transformer.layers]
        self._block = _compiled_block() if compiled else _block
        self._frames = context.shape[1]
        tokens = -(-self._frames // transformer.patch_size)
        self._positions = _positions(tokens, transformer.head_dim, transformer.rope_theta, context)
        attend = cache(lambda window, scale: _self_attention(window, scale, tokens, context))  # a mask for all layers
        self._attend = [attend(layer.self_attn.sliding_window, layer.self_attn.scaling) for layer in self._layers]
        encoded = transformer.condition_embedder(states)
        nothing = None if null is None else transformer.condition_embedder(null)
        self._conditions = [_cross_conditions(layer.cross_attn, encoded, nothing) for layer in self._layers]
        self._rest = transformer.time_embed_r(torch.zeros(1, device=context.device, dtype=context.dtype))
        self._tables = torch.cat([layer.scale_shift_table for layer in self._layers]).float()  # [layers, 6, H]
        self._gains = torch.stack([_gains(layer) for layer in self._layers])

    def __call__(self, latents: Tensor, level: float, *, unprompted: bool = False) -> tuple[Tensor, Tensor | None]:
        """Return the prompted and, when asked for, the unprompted velocity, each `[B, T, C]` in float32."""
        dit, dtype = self._dit, self._context.dtype
        moment = torch.full((1,), level, device=latents.device, dtype=dtype)
        temb, projected = (a + b for a, b in zip(dit.time_embed(moment), self._rest, strict=True))
        modulations = self._modulations(projected)
        hidden = self._patches(latents.to(dtype))
        if unprompted:
            hidden = torch.cat([hidden, hidden])
        for layer, rows, attend, conditions in zip(
            self._layers, modulations, self._attend, self._conditions, strict=True
        ):
            hidden = self._block(layer, hidden, rows, self._positions, attend, conditions)
        shift, scale = (dit.scale_shift_table + temb.unsqueeze(1)).chunk(2, dim=1)
        hidden = torch.addcmul(shift, dit.norm_out(hidden), 1 + scale)
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
        # Every tensor of the layers takes the layout of this one: transposed, they would be read against the grain and
        # copied before each product, which took half of the time.
        return hidden.transpose(1, 2).contiguous()

    def _modulations(self, projected: Tensor) -> tuple[Tensor, ...]:
        """What each layer `[6, H]` multiplies and adds: shift, gain and gate of its attention, then of its MLP.

        A gain is the norm's weight times one plus the scale.
        """
        rows = self._tables + projected
        rows[:, 1::3] += 1
        rows[:, 1::3] *= self._gains
        return rows.to(projected.dtype).unbind()


def _gains(layer: AceStepTransformerBlock) -> Tensor:
    """Weights `[2, H]` of the two norms that are modulated, float32."""
    return torch.stack([_weight(layer.self_attn_norm), _weight(layer.mlp_norm)]).float()


def _block(
    layer: AceStepTransformerBlock,
    hidden: Tensor,
    modulation: Tensor,
    positions: _Positions,
    attend: Attend,
    conditions: _Conditions,
) -> Tensor:
    """One layer on `[B or 2B, N, H]` (engine.md 2.3)."""
    shift_a, gain_a, gate_a, shift_m, gain_m, gate_m = modulation.unbind()
    query, key, value = _heads(layer.self_attn, _normalized(hidden, layer.self_attn_norm, gain_a, shift_a))
    mixed = attend(*(part.transpose(1, 2) for part in (positions.turn(query), positions.turn(key), value)))
    hidden = torch.addcmul(hidden, _join(layer.self_attn, mixed), gate_a)
    _add_cross_attention(layer, hidden, conditions)
    normed = _normalized(hidden, layer.mlp_norm, gain_m, shift_m)
    return torch.addcmul(hidden, _mlp(layer.mlp, normed), gate_m)


@cache
def _compiled_block() -> Block:
    """The layer through torch.compile, which fuses what lies between its matrix products."""
    return torch.compile(_block)


def _weight(norm: RMSNorm) -> Tensor:
    """Its weight; the DiT makes none without."""
    return cast("Tensor", norm.weight)


def _normalized(hidden: Tensor, norm: RMSNorm, gain: Tensor, shift: Tensor | None = None) -> Tensor:
    """RMSNorm over the last axis with a gain of its own, and a shift; float32 inside."""
    if hidden.device.type != "cpu":
        normed = F.rms_norm(hidden, hidden.shape[-1:], gain.flatten(), norm.eps)
        return normed if shift is None else normed.add_(shift)
    exact = hidden.float()  # F.rms_norm is not fused on the CPU and takes more passes than this
    length = torch.linalg.vector_norm(exact, dim=-1, keepdim=True)
    factor = length.square_().div_(hidden.shape[-1]).add_(norm.eps).rsqrt_()
    scaled: Tensor = (exact * factor).mul_(gain)
    return (scaled if shift is None else scaled.add_(shift)).to(hidden.dtype)


def _mlp(mlp: AceStepMLP, normed: Tensor) -> Tensor:
    """SwiGLU without a second copy of its widest tensor."""
    result: Tensor = mlp.down_proj(F.silu(mlp.gate_proj(normed), inplace=True).mul_(mlp.up_proj(normed)))
    return result


def _heads(attention: AceStepAttention, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Query `[B, N, heads, D]` and, for fewer heads, key and value; the first two normalised."""
    query = _normed_heads(attention, attention.norm_q, attention.to_q(hidden))
    key = _normed_heads(attention, attention.norm_k, attention.to_k(hidden))
    return query, key, attention.to_v(hidden).unflatten(-1, (-1, attention.head_dim))


def _normed_heads(attention: AceStepAttention, norm: RMSNorm, projected: Tensor) -> Tensor:
    """Cut `[B, N, heads * D]` to `[B, N, heads, D]`, each head normalised."""
    heads: Tensor = projected.unflatten(-1, (-1, attention.head_dim))  # type: ignore[no-untyped-call]  # torch's own
    return _normalized(heads, norm, _weight(norm))


def _join(attention: AceStepAttention, mixed: Tensor) -> Tensor:
    """Bring `[B, heads, N, D]` back to `[B, N, H]`."""
    joined: Tensor = attention.to_out[0](mixed.transpose(1, 2).flatten(2))
    return joined


def _add_cross_attention(layer: AceStepTransformerBlock, hidden: Tensor, conditions: _Conditions) -> None:
    """Add to the prompted part what it hears of its prompt, and to the rest what it hears of the null condition."""
    attention, norm, prompted = layer.cross_attn, layer.cross_attn_norm, conditions.key.shape[0]
    normed = _normalized(hidden[:prompted], norm, _weight(norm))
    query = _normed_heads(attention, attention.norm_q, attention.to_q(normed)).transpose(1, 2)
    heard = _join(attention, _attention(query, conditions.key, conditions.value, attention.scaling))
    hidden[:prompted].add_(heard)
    if conditions.nothing is not None and hidden.shape[0] > prompted:
        hidden[prompted:].add_(conditions.nothing)


def _cross_conditions(attention: AceStepAttention, encoded: Tensor, nothing: Tensor | None) -> _Conditions:
    """Keys and values of one layer; attending to equal rows gives their value, so null needs no attention at all."""
    key = _normed_heads(attention, attention.norm_k, attention.to_k(encoded)).transpose(1, 2)
    value = attention.to_v(encoded).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
    heard = None
    if nothing is not None:
        alone = attention.to_v(nothing).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
        heard = _join(attention, alone.repeat_interleave(attention.heads // attention.kv_heads, dim=1))
    return _Conditions(key, value, heard)


def _attention(query: Tensor, key: Tensor, value: Tensor, scale: float, mask: Tensor | None = None) -> Tensor:
    """Attend `[B, heads, N, D]` to fewer heads of key and value, with an additive mask."""
    groups = query.shape[1] // key.shape[1]
    if groups > 1 and query.device.type != "cpu" and (mask is not None or query.dtype is torch.float32):
        # On GPUs the kernels that share heads take neither: attention would fall back to storing every score.
        key, value = (part.repeat_interleave(groups, dim=1) for part in (key, value))
        groups = 1
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale, enable_gqa=groups > 1)


def _positions(tokens: int, size: int, theta: float, like: Tensor) -> _Positions:
    """Angles at positions 0 to `tokens`, rounded only after cosine and sine (engine.md 2.8)."""
    exponents = torch.arange(0, size, 2, dtype=torch.float64) / size
    angles = torch.outer(torch.arange(tokens, dtype=torch.float64), theta**-exponents)[None, :, None]
    return _Positions(torch.cat([angles, angles], dim=-1).cos().to(like), angles.sin().to(like))


def _self_attention(window: int | None, scale: float, tokens: int, context: Tensor) -> Attend:
    """The cheapest exact self-attention of a layer: whole, with a band mask, or in blocks of its window."""
    if window is None or tokens <= window + 1:
        return lambda query, key, value: _attention(query, key, value, scale)
    if tokens > BLOCKS_WORTH_IT * window:
        return _Blocks(tokens, window, scale, context)
    places = torch.arange(tokens, device=context.device)
    band = _additive((places[:, None] - places[None]).abs() <= window, context)
    return lambda query, key, value: _attention(query, key, value, scale, band)


def _additive(seen: Tensor, like: Tensor) -> Tensor:
    """A mask to add to scores; made once, where a boolean one would be converted at every call."""
    return torch.zeros(seen.shape, device=like.device, dtype=like.dtype).masked_fill_(~seen, float("-inf"))


class _Blocks:
    """Sliding-window attention in blocks of one window that see one block to either side."""

    def __init__(self, tokens: int, window: int, scale: float, like: Tensor) -> None:
        self._window, self._scale = window, scale
        self._padding = -tokens % window
        blocks = (tokens + self._padding) // window
        own = torch.arange(window, device=like.device)
        seen = torch.arange(3 * window, device=like.device) - window
        near = (own[:, None] - seen[None]).abs() <= window
        places = seen[None] + window * torch.arange(blocks, device=like.device)[:, None]
        real = (places >= 0) & (places < tokens)
        self._mask = _additive(near[None] & real[:, None], like)[None, :, None]  # [1, blocks, 1, window, 3 * window]

    def __call__(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend `[B, heads, N, D]`."""
        batch, heads, tokens, size = query.shape
        own = F.pad(query, (0, 0, 0, self._padding)).view(batch, heads, -1, self._window, size).transpose(1, 2)
        keys, values = self._around(key), self._around(value)
        mask = self._mask.expand(batch, -1, -1, -1, -1).flatten(0, 1)
        mixed = _attention(own.flatten(0, 1), keys, values, self._scale, mask)
        whole = mixed.view(batch, -1, heads, self._window, size).transpose(1, 2).flatten(2, 3)
        return whole[:, :, :tokens]

    def _around(self, heads: Tensor) -> Tensor:
        """Each block with its two neighbours: `[B * blocks, heads, 3 * window, D]`."""
        size = self._window
        padded = F.pad(heads, (0, 0, size, self._padding + size))
        return padded.unfold(2, 3 * size, size).permute(0, 2, 1, 4, 3).flatten(0, 1)
