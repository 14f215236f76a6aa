"""From texts to the sequence the DiT attends to (engine.md 3.3, 2.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from studio.engine.prompts import Prompt

if TYPE_CHECKING:  # these classes take eight seconds to import; only loader.py does
    from diffusers.pipelines.ace_step.modeling_ace_step import AceStepConditionEncoder
    from transformers.models.qwen3.modeling_qwen3 import Qwen3Model
    from transformers.tokenization_utils_tokenizers import PreTrainedTokenizerFast

MAX_CAPTION_TOKENS = 256
MAX_LYRICS_TOKENS = 2048


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token ids of a batch, padded on the right."""

    ids: Tensor  # [B, L] int64
    mask: Tensor  # [B, L] bool, True on real tokens
    cut: bool  # whether a text was longer than the limit


def tokenize(
    tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], limit: int, device: torch.device, length: int = 0
) -> Tokens:
    """Tokenise each text alone, cut it to `limit` tokens and pad the batch on the right with the pad token.

    Padding by hand keeps the side independent of the tokenizer's own setting. With a `length` every row is brought to
    exactly that many tokens.
    """
    rows = [tokenizer(text, truncation=True, max_length=limit)["input_ids"] for text in texts]
    # A full row may have been cut: only then is it worth tokenising again to find out.
    cut = any(
        len(row) == limit and len(tokenizer(text, verbose=False)["input_ids"]) > limit
        for row, text in zip(rows, texts, strict=True)
    )
    if length:
        rows = [row[:length] for row in rows]
    ids = torch.full((len(rows), length or max(map(len, rows))), tokenizer.pad_token_id, dtype=torch.int64)
    mask = torch.zeros_like(ids, dtype=torch.bool)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
        mask[index, : len(row)] = True
    return Tokens(ids.to(device), mask.to(device), cut)


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """The embedded prompts of a batch."""

    caption: Tensor  # [B, L, text width], hidden states of the text encoder
    caption_mask: Tensor  # [B, L] bool
    lyrics: Tensor  # [B, M, text width], input embeddings only
    lyrics_mask: Tensor  # [B, M] bool
    notes: tuple[str, ...]

    def repeated(self, takes: int) -> Texts:
        """Return the texts of one prompt for each of `takes`."""
        parts = (self.caption, self.caption_mask, self.lyrics, self.lyrics_mask)
        caption, caption_mask, lyrics, lyrics_mask = (part.repeat_interleave(takes, dim=0) for part in parts)
        return replace(self, caption=caption, caption_mask=caption_mask, lyrics=lyrics, lyrics_mask=lyrics_mask)


def embed(
    tokenizer: PreTrainedTokenizerFast, encoder: Qwen3Model, prompts: Sequence[Prompt], caption_length: int = 0
) -> Texts:
    """Embed captions with the whole text encoder and lyrics with its input embeddings alone.

    The encoder gets no attention mask: it is causal, so padding on the right changes no real row. With a
    `caption_length` captions are cut or padded to exactly that many tokens, as the original does with the prompt of the
    last steps of a cover (engine.md 3.4).
    """
    captions = tokenize(
        tokenizer, [prompt.caption for prompt in prompts], MAX_CAPTION_TOKENS, encoder.device, caption_length
    )
    lyrics = tokenize(tokenizer, [prompt.lyrics for prompt in prompts], MAX_LYRICS_TOKENS, encoder.device)
    limits = (("caption and metas", captions, MAX_CAPTION_TOKENS), ("lyrics", lyrics, MAX_LYRICS_TOKENS))
    return Texts(
        caption=encoder(input_ids=captions.ids, use_cache=False).last_hidden_state,
        caption_mask=captions.mask,
        lyrics=encoder.get_input_embeddings()(lyrics.ids),
        lyrics_mask=lyrics.mask,
        notes=tuple(f"{name} were cut to the first {limit} tokens" for name, tokens, limit in limits if tokens.cut),
    )


def encode_condition(encoder: AceStepConditionEncoder, texts: Texts, references: Tensor, order: Tensor) -> Tensor:
    """Pack lyrics, timbre and caption into encoder states `[B, M + refs + L, width]`.

    `references` `[N, frames, C]` are latents of reference audio, `order` `[N]` the batch item each belongs to.
    """
    states: Tensor
    states, _mask = encoder(  # the DiT attends to padding too, as the original does (engine.md 2.4)
        text_hidden_states=texts.caption,
        text_attention_mask=texts.caption_mask,
        lyric_hidden_states=texts.lyrics,
        lyric_attention_mask=texts.lyrics_mask,
        refer_audio_acoustic_hidden_states_packed=references,
        refer_audio_order_mask=order,
    )
    return states


def silence(encoder: AceStepConditionEncoder, frames: int, device: torch.device) -> Tensor:
    """Return `[1, frames, C]` of the checkpoint's silence on `device`, begun again when it is shorter (engine.md 4.5).

    The encoder itself may be elsewhere at the time.
    """
    stored: Tensor = encoder.silence_latent
    repeats = -(-frames // stored.shape[1])
    return stored.repeat(1, repeats, 1)[:, :frames].to(device)
