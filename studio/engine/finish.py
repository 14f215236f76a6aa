"""From decoded audio to a finished take: length, level, fades, the source around repainted regions (engine.md 7)."""

from __future__ import annotations

from studio.engine.audio.shape import Audio, fade, level, within_full_scale
from studio.engine.audio.splice import matched_level, splice
from studio.engine.effective import Effective
from studio.engine.material import Material
from studio.engine.model_spec import Sound
from studio.engine.requests import Output

KEPT = "level and fades were left alone, so that everything outside the repainted span stays as it was"


def finish(audio: Audio, output: Output, effective: Effective, material: Material, sound: Sound) -> Audio:
    """Return the take `[channels, samples]` made of decoded audio.

    Repainted regions go back into their source, whose other samples are kept bit for bit; anything else is cut to its
    length, levelled and faded as `output` says.
    """
    span = material.repainted
    if effective.keeps_outside and span is not None and material.source is not None:
        source = material.source[:, : span.samples]
        matched = within_full_scale(matched_level(source, audio, span.stretches, sound.sample_rate))
        return splice(source, matched, span.stretches, sound.samples(effective.crossfade))
    samples = sound.samples(effective.duration) if material.span is None else material.span.samples
    audio = audio[:, :samples]
    levelled = level(audio, output.peak) if output.normalize else within_full_scale(audio)
    return fade(levelled, sound.sample_rate, output.fade_in, output.fade_out)
