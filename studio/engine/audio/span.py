"""Which parts of a source are made anew, in seconds, samples and latent frames (engine.md 5.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studio.engine.audio.shape import Audio
from studio.engine.model_spec import Sound
from studio.engine.requests import MAX_DURATION
from studio.errors import InvalidRequest

Seconds = tuple[float, float | None]  # start and end of a region; the end None is the end of the source


@dataclass(frozen=True, slots=True)
class Region:
    """One stretch of the extended source that is made anew."""

    start: int  # samples
    end: int  # samples, exclusive
    first_frame: int
    end_frame: int  # exclusive


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The regions of a source, which may reach beyond both its ends; everything is counted on the extended source."""

    front: int  # samples of silence put before the source
    samples: int  # of the extended source, which the result has too
    frames: int  # T, latent frames of the extended source
    regions: tuple[Region, ...] = ()  # in order, apart from each other

    @property
    def empty(self) -> bool:
        """Whether there is no region, so that the mask is 1 everywhere and the source stays whole."""
        return not self.regions

    @property
    def stretches(self) -> list[tuple[int, int]]:
        """First sample and the one after the last of each region."""
        return [(region.start, region.end) for region in self.regions]

    def mask(self) -> NDArray[np.bool_]:
        """Return the chunk mask `[T]`, True where the model makes sound; everywhere when there is no region."""
        mask = np.full(self.frames, self.empty)
        for region in self.regions:
            mask[region.first_frame : region.end_frame] = True
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


def span_of(source: int, regions: Sequence[Seconds], sound: Sound, *, most: float = MAX_DURATION) -> Span:
    """Place regions from start to end seconds, in order and apart, on a source of `source` samples.

    A start below 0 adds silence before the source and an end beyond it adds silence behind; end None or below 0 is the
    end of the source; without an end after the start a single region is none (engine.md 5.4). Unlike the original,
    seconds are rounded to samples, so that 2.3 s doesn't lose one, and a frame begun counts as one, so that T may be
    one more. Raises InvalidRequest when source and silence last more than `most` seconds, and for several regions of
    which one but the last ends behind the source, or one holds no sample.
    """
    length = source / sound.sample_rate
    placed = [(start, length if end is None or end < 0 else end) for start, end in regions]
    _check(placed, length, most)
    front = sound.samples(max(0.0, -placed[0][0]))

    def sample(until: float) -> int:
        return front + (source if until == length else sound.samples(until))

    stretches = [(front + sound.samples(start), sample(until)) for start, until in placed]
    samples = max(front + source, stretches[-1][1])
    frames = -(-samples // sound.hop_length)
    found = [
        Region(
            start=first,
            end=last,
            first_frame=(first_frame := min(first // sound.hop_length, frames - 1)),
            end_frame=frames if last == samples else max(last // sound.hop_length, first_frame + 1),
        )
        for first, last in stretches
        if last > first
    ]
    if len(found) < len(regions) > 1:
        rule = f"leave every region at least a sample; the source ends at {length:.1f} s"
        raise InvalidRequest("repainting_more", rule, [list(region) for region in regions])
    return Span(front=front, samples=samples, frames=frames, regions=tuple(found))


def no_range(source: int, sound: Sound) -> Span:
    """Return the span of a task without a region (cover, extract, complete) on a source of `source` samples."""
    return span_of(source, [(0.0, 0.0)], sound)


def _check(placed: Sequence[tuple[float, float]], length: float, most: float) -> None:
    """Refuse what the source, `length` seconds long, has no place for."""
    first, last = placed[0][0], placed[-1][1]
    if max(last, length) - min(first, 0.0) > most:
        field, value = ("repainting_start", first) if first < 0 else ("repainting_end", last)
        raise InvalidRequest(field, f"extend the source of {length:.1f} s to at most {most:g} s", value)
    for _start, end in placed[:-1]:
        if end > length:
            rule = f"end within the source of {length:.1f} s; only the last region may reach beyond it"
            raise InvalidRequest("repainting_end", rule, end)
