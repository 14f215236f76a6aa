"""The audio people bring, made ready for a checkpoint: its rate, its channels, within -1..1 (engine.md 4.1, 4.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from studio.engine.audio.decoder import open_stream
from studio.engine.audio.shape import Audio, is_silent, peak
from studio.engine.audio.stream import BLOCK_SAMPLES, Block, Stream, checked, join
from studio.engine.model_spec import Sound
from studio.engine.requests import MAX_DURATION
from studio.errors import AudioError

SOURCE_SECONDS = MAX_DURATION  # a checkpoint makes no more


@dataclass(frozen=True, slots=True)
class SourceAudio:
    """Sound a task starts from, and what was done to it."""

    audio: Audio  # [channels, samples], within -1..1
    sample_rate: int  # Hz
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Return the length."""
        return float(self.audio.shape[1] / self.sample_rate)

    @property
    def silent(self) -> bool:
        """Whether nothing can be heard; the model then gets its own silence in place of latents."""
        return is_silent(self.audio)


def prepare_source(
    source: Path | Audio,
    sound: Sound,
    *,
    sample_rate: int | None = None,
    limit: float = SOURCE_SECONDS,
    name: str | None = None,
    cut: bool = False,
) -> SourceAudio:
    """Bring a file, or `[channels, samples]` at `sample_rate` Hz (None: the checkpoint's), into the form of `sound`.

    Mono is played on every channel, of more channels the first are kept, other rates are resampled (soxr; the original
    uses torchaudio, so samples differ slightly), and samples beyond full scale are clipped. Nothing else changes and
    nothing is cut, unless `cut` asks for the first `limit` seconds of what is longer. `name` stands for the file in
    messages. Raises AudioError for what can't be read (stream.py) and for more than `limit` seconds.
    """
    if isinstance(source, Path):
        called = name or source.name
        with open_stream(source, called) as stream:
            return _prepared(stream, sound, limit, called, cut)
    called = name or "the audio"
    stream = _from_array(source, sample_rate or sound.sample_rate, called)
    return _prepared(stream, sound, limit, called, cut)


def _prepared(stream: Stream, sound: Sound, limit: float, name: str, cut: bool) -> SourceAudio:
    if not cut and stream.seconds is not None and stream.seconds > limit:
        raise AudioError(f"{name} lasts {stream.seconds:.1f} s; the limit is {limit:g} s")
    blocks = _first(stream, limit) if cut else _limited(stream, limit, name)
    blocks = (_on_channels(block, sound.channels) for block in blocks)
    if stream.rate != sound.sample_rate:
        blocks = _resampled(blocks, stream.rate, sound)
    audio = join(blocks, sound.channels)
    notes = [*stream.notes, *_changes(stream, sound, name), *_clip(audio, name)]
    return SourceAudio(audio, sound.sample_rate, tuple(notes))


def _from_array(audio: Audio, rate: int, name: str) -> Stream:
    if audio.ndim != 2:
        raise AudioError(f"{name} must have the shape [channels, samples], got {list(audio.shape)}")
    channels, samples = audio.shape
    size = max(1, BLOCK_SAMPLES // max(1, channels))
    parts = (audio[:, start : start + size].T.astype(np.float32) for start in range(0, samples, size))
    return Stream(rate, channels, samples / rate, checked(parts, name))


def _limited(stream: Stream, limit: float, name: str) -> Iterator[Block]:
    """Stop at the limit when a file is longer than it seemed."""
    read = 0
    for block in stream.blocks:
        read += len(block)
        if read > limit * stream.rate:
            raise AudioError(f"{name} lasts more than {read / stream.rate:.1f} s; the limit is {limit:g} s")
        yield block


def _first(stream: Stream, seconds: float) -> Iterator[Block]:
    left = round(seconds * stream.rate)
    for block in stream.blocks:
        yield block[:left]
        left -= len(block)
        if left <= 0:
            return


def _on_channels(block: Block, channels: int) -> Block:
    """Keep the first channels and repeat a single one; a copy, so that the others are freed."""
    if block.shape[1] == 1:
        return np.repeat(block, channels, axis=1)
    return np.ascontiguousarray(block[:, :channels])


def _resampled(blocks: Iterable[Block], rate: int, sound: Sound) -> Iterator[Block]:
    resampler = soxr.ResampleStream(rate, sound.sample_rate, sound.channels, dtype="float32")
    for block in blocks:
        yield resampler.resample_chunk(block)
    yield resampler.resample_chunk(np.empty((0, sound.channels), np.float32), last=True)


def _changes(stream: Stream, sound: Sound, name: str) -> Iterator[str]:
    if stream.channels > sound.channels:
        kept = "two were" if sound.channels == 2 else "one was"
        yield f"{name} has {stream.channels} channels; the first {kept} used"
    if stream.rate != sound.sample_rate:
        yield f"{name} was resampled from {stream.rate} to {sound.sample_rate} Hz"


def _clip(audio: Audio, name: str) -> Iterator[str]:
    loudest = peak(audio)
    if loudest > 1:
        np.clip(audio, -1, 1, out=audio)
        yield f"{name} was clipped at full scale; its peak was {20 * np.log10(loudest):+.1f} dBFS"
