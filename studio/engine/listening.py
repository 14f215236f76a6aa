"""Audio heard as 5 Hz codes (product.md G-39: Convert to Codes)."""

from __future__ import annotations

from pathlib import Path

import torch

from studio.engine.audio.source import prepare_source
from studio.engine.conditioning import silence
from studio.engine.loaded import CODES, VAE, Loaded
from studio.engine.material import Material, Tiling, source_latents
from studio.engine.model_spec import ModelSpec
from studio.errors import AudioError, InvalidRequest


def check_codes_known(spec: ModelSpec) -> None:
    """Raise InvalidRequest when a checkpoint has no audio tokenizer."""
    if not spec.codes:
        rule = "be one with an audio tokenizer, or it can't turn audio into codes"
        raise InvalidRequest("model", rule, spec.name)


@torch.inference_mode()
def audio_codes(loaded: Loaded, source: Path, tiling: Tiling, *, cut: bool = False) -> tuple[int, ...]:
    """Return the codes of a file, five a second, a last piece of less than 200 ms filled with silence (engine.md 2.6).

    With `cut` a file that lasts too long is heard from its beginning. Raises InvalidRequest for a checkpoint without
    audio tokenizer, AudioError for a file that can't be read, lasts too long or holds no sound.
    """
    spec, parts = loaded.spec, loaded.parts
    check_codes_known(spec)
    heard = prepare_source(source, spec.sound, limit=spec.max_duration, cut=cut)
    if heard.silent:
        raise AudioError(f"{source.name} is silent: there is nothing to turn into codes")
    frames = -(-heard.audio.shape[1] // spec.sound.hop_length)
    with loaded.using(VAE):
        latents = source_latents(parts, spec, Material(source=heard.audio), frames, tiling)
    tokenizer = parts.audio_tokenizer
    if latents is None or tokenizer is None:
        raise ValueError(f"{spec.name} says it has an audio tokenizer and has none")
    with loaded.using(*CODES):
        _quantized, codes = tokenizer.tokenize(latents, silence(parts.condition_encoder, frames, parts.device))
    return tuple(int(code) for code in codes.flatten().tolist())
