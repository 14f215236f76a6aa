"""The frames of an mp3 file: how many there are, how many its first frame states, and whether the last one is whole.

An mp3 has no header for the whole file, so decoders estimate its length and end without a word where a cut file ends.
What can be known: encoders usually write a first frame without sound that states the number of the others (named Xing,
Info or VBRI), and every frame states its own length.
"""

from __future__ import annotations

import mmap
import re
from dataclasses import dataclass
from pathlib import Path

_SYNC = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")  # eleven set bits, then MPEG 2.5, 2 or 1, layer III
_KBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # Hz, by version bits
_MONO = 3


@dataclass(frozen=True, slots=True)
class _Header:
    """What the four bytes before every frame say."""

    rate: int  # Hz
    samples: int  # a channel
    length: int  # bytes, with these four
    info_at: int  # where a Xing frame has its name


@dataclass(frozen=True, slots=True)
class Mp3Frames:
    """A count of the frames of a file."""

    found: int  # whole frames with sound
    stated: int | None  # by a Xing, Info or VBRI frame
    cut: bool  # the file ends inside a frame
    frame_seconds: float

    @property
    def seconds(self) -> float:
        """Return how long the sound lasts: decoders end where the file states, and drop up to 0.2 s of padding."""
        return min(self.found, self.stated or self.found) * self.frame_seconds

    @property
    def goes_on(self) -> bool:
        """Whether sound comes after the stated end, as in two files put one behind the other."""
        return self.stated is not None and self.found > self.stated + 1

    @property
    def truncated(self) -> bool:
        """Whether frames are missing that the file states; some writers count the stating frame too."""
        return self.stated is not None and self.found + 1 < self.stated


def scan(path: Path) -> Mp3Frames | None:
    """Walk the frames of `path` without decoding; None when it holds no MPEG layer III frames of a stated length."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        position = _resync(data, _after_tag(data))
        first = _header(data, position) if position is not None else None
        if position is None or first is None:
            return None
        is_info, stated = _stated(data, position, first)
        found, cut = _walk(data, position)
        return Mp3Frames(found - is_info, stated, cut, first.samples / first.rate)


def _walk(data: mmap.mmap, position: int | None) -> tuple[int, bool]:
    """Return the number of whole frames from `position` on and whether the last one is cut."""
    found = 0
    while position is not None:
        header = _header(data, position)
        if header is None:  # a tag at the end, or damage
            position = _resync(data, position)
        elif position + header.length > len(data):
            return found, True
        else:
            found += 1
            position += header.length
    return found, False


def _resync(data: mmap.mmap, start: int) -> int | None:
    """Return where the next frame begins: a header that leads to another one or to the very end."""
    for match in _SYNC.finditer(data, start):
        header = _header(data, match.start())
        if header is not None:
            after = match.start() + header.length
            if after == len(data) or _header(data, after) is not None:
                return match.start()
    return None


def _header(data: mmap.mmap, position: int) -> _Header | None:
    """Read the frame header at `position`; None when there is none or it leaves its frame's length open."""
    if _SYNC.match(data, position) is None or position + 4 > len(data):
        return None
    second, third, fourth = data[position + 1 : position + 4]
    version, bits, rate = second >> 3 & 3, third >> 4, third >> 2 & 3
    if bits in (0, 15) or rate == 3:
        return None
    modern, mono = version == 3, fourth >> 6 == _MONO
    hertz, samples = _RATES[version][rate], 1152 if modern else 576
    kbits = (_KBITS_1 if modern else _KBITS_2)[bits]
    length = samples // 8 * kbits * 1000 // hertz + (third >> 1 & 1)
    side = (17 if mono else 32) if modern else (9 if mono else 17)
    return _Header(hertz, samples, length, 4 + side)


def _stated(data: mmap.mmap, position: int, header: _Header) -> tuple[bool, int | None]:
    """Return whether the first frame is one without sound and the number of frames it states."""
    name = position + header.info_at
    if data[name : name + 4] in (b"Xing", b"Info"):
        has_frames = data[name + 7] & 1
        return True, int.from_bytes(data[name + 8 : name + 12], "big") or None if has_frames else None
    name = position + 36
    if data[name : name + 4] == b"VBRI":
        return True, int.from_bytes(data[name + 14 : name + 18], "big") or None
    return False, None


def _after_tag(data: mmap.mmap) -> int:
    """Return where the sound may begin: after an ID3v2 tag, whose picture could look like a frame."""
    start = data[:10]
    if start[:3] != b"ID3" or len(start) < 10:
        return 0
    size = 0
    for byte in start[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size + (10 if start[5] & 0x10 else 0)
