"""Writes AAC as a bare stream (ADTS) through FFmpeg (PyAV), which libsndfile can't."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from studio.engine.audio.shape import Audio
from studio.errors import AudioError

RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000)  # Hz, all the format knows
BITS = 96_000  # a second and channel
_BLOCK = 1 << 15  # samples
_LAYOUTS = {1: "mono", 2: "stereo"}


def write_aac(path: Path, audio: Audio, sample_rate: int) -> None:
    """Write `audio` `[channels, samples]`, float32 within -1..1, to `path`; a decoder gives some 20 ms more.

    Raises AudioError for more than two channels, OSError when the disk refuses.
    """
    import av  # FFmpeg is loaded when a file needs it

    channels = audio.shape[0]
    if channels not in _LAYOUTS:
        raise AudioError(f"aac is written with one or two channels, got {channels}")
    with av.open(str(path), "w", format="adts") as container:
        stream = container.add_stream("aac", rate=sample_rate, layout=_LAYOUTS[channels], bit_rate=BITS * channels)
        for start in range(0, audio.shape[1], _BLOCK):
            block = np.ascontiguousarray(audio[:, start : start + _BLOCK])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=_LAYOUTS[channels])
            frame.sample_rate, frame.pts = sample_rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
