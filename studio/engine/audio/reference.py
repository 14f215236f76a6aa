"""Thirty seconds of a recording for the timbre encoder to listen to (engine.md 4.2)."""

from __future__ import annotations

import numpy as np

from studio.engine.audio.shape import Audio
from studio.engine.audio.source import SourceAudio
from studio.engine.model_spec import Sound
from studio.errors import AudioError

REFERENCE_SECONDS = 30.0  # 750 frames at 25 Hz


def reference_windows(source: SourceAudio, sound: Sound, generator: np.random.Generator) -> Audio:
    """Return three windows `[channels, samples]` from the three thirds of `source`, together 30 s of whole frames.

    Shorter audio is repeated first. Each window begins at a random place of its third; the original draws it without
    the request's seed, here `generator` makes it repeatable. Raises AudioError for silence.
    """
    if source.silent:
        raise AudioError("the reference audio is silent; there is no timbre to follow")
    length = sound.frames(REFERENCE_SECONDS) * sound.hop_length
    audio = source.audio
    if audio.shape[1] < length:
        audio = np.tile(audio, -(-length // audio.shape[1]))
    parts = []
    for third, share in zip(_thirds(audio.shape[1]), _thirds(length), strict=True):
        room = len(third) - len(share)
        start = third.start + int(generator.integers(0, max(0, room), endpoint=True))
        parts.append(audio[:, start : start + len(share)])
    return np.concatenate(parts, axis=1)


def _thirds(length: int) -> list[range]:
    return [range(length * number // 3, length * (number + 1) // 3) for number in range(3)]
