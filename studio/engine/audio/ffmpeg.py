"""Writes opus and AAC through FFmpeg (PyAV): libsndfile has no AAC, and its opus rings at a hard end (docs/log.md)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import numpy as np

from studio.engine.audio.shape import Audio
from studio.engine.requests import AudioFormat
from studio.errors import AudioError

CODECS: Mapping[AudioFormat, tuple[str, str]] = {  # FFmpeg's encoder and container
    AudioFormat.OPUS: ("libopus", "ogg"),
    AudioFormat.AAC: ("aac", "adts"),
}
BITS = 96_000  # a second and channel
_BLOCK = 1 << 15  # samples
_LAYOUTS = {1: "mono", 2: "stereo"}


def write_encoded(path: Path, audio: Audio, sample_rate: int, audio_format: AudioFormat) -> None:
    """Write `audio` `[channels, samples]`, float32 within -1..1, in one of CODECS; AAC comes back some 20 ms longer.

    Raises AudioError for more than two channels, OSError when the disk refuses.
    """
    import av  # FFmpeg is loaded when a file needs it

    channels = audio.shape[0]
    if channels not in _LAYOUTS:
        raise AudioError(f"{audio_format} is written with one or two channels, got {channels}")
    codec, container_format = CODECS[audio_format]
    with av.open(str(path), "w", format=container_format) as container:
        added = container.add_stream(codec, rate=sample_rate, layout=_LAYOUTS[channels], bit_rate=BITS * channels)
        stream = cast(av.AudioStream, added)
        for start in range(0, audio.shape[1], _BLOCK):
            block = np.ascontiguousarray(audio[:, start : start + _BLOCK])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=_LAYOUTS[channels])
            frame.sample_rate, frame.pts = sample_rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
