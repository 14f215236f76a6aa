"""Whether a file ends where its format says it should; libsndfile reads cut wav, aiff and ogg files without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

_ORDER: dict[bytes, Literal["little", "big"]] = {b"RIFF": "little", b"FORM": "big"}
_UNKNOWN_SIZES = (0, 0xFFFFFFFF)  # what streaming writers leave in the header
_LONGEST_PAGE = 27 + 255 + 255 * 255  # bytes: header, segment table, data
_LAST = 4  # flag of the page that ends an ogg stream


def ends_before_its_header_says(path: Path) -> bool:
    """Whether a wav or aiff file is shorter than it states; some writers count the eight bytes of the header too."""
    with path.open("rb") as stream:
        start = stream.read(8)
    order = _ORDER.get(start[:4])
    if order is None:
        return False
    stated = int.from_bytes(start[4:8], order)
    return stated not in _UNKNOWN_SIZES and path.stat().st_size < stated


def lacks_its_last_page(path: Path) -> bool:
    """Whether a file in ogg pages (vorbis, opus) ends inside a page or before the one marked as the last."""
    with path.open("rb") as stream:
        if stream.read(4) != b"OggS":
            return False
        size = path.stat().st_size
        stream.seek(max(0, size - _LONGEST_PAGE))
        tail = stream.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27 or len(page) < 27 + page[26]:
        return True
    whole = 27 + page[26] + sum(page[27 : 27 + page[26]])
    return len(page) < whole or not page[5] & _LAST


def looks_cut(name: str) -> str:
    """Return the note about a file that states no length and ends where none should."""
    return f"{name} ends in the middle of its data and may be truncated; what there is of it was read"
