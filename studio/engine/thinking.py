"""How the language model may help before the DiT runs, as an object and as the flat mapping a take stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar, cast

from studio.engine.lm.prompts import NO_INPUT
from studio.engine.lm.requests import MAX_CHUNK, Draw, Guidance
from studio.errors import InvalidRequest

Value = TypeVar("Value", bool, int, float, str)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinking:
    """The switches and the sampling of the language model; what the user gave is kept whatever they say."""

    codes: bool = True  # Think: audio codes for the DiT to follow
    metas: bool = True  # CoT Metas: fill in facts; without it, caption and language are left alone too
    caption: bool = True  # CaptionRewrite
    language: bool = True  # CoT Language: only where the language is unknown
    formatted: bool = False  # caption, lyrics and facts come from the language model already: as metas off
    draw: Draw = field(default_factory=Draw)
    guidance: Guidance = field(default_factory=lambda: Guidance(scale=2.0))
    parallel: bool = True  # ParallelThinking
    chunk_size: int = 8  # takes at once
    debug: bool = False  # keep a line for every token

    def __post_init__(self) -> None:
        if type(self.chunk_size) is not int or not 1 <= self.chunk_size <= MAX_CHUNK:
            raise InvalidRequest("lm_batch_chunk_size", f"be a whole number from 1 to {MAX_CHUNK}", self.chunk_size)

    @property
    def reasons(self) -> bool:
        """Whether facts are chosen at all (product.md 2.7: formatted text is not reasoned about again)."""
        return self.metas and not self.formatted

    @property
    def wanted(self) -> bool:
        """Whether there is anything for the language model to do."""
        return self.codes or self.reasons


def thinking_settings(thinking: Thinking) -> dict[str, object]:
    """Return the flat JSON-ready mapping (keys of product.md 2.3); `thinking_from` gives the object back."""
    draw, guidance = thinking.draw, thinking.guidance
    return {
        "thinking": thinking.codes,
        "use_cot_metas": thinking.metas,
        "use_cot_caption": thinking.caption,
        "use_cot_language": thinking.language,
        "formatted": thinking.formatted,
        "lm_temperature": draw.temperature,
        "lm_top_k": draw.top_k,
        "lm_top_p": draw.top_p,
        "lm_repetition_penalty": draw.repetition_penalty,
        "lm_cfg_scale": guidance.scale,
        "lm_negative_prompt": guidance.negative_prompt,
        "allow_lm_batch": thinking.parallel,
        "lm_batch_chunk_size": thinking.chunk_size,
        "constrained_decoding_debug": thinking.debug,
    }


def thinking_from(stored: Mapping[str, object]) -> Thinking:
    """Rebuild and check what `thinking_settings` gave; a key that is not there takes its default."""

    def read(key: str, default: Value) -> Value:
        return cast(Value, stored.get(key, default))  # of its kind: written by thinking_settings or checked by a form

    return Thinking(
        codes=read("thinking", True),
        metas=read("use_cot_metas", True),
        caption=read("use_cot_caption", True),
        language=read("use_cot_language", True),
        formatted=read("formatted", False),
        draw=Draw(
            temperature=read("lm_temperature", 0.85),
            top_k=read("lm_top_k", 0),
            top_p=read("lm_top_p", 0.9),
            repetition_penalty=read("lm_repetition_penalty", 1.0),
        ),
        guidance=Guidance(
            scale=read("lm_cfg_scale", 2.0),
            negative_prompt=read("lm_negative_prompt", NO_INPUT),
        ),
        parallel=read("allow_lm_batch", True),
        chunk_size=read("lm_batch_chunk_size", 8),
        debug=read("constrained_decoding_debug", False),
    )
