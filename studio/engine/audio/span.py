"""Which part of a source is made anew, in seconds, samples and latent frames (engine.md 5.4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio.engine.audio.shape import Audio
from studio.engine.model_spec import Sound
from studio.engine.requests import MAX_DURATION
from studio.errors import InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A range of a source that may reach beyond both its ends; everything is counted on the extended source."""

    front: int  # samples of silence put before the source
    samples: int  # of the extended source, which the result has too
    frames: int  # T, latent frames of the extended source
    start: int  # samples
    end: int  # samples, exclusive; equal to start when there is no range
    first_frame: int
    end_frame: int  # exclusive; equal to first_frame when there is no range

    @property
    def empty(self) -> bool:
        """Whether there is no range, so that the mask is 1 everywhere and the source stays whole."""
        return self.end == self.start

    def mask(self) -> NDArray[np.bool_]:
        """Return the chunk mask `[T]`, True where the model makes sound; everywhere when there is no range."""
        mask = np.full(self.frames, self.empty)
        mask[self.first_frame : self.end_frame] = True
        return mask

    def extend(self, audio: Audio, sound: Sound) -> Audio:
        """Return the source `[channels, S]` with its silence around it, up to whole frames `[channels, T * hop]`.

        Silence behind the last sample completes its frame, so that no sound is left without one; what is decoded is
        cut to `samples` again.
        """
        behind = self.frames * sound.hop_length - self.front - audio.shape[1]
        if not self.front and not behind:
            return audio
        return np.pad(audio, ((0, 0), (self.front, behind)))


def span_of(source: int, start: float, end: float | None, sound: Sound, *, most: float = MAX_DURATION) -> Span:
    """Place the range from `start` to `end` seconds on a source of `source` samples.

    A start below 0 adds silence before the source and an end beyond it adds silence behind; end None or below 0 is the
    end of the source; without an end after the start there is no range (engine.md 5.4). Unlike the original, seconds
    are rounded to samples, so that 2.3 s doesn't lose one, and a frame begun counts as one, so that T may be one more.
    Raises InvalidRequest when source and silence last more than `most` seconds.
    """
    length = source / sound.sample_rate
    until = length if end is None or end < 0 else end
    if max(until, length) - min(start, 0.0) > most:
        field, value = ("start", start) if start < 0 else ("end", end)
        raise InvalidRequest(field, f"extend the source of {length:.1f} s to at most {most:g} s", value)
    front = sound.samples(max(0.0, -start))
    first, last = front + sound.samples(start), front + (source if until == length else sound.samples(until))
    samples = max(front + source, last)
    frames = -(-samples // sound.hop_length)
    if last <= first:
        return Span(front=front, samples=samples, frames=frames, start=0, end=0, first_frame=0, end_frame=0)
    first_frame = min(first // sound.hop_length, frames - 1)
    end_frame = frames if last == samples else max(last // sound.hop_length, first_frame + 1)
    return Span(
        front=front,
        samples=samples,
        frames=frames,
        start=first,
        end=last,
        first_frame=first_frame,
        end_frame=end_frame,
    )


def no_range(source: int, sound: Sound) -> Span:
    """Return the span of a task without a range (cover, extract, complete) on a source of `source` samples."""
    return span_of(source, 0.0, 0.0, sound)
