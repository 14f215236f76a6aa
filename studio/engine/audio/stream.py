"""Opens what people bring and hands it out in blocks, so that no length and no channel count exhausts the memory.

libsndfile reads wav, flac, mp3, ogg, opus and aiff; FFmpeg, through PyAV, the rest: m4a, aac, webm.

A file that ends early is told by what its format states (engine.md 4.1 leaves this open). A stated length that isn't
reached is an AudioError: wav, aiff, flac, m4a, webm, and mp3 with a Xing, Info or VBRI frame. Formats that state none
(mp3 without such a frame, ogg, opus, raw aac, mp4 in fragments) are read as far as they go, and a note says so when
their end looks cut: inside a frame, or before the page that ends an ogg stream. A cut exactly between two frames of
such a file leaves no trace, nor does any cut of a webm that a browser recorded, which states no length.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from studio.engine.audio.container import PADDING, find_track
from studio.engine.audio.ending import ends_before_its_header_says, lacks_its_last_page, looks_cut
from studio.engine.audio.mp3 import Mp3Frames, scan
from studio.engine.audio.shape import Audio
from studio.errors import AudioError

Block = NDArray[np.float32]  # [frames, channels]
BLOCK_SAMPLES = 1 << 17  # over all channels: half a megabyte
MIN_RATE, MAX_RATE = 1000, 768_000  # Hz
_UNKNOWN = 2**63 - 1  # frames, as libsndfile says of a flac whose header leaves them open


@dataclass(frozen=True, slots=True)
class Stream:
    """An opened file; `blocks` can be read once, and `notes` is complete when they are."""

    rate: int  # Hz
    channels: int
    seconds: float | None  # as far as it can be told without decoding
    blocks: Iterator[Block]
    notes: list[str] = field(default_factory=list)


@contextmanager
def open_stream(path: Path, name: str) -> Iterator[Stream]:
    """Open the audio file at `path`, called `name` in messages.

    Raises AudioError, also while the blocks are read, for a file that is missing, no audio, truncated, damaged, holds
    samples that are not numbers, or none at all.
    """
    try:
        file = soundfile.SoundFile(path)
    except (OSError, soundfile.SoundFileError) as error:
        yield _from_container(path, name, _reason(error))
        return
    with file:
        if file.frames == _UNKNOWN:  # libsndfile fails at the end of such a file
            yield _from_container(path, name, "its length is unknown")
        else:
            yield _from_soundfile(path, name, file)


def join(blocks: Iterable[Block], channels: int) -> Audio:
    """Return blocks `[frames, channels]` as one array `[channels, samples]`; two copies are held at most."""
    kept = list(blocks)
    audio = np.empty((channels, sum(map(len, kept))), dtype=np.float32)
    end = audio.shape[1]
    while kept:  # from the end, so that each block is freed when it is copied
        block = kept.pop()
        audio[:, end - len(block) : end] = block.T
        end -= len(block)
    return audio


def _from_container(path: Path, name: str, reason: str) -> Stream:
    track = find_track(path, name, reason)
    notes = [looks_cut(name)] if lacks_its_last_page(path) else []
    seconds = track.seconds or track.stated
    return Stream(_rate(track.rate, name), track.channels, seconds, checked(track.blocks(notes), name), notes)


def _from_soundfile(path: Path, name: str, file: soundfile.SoundFile) -> Stream:
    rate, channels = _rate(int(file.samplerate), name), int(file.channels)
    frames = scan(path) if file.format == "MP3" else None
    seconds = file.frames / rate if frames is None else frames.seconds
    if frames is not None and frames.truncated:
        raise AudioError(_truncated(name, seconds, (frames.stated or 0) * frames.frame_seconds))
    if ends_before_its_header_says(path):
        raise AudioError(f"{name} is truncated: it ends before the length its header states")
    notes = []
    if frames is not None and frames.goes_on:
        notes.append(f"{name} holds more than the {seconds:.1f} s it states; what comes after them was not read")
    if (frames is not None and frames.stated is None and frames.cut) or lacks_its_last_page(path):
        notes.append(looks_cut(name))
    return Stream(rate, channels, seconds, checked(_soundfile_blocks(file, name, _promised(file, frames)), name), notes)


def _promised(file: soundfile.SoundFile, frames: Mp3Frames | None) -> int:
    """Return how many samples must come; libsndfile only estimates the length of an mp3 that doesn't state it."""
    if file.format != "MP3":
        return int(file.frames)
    return int((frames.seconds - PADDING) * file.samplerate) if frames is not None else 0


def _soundfile_blocks(file: soundfile.SoundFile, name: str, promised: int) -> Iterator[Block]:
    """Read to the end and compare what came with what was promised."""
    size = max(1, BLOCK_SAMPLES // file.channels)
    rate, read = file.samplerate, 0
    try:
        while len(block := file.read(size, dtype="float32", always_2d=True)):
            read += len(block)
            yield block
    except soundfile.SoundFileError as error:
        raise AudioError(f"{name} can't be read beyond {read / rate:.1f} s: {_reason(error)}") from error
    if read < promised:
        raise AudioError(_truncated(name, read / rate, promised / rate))


def checked(blocks: Iterable[Block], name: str) -> Iterator[Block]:
    """Pass blocks on; raise AudioError when one holds NaN or infinity, or when there is none."""
    empty = True
    for block in blocks:
        if not np.isfinite(block).all():
            raise AudioError(f"{name} holds samples that are not numbers (NaN or infinite)")
        empty = False
        yield block
    if empty:
        raise AudioError(f"{name} holds no samples")


def _rate(rate: int, name: str) -> int:
    if not MIN_RATE <= rate <= MAX_RATE:
        raise AudioError(f"{name} has a sample rate of {rate} Hz; it must be from {MIN_RATE} to {MAX_RATE}")
    return rate


def _truncated(name: str, seconds: float, stated: float) -> str:
    return f"{name} is truncated: it holds {seconds:.1f} s of the {stated:.1f} s it states"


def _reason(error: Exception) -> str:
    """Say what went wrong without the folder the file lies in, which is nobody's business."""
    if isinstance(error, soundfile.LibsndfileError):
        return str(error.error_string).rstrip(".")
    return (error.strerror if isinstance(error, OSError) else None) or "it is no audio file"
