"""Songs that people without a shell bring: files or a zip, unpacked below a folder of their own."""

from __future__ import annotations

import lzma
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from uuid import uuid4

from studio.engine.dataset.scan import EXTENSIONS
from studio.engine.manifest import sha256
from studio.errors import InvalidRequest, StorageError

SIDECARS = (".txt", ".json", ".csv")
MOST_FILES = 5000
MOST_BYTES = 8 * 2**30  # of one upload when it is unpacked
SIDECAR_BYTES = 2**22
_BLOCK = 1 << 20
# What zipfile raises for a damaged archive, for one with a password, and for kinds it doesn't know.
_BROKEN = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, RuntimeError, NotImplementedError)
_NAME = re.compile(r"[\w][\w .()-]{0,99}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """What an upload held."""

    songs: int
    left_out: tuple[str, ...]  # neither songs nor sidecars


def check_name(name: str) -> str:
    """Return the name of an upload's folder; raises InvalidRequest."""
    if not _NAME.fullmatch(name.strip()):
        raise InvalidRequest(
            "upload_name", "be a plain folder name of at most 100 letters, digits, spaces or - _ .", name
        )
    return name.strip()


def unpack(files: Sequence[tuple[str, BinaryIO]], folder: Path) -> Arrived:
    """Put files, and those inside zips, into `folder`, all or none; one that is there already must be the same.

    Raises InvalidRequest for a path that leads out of the folder, a link, more or larger files than allowed, or another
    file of the same name; StorageError.
    """
    aside = folder.parent / f".{folder.name}.{uuid4().hex[:8]}"
    try:
        aside.mkdir(parents=True)
        left_out, songs, room = list[str](), 0, [MOST_FILES, MOST_BYTES]
        for name, source in _members(files):
            if PurePosixPath(name).suffix.lower() not in (*EXTENSIONS, *SIDECARS) or _hidden(name):
                left_out.append(name)
                continue
            songs += PurePosixPath(name).suffix.lower() in EXTENSIONS
            _copy(source, aside / name, name, room)
        if not songs:
            raise InvalidRequest("upload", f"hold audio files ({' '.join(EXTENSIONS)})", ", ".join(left_out) or "none")
        _move(aside, folder)
    except _BROKEN as error:
        zips = ", ".join(name for name, _content in files if name.lower().endswith(".zip"))
        raise InvalidRequest("upload", f"be a zip that can be read ({error})", zips) from error
    except OSError as error:
        raise StorageError(f"the upload can't be stored in {folder}: {error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return Arrived(songs=songs, left_out=tuple(left_out))


def _members(files: Sequence[tuple[str, BinaryIO]]) -> Iterator[tuple[str, BinaryIO]]:
    for name, content in files:
        if not name.lower().endswith(".zip"):
            yield _safe(name), content
            continue
        with zipfile.ZipFile(content) as archive:
            for info in archive.infolist():
                if info.is_dir():
                    continue
                if stat.S_ISLNK(info.external_attr >> 16):
                    raise InvalidRequest("upload", "hold no links", info.filename)
                with archive.open(info) as member:
                    yield _safe(info.filename), member  # type: ignore[misc]  # reads like any file


def _safe(name: str) -> str:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name or "\0" in name or not path.name:
        raise InvalidRequest("upload", "hold only paths inside its own folder", name)
    return path.as_posix()


def _hidden(name: str) -> bool:
    """Whether a file or its folder is a system's own, as `__MACOSX/._song.mp3`."""
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)


def _copy(source: BinaryIO, target: Path, name: str, room: list[int]) -> None:
    """Count what really comes: a zip may lie about sizes."""
    room[0] -= 1
    if room[0] < 0:
        raise InvalidRequest("upload", f"hold at most {MOST_FILES} files", name)
    if target.exists():
        raise InvalidRequest("upload", "name each file once", name)
    least = room[1] - SIDECAR_BYTES if target.suffix.lower() in SIDECARS else 0
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        while block := source.read(_BLOCK):
            room[1] -= len(block)
            if room[1] < max(0, least):
                most = SIDECAR_BYTES if least > 0 else MOST_BYTES
                raise InvalidRequest("upload", f"hold at most {most // 2**20} MiB here", name)
            file.write(block)


def _move(aside: Path, folder: Path) -> None:
    new = [path for path in aside.rglob("*") if path.is_file()]
    for path in new:
        there = folder / path.relative_to(aside)
        if there.exists() and sha256(there) != sha256(path):
            raise InvalidRequest("upload", "not hold another file of a name that is there already", there.name)
    for path in new:
        there = folder / path.relative_to(aside)
        there.parent.mkdir(parents=True, exist_ok=True)
        path.replace(there)
