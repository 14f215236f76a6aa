"""Files that speak: titles, prompts, "AI-generated" and the complete settings inside an audio file. Imports no torch.

Every container gets the tags its players show: ID3 in mp3, wav and raw aac, Vorbis comments in flac, ogg and opus,
iTunes atoms in m4a. The settings lie in one more tag as JSON, so that the file alone restores the form that made it.
Writing tags leaves every sample as it is.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from mutagen import MutagenError
from mutagen.flac import FLAC
from mutagen.id3 import COMM, ID3, TBPM, TENC, TIT2, TKEY, TXXX, USLT, ID3NoHeaderError
from mutagen.mp4 import MP4, MP4FreeForm
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

from studio.errors import AudioError

SETTINGS = "STUDIO_SETTINGS"  # the tag whose text is the JSON
AI = "AI-generated"
_ATOM = "----:studio:"  # what iTunes calls a tag it does not know
_SHORT_KEYS = {"major": "", "minor": "m"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tags:
    """What a file says of itself."""

    title: str
    prompt: str
    lyrics: str
    model: str
    seed: int
    version: str  # of the studio
    bpm: int | None
    key: str | None  # "F# minor"
    settings: Mapping[str, object]  # JSON-ready; what `read_settings` gives back

    def texts(self) -> dict[str, str]:
        """Return the tags that have no name of their own in some container."""
        texts = {
            "PROMPT": self.prompt,
            "MODEL": self.model,
            "SEED": str(self.seed),
            "GENERATOR": AI,
            SETTINGS: json.dumps(self.settings, ensure_ascii=False),
        }
        return {name: text for name, text in texts.items() if text}

    @property
    def comment(self) -> str:
        """What a player shows as the comment."""
        return f"{AI} with {self.model}, seed {self.seed}"

    @property
    def encoder(self) -> str:
        """Which program wrote the file."""
        return f"studio {self.version}"


def write_tags(path: Path, tags: Tags) -> None:
    """Write `tags` into the finished audio file at `path`; raises AudioError for a container that can't hold them."""
    try:
        with path.open("rb") as stream:
            start = stream.read(64)
        _writer(start)(path, tags)
    except (OSError, MutagenError) as error:
        raise AudioError(f"{path.name} can't be tagged: {error}") from error


def read_settings(data: bytes) -> str | None:
    """Return the settings JSON inside an audio file, None when it holds none; raises AudioError for a broken file."""
    return _read(io.BytesIO(data))


def settings_in(path: Path) -> str | None:
    """Return the same of a file on disk, of which only the tags are read."""
    try:
        with path.open("rb") as stream:
            return _read(stream)
    except OSError as error:
        raise AudioError(f"{path.name} can't be read: {error}") from error


def _read(stream: BinaryIO) -> str | None:
    start = stream.read(64)
    stream.seek(0)
    try:
        if start.startswith(b"RIFF"):
            return _from_id3(WAVE(stream).tags)
        if start[4:8] == b"ftyp":
            return _from_mp4(MP4(stream))
        if start.startswith((b"fLaC", b"OggS")):
            found = _comments(start)(stream).get(SETTINGS)
            return str(found[0]) if found else None
        return _from_id3(ID3(stream))
    except ID3NoHeaderError:
        return None
    except (MutagenError, ValueError, IndexError) as error:
        raise AudioError(f"the tags of the file can't be read: {error}") from error


class _Writer(Protocol):
    def __call__(self, path: Path, tags: Tags) -> None:
        """Write tags into a file of one container."""


def _writer(start: bytes) -> _Writer:
    if start.startswith(b"RIFF"):
        return _write_wave
    if start.startswith((b"fLaC", b"OggS")):
        return _write_comments
    return _write_mp4 if start[4:8] == b"ftyp" else _write_id3


def _frames(id3: ID3, tags: Tags) -> None:
    """Put ID3v2.4 frames, UTF-8 throughout, into `id3`."""
    id3.add(TIT2(encoding=3, text=tags.title))
    id3.add(TENC(encoding=3, text=tags.encoder))
    id3.add(COMM(encoding=3, lang="eng", desc="", text=tags.comment))
    if tags.lyrics:
        id3.add(USLT(encoding=3, lang="und", desc="", text=tags.lyrics))
    if tags.bpm is not None:
        id3.add(TBPM(encoding=3, text=str(tags.bpm)))
    if tags.key is not None:
        note, mode = tags.key.split()
        id3.add(TKEY(encoding=3, text=note + _SHORT_KEYS[mode]))
    for name, text in tags.texts().items():
        id3.add(TXXX(encoding=3, desc=name, text=text))


def _write_id3(path: Path, tags: Tags) -> None:
    id3 = ID3()
    _frames(id3, tags)
    id3.save(path)


def _write_wave(path: Path, tags: Tags) -> None:
    file = WAVE(path)
    if file.tags is None:
        file.add_tags()
    assert isinstance(file.tags, ID3)
    _frames(file.tags, tags)
    file.save()


def _write_comments(path: Path, tags: Tags) -> None:
    with path.open("rb") as stream:
        kind = _comments(stream.read(64))
    file = kind(path)
    if file.tags is None:
        file.add_tags()
    known = {
        "TITLE": tags.title,
        "COMMENT": tags.comment,
        "ENCODER": tags.encoder,
        "LYRICS": tags.lyrics,
        "BPM": "" if tags.bpm is None else str(tags.bpm),
        "KEY": tags.key or "",
    }
    for name, text in {**known, **tags.texts()}.items():
        if text:
            file[name] = text
    file.save()


def _write_mp4(path: Path, tags: Tags) -> None:
    file = MP4(path)
    file["\xa9nam"], file["\xa9cmt"], file["\xa9too"] = [tags.title], [tags.comment], [tags.encoder]
    if tags.lyrics:
        file["\xa9lyr"] = [tags.lyrics]
    if tags.bpm is not None:
        file["tmpo"] = [tags.bpm]
    for name, text in {**tags.texts(), "KEY": tags.key or ""}.items():
        if text:
            file[_ATOM + name] = [MP4FreeForm(text.encode())]
    file.save()


def _comments(start: bytes) -> type[FLAC] | type[OggOpus] | type[OggVorbis]:
    """Return which file with Vorbis comments begins like this."""
    if start.startswith(b"fLaC"):
        return FLAC
    return OggOpus if b"OpusHead" in start[:64] else OggVorbis


def _from_id3(id3: ID3 | None) -> str | None:
    found = id3.getall(f"TXXX:{SETTINGS}") if id3 is not None else []
    return str(found[0].text[0]) if found else None


def _from_mp4(file: MP4) -> str | None:
    found = file.get(_ATOM + SETTINGS)
    return bytes(found[0]).decode() if found else None
