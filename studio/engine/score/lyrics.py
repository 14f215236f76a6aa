"""Listens to a finished take: when its lyrics are sung and how well it follows them (engine.md 9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from studio.engine.samplers import Noise
from studio.engine.score.align import Floats, cheapest_path, even_path, sharpen, token_spans
from studio.engine.score.attention import Selection, listening, select_heads
from studio.engine.score.quality import lyric_quality
from studio.engine.score.results import Alignment, LyricScores, LyricToken
from studio.engine.score.tokens import LyricTokens, lyric_lines, sung, token_texts
from studio.errors import InvalidRequest

if TYPE_CHECKING:  # these classes take eight seconds to import; only loader.py does
    from diffusers.models.transformers.ace_step_transformer import AceStepTransformer1DModel
    from transformers.tokenization_utils_tokenizers import PreTrainedTokenizerFast

_UNHEARD = "the model's attention does not follow these lyrics, so their times are spread evenly over the song"
SEED = 42  # of the noise that is laid over the take, the original's


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedTake:
    """One take before decoding, with what the DiT made it from."""

    latents: Tensor  # [T, C] float32, before any shift, rescale or decoding
    states: Tensor  # [1, L, width], what cross-attention read at the start of sampling
    context: Tensor  # [1, T, 2C], likewise
    lyrics: LyricTokens
    seconds: float  # requested duration, or T / 25
    steps: int  # of the sampler, as asked for

    def __post_init__(self) -> None:
        """Refuse what can't be listened to."""
        if not self.lyrics.ids:
            raise InvalidRequest("lyrics", "not be empty to be timed or scored", "")
        if self.lyrics.rows.stop > self.states.shape[1]:
            raise InvalidRequest("lyrics", f"be among the {self.states.shape[1]} condition rows", self.lyrics.rows.stop)
        if self.seconds <= 0:
            raise InvalidRequest("seconds", "be above 0", self.seconds)
        if self.steps < 1:
            raise InvalidRequest("steps", "be at least 1", self.steps)


def align_lyrics(
    transformer: AceStepTransformer1DModel, tokenizer: PreTrainedTokenizerFast, take: FinishedTake
) -> Alignment:
    """Return when each lyric token and line of `take` is sung, and the take's quality, by one forward of the DiT.

    Where nothing in the attention stands out, the original puts every line at 0:00; here they are spread evenly.
    Raises CheckpointError when the model has none of the heads that follow lyrics.
    """
    selection = _select(transformer)
    (maps,) = _maps(transformer, selection, take, (1 / take.steps,))
    ids = take.lyrics.ids
    sharp = sharpen(maps)
    heard = bool(sharp.any())
    path = cheapest_path(-sharp) if heard else even_path(*sharp.shape)
    spans = token_spans(path, len(ids), take.seconds, sharp.shape[1])
    tokens = tuple(
        LyricToken(id=one, text=text, start=start, end=end)
        for one, text, (start, end) in zip(ids, token_texts(tokenizer, ids), spans, strict=True)
    )
    return Alignment(
        lines=tuple(lyric_lines(tokenizer, tokens)),
        tokens=tokens,
        quality=lyric_quality(maps, sung(tokenizer, ids)),
        heard=heard,
        notes=selection.notes if heard else (*selection.notes, _UNHEARD),
    )


def lyric_scores(
    transformer: AceStepTransformer1DModel, tokenizer: PreTrainedTokenizerFast, take: FinishedTake
) -> LyricScores:
    """Return how well `take` follows its lyrics and how well pure noise would, by one forward of two items.

    Raises CheckpointError when the model has none of the heads that follow lyrics.
    """
    words = sung(tokenizer, take.lyrics.ids)
    noise, finished = _maps(transformer, _select(transformer), take, (1.0, 1 / take.steps))
    return LyricScores(noise=lyric_quality(noise, words), take=lyric_quality(finished, words))


def _select(transformer: AceStepTransformer1DModel) -> Selection:
    config = transformer.config
    return select_heads(config, config["num_hidden_layers"], config["num_attention_heads"])


@torch.inference_mode()
def _maps(
    transformer: AceStepTransformer1DModel, selection: Selection, take: FinishedTake, levels: Sequence[float]
) -> list[Floats]:
    """Return attention maps `[K, tokens, N]` of the take at each noise level, all under the same noise."""
    dtype, device = take.states.dtype, take.states.device
    level = torch.tensor(levels, device=device).view(-1, 1, 1)
    noise = _noise(take).to(device)
    noisy = level * noise + (1 - level) * take.latents.to(device)
    moments = level.flatten().to(dtype)
    with listening(transformer, selection.heads, take.lyrics.rows) as listener:
        transformer(
            hidden_states=noisy.to(dtype),
            timestep=moments,
            timestep_r=moments,
            encoder_hidden_states=take.states.expand(len(levels), -1, -1),
            context_latents=take.context.expand(len(levels), -1, -1),
            return_dict=False,
        )
    return [maps.numpy() for maps in listener.maps()]


def _noise(take: FinishedTake) -> Tensor:
    """Noise `[1, T, C]` as the original draws it: on the model's device, but for Apple's on the CPU."""
    device = take.states.device
    place = torch.device("cpu") if device.type == "mps" else device
    frames, channels = take.latents.shape
    return Noise((SEED,), frames, channels, place, take.states.dtype).draw()
