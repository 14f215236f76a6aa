"""The outline of a piece of audio for drawing: one byte a column. Imports no torch."""

from __future__ import annotations

import numpy as np

from studio.engine.audio.shape import Audio

COLUMNS = 480  # as many as a wide player has pixels for, at two a column


def outline(audio: Audio, columns: int = COLUMNS) -> bytes:
    """Return the highest absolute sample of each of `columns` equal stretches of `audio` [channels, samples].

    255 is full scale; audio shorter than that has a column a sample.
    """
    loud = np.abs(audio).max(axis=0)
    starts = np.unique(np.linspace(0, loud.size, columns, endpoint=False).astype(np.int64))
    peaks = np.maximum.reduceat(loud, starts)
    drawn: bytes = np.rint(np.clip(peaks, 0.0, 1.0) * 255).astype(np.uint8).tobytes()
    return drawn
