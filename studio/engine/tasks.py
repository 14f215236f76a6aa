"""Per-task inputs of the DiT: context latents and chunk mask (engine.md 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from studio.engine.audio.span import Span
from studio.engine.edits import Lego, Repaint
from studio.engine.requests import Request, TextToMusic

if TYPE_CHECKING:  # takes eight seconds to import; only loader.py does
    from diffusers.pipelines.ace_step.modeling_ace_step import AceStepAudioTokenDetokenizer, AceStepAudioTokenizer

    from studio.engine.loader import Components


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Everything that steers the DiT; a leading 1 serves the whole batch."""

    states: Tensor  # [1 or B, L, width], what cross-attention reads
    context: Tensor  # [1 or B, T, 2C], source latents and chunk mask side by side
    null: Tensor  # [1, 1, width], the learned "no condition" of guidance
    later: Conditions | None = None  # what the last steps follow instead (engine.md 5.5)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Repainted:
    """A span of a source that is made anew while the rest is kept."""

    clean: Tensor  # [1 or B, T, C], latents of the source
    inside: Tensor  # [1 or B, T], bool


def join_context(source: Tensor, mask: Tensor) -> Tensor:
    """Put source latents `[B, T, C]` and chunk mask `[B, T]` side by side: `[B, T, 2C]`."""
    return torch.cat([source, mask[..., None].to(source.dtype).expand_as(source)], dim=-1)


def cover_hints(
    tokenizer: AceStepAudioTokenizer, detokenizer: AceStepAudioTokenDetokenizer, source: Tensor, silence: Tensor
) -> Tensor:
    """Return what is left of source latents `[B, T, C]` after a way through the 5 Hz codes, `[B, T, C]`.

    A last group of frames that is not full is filled with the beginning of `silence` (engine.md 2.6, 5.3).
    """
    quantized, _codes = tokenizer.tokenize(source, silence)
    hints: Tensor = detokenizer(quantized)
    return hints[:, : source.shape[1]]


def decode_codes(tokenizer: AceStepAudioTokenizer, detokenizer: AceStepAudioTokenDetokenizer, codes: Tensor) -> Tensor:
    """Return 25 Hz hints `[B, 5 N, C]` of codes `[B, N]`."""
    hints: Tensor = detokenizer(tokenizer.quantizer.get_output_from_indices(codes[..., None]))
    return hints


def fit(latents: Tensor, frames: int, silence: Tensor) -> Tensor:
    """Cut latents `[B, T, C]` to `frames` or fill them from the beginning of `silence` (engine.md 5.2)."""
    missing = max(0, frames - latents.shape[1])
    rest = silence.repeat(1, -(-missing // silence.shape[1]) or 1, 1)[:, :missing].expand(len(latents), -1, -1)
    return torch.cat([latents[:, :frames], rest], dim=1)


def fit_mask(mask: Tensor, frames: int) -> Tensor:
    """Return a chunk mask `[T]` as `[1, frames]`; frames beyond it belong to no source and count as outside."""
    return torch.nn.functional.pad(mask, (0, frames - mask.shape[0]))[None]


def chunk_mask(request: Request, span: Span | None, calm: Tensor) -> Tensor:
    """Return the chunk mask `[1, T]` for silence `calm` `[1, T, C]`: 1 where the model makes sound (engine.md 5.3)."""
    if span is None or not isinstance(request, Repaint | Lego):
        return calm.new_ones(calm.shape[:2])
    return fit_mask(torch.from_numpy(span.mask()).to(calm), calm.shape[1])


def followed_latents(
    parts: Components, request: Request, source: Tensor | None, quantized: bool, calm: Tensor
) -> Tensor:
    """Return the source latents `[1, T, C]` as the task wants the DiT to see them (engine.md 5.3).

    Codes and quantised covers need an audio tokenizer; effective.py refuses them without one.
    """
    tokenizer, detokenizer = parts.audio_tokenizer, parts.audio_token_detokenizer
    if tokenizer is not None and detokenizer is not None:
        if isinstance(request, TextToMusic) and request.audio_codes:
            codes = torch.tensor([list(request.audio_codes)], device=calm.device)
            return fit(decode_codes(tokenizer, detokenizer, codes), calm.shape[1], calm)
        if source is not None and quantized:
            return cover_hints(tokenizer, detokenizer, source, calm)
    return calm if source is None else source
