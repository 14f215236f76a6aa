"""Audio inside m4a, aac, webm and other containers, through FFmpeg (PyAV)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from studio.engine.audio.ending import looks_cut
from studio.errors import AudioError

if TYPE_CHECKING:  # FFmpeg is loaded when a file needs it
    from av import AudioFrame, AudioStream, Packet
    from av.container import InputContainer

# Without a list FFmpeg would open playlists too, and a playlist can name any file and address of this machine.
FORMATS = "aac,mov,matroska,mp3,ogg,flac"
PADDING = 0.25  # seconds of an encoder's padding that decoders may drop
_FLOAT = "fltp"  # FFmpeg's name of float32, each channel by itself


@dataclass(frozen=True, slots=True)
class Track:
    """The first audio stream of a container."""

    path: Path
    name: str
    rate: int  # Hz, of the decoded sound: HE-AAC doubles what its header says
    channels: int
    seconds: float  # its packets added up; 0 when they don't say
    stated: float | None  # seconds, where the container writes it down

    def blocks(self, notes: list[str]) -> Iterator[NDArray[np.float32]]:
        """Decode blocks `[frames, channels]`; adds to `notes` when the end looks cut.

        Raises AudioError for damage before the end and for less sound than the container states.
        """
        read, broken = 0, False
        with _open(self.path) as file:
            for packet in file.demux(file.streams.audio[0]):
                if broken and packet.size:
                    raise AudioError(f"{self.name} is damaged {read / self.rate:.1f} s after its start")
                frames, failed = _decoded(packet)
                broken = broken or failed
                for block in self._converted(frames):
                    read += len(block)
                    yield block
        seconds = read / self.rate
        if self.stated is not None and seconds < self.stated - PADDING:
            raise AudioError(f"{self.name} is truncated: it holds {seconds:.1f} s of the {self.stated:.1f} s it states")
        if broken and not notes:
            notes.append(looks_cut(self.name))

    def _converted(self, frames: Iterable[AudioFrame]) -> Iterator[NDArray[np.float32]]:
        from av import AudioResampler

        for frame in frames:
            if (frame.rate, len(frame.layout.channels)) != (self.rate, self.channels):
                raise AudioError(f"{self.name} changes its sample rate or its channels on the way")
            for part in AudioResampler(format=_FLOAT).resample(frame):
                yield np.ascontiguousarray(part.to_ndarray().T, dtype=np.float32)


def find_track(path: Path, name: str, reason: str) -> Track:
    """Look through the packets of the file at `path`, called `name` in messages, and decode its first sound.

    Raises AudioError with `reason`, why another reader refused the file, when FFmpeg knows it no better.
    """
    from av import FFmpegError

    first: AudioFrame | None = None
    seconds = 0.0
    try:
        with _open(path) as file:
            if not file.streams.audio:
                raise AudioError(f"{name} holds no sound")
            stated = _stated(file, file.streams.audio[0])
            for packet in file.demux(file.streams.audio[0]):
                seconds += float((packet.duration or 0) * packet.time_base)
                first = first or next(iter(_decoded(packet)[0]), None)
    except (FFmpegError, OSError) as error:
        raise AudioError(f"{name} can't be read as audio: {reason}") from error
    if first is None:
        raise AudioError(f"{name} holds no samples that can be decoded")
    return Track(path, name, first.rate, len(first.layout.channels), seconds, stated)


def _open(path: Path) -> InputContainer:
    import av

    # Titles and the like needn't be UTF-8, and nobody asks for them here.
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    return av.open(str(path), options=options, metadata_errors="replace")


def _decoded(packet: Packet[AudioStream]) -> tuple[list[AudioFrame], bool]:
    """Return the frames of a packet and whether it is damaged."""
    from av import FFmpegError

    if packet.is_corrupt:
        return [], True
    try:
        return packet.decode(), False
    except FFmpegError:
        return [], True


def _stated(file: InputContainer, stream: AudioStream) -> float | None:
    """Return the length the container writes down in seconds; in other formats FFmpeg estimates it."""
    if "mov" in file.format.name and stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if "matroska" in file.format.name and file.duration is not None:
        return file.duration / 1e6  # AV_TIME_BASE is microseconds
    return None
