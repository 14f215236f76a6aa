"""Everything a studio keeps in one file: database, audio, datasets, adapters and settings without secrets.

The file is a plain tar. Its last member lists every other with its size and checksum, so a torn one is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from studio import __version__
from studio.config import Settings
from studio.errors import InvalidRequest, StorageError
from studio.jobs.presence import best_worker, bury
from studio.storage.artifacts import DRAFTS
from studio.storage.database import Database
from studio.storage.dump import dump, is_empty, is_sqlite, load
from studio.storage.migrate import known_revisions, migrate, revision_of
from studio.storage.times import utc_now

FORMAT = 1
MANIFEST, DATABASE, SETTINGS = "manifest.json", "database", "settings.json"
TRIES = 5  # looks at the database until none of its takes was deleted while the files were read
_PIECE = 1 << 20  # bytes read at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a backup holds, or what was restored."""

    files: int
    size: int  # bytes
    kept: Path | None = None  # where what was there before lies now


def back_up(settings: Settings, file: Path) -> Report:
    """Write `file` while the studio may be running; it appears complete or not at all.

    Every take of the database in it has its audio in it. Raises InvalidRequest for a file that exists or would hold
    itself, StorageError.
    """
    file = file.expanduser().resolve()
    if file.exists():
        raise InvalidRequest("file", "be new", str(file))
    if any(file.is_relative_to(folder) for folder in _folders(settings).values()):
        raise InvalidRequest("file", "lie outside of what is saved", str(file))
    part = file.with_name(f"{file.name}.{secrets.token_hex(4)}.part")
    try:
        with _explained():
            with tarfile.open(part, "w") as tar, tempfile.TemporaryDirectory(dir=file.parent) as folder:
                held = _write(settings, tar, Path(folder))
            os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)
    return Report(files=len(held), size=file.stat().st_size)


def restore(settings: Settings, file: Path, *, replace: bool = False) -> Report:
    """Put everything in `file` into the data folder and the database of `settings`, whose studio must be stopped.

    Everything is checked before anything is changed. Raises InvalidRequest when something is there already, unless
    `replace` says to set it aside, StorageError for a file that is torn, foreign or of a newer version.
    """
    if not (empty := _is_empty(settings)) and not replace:
        raise InvalidRequest("data_dir", "be empty, or be replaced with --replace", str(settings.data_dir))
    if not empty:
        _check_stopped(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with _explained(), tempfile.TemporaryDirectory(prefix=".restore-", dir=settings.data_dir) as folder:
        with tarfile.open(file) as tar:
            files = _check(_manifest(tar), settings)
            for name, facts in files.items():
                _unpack(tar, name, facts, Path(folder))
        kept = None if empty else _set_aside(settings)
        load(settings.resolved_database_url, Path(folder) / DATABASE)
        for name, target in _folders(settings).items():
            if (source := Path(folder) / name).exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.rmtree(target, ignore_errors=True)  # empty, or it was set aside
                shutil.move(source, target)
    migrate(settings)
    return Report(files=len(files), size=sum(cast(int, facts["size"]) for facts in files.values()), kept=kept)


def _folders(settings: Settings) -> Mapping[str, Path]:
    """Return what is saved, by its name in the archive."""
    datasets, outputs, *_ = settings.training_roots
    return {"artifacts": settings.artifacts_dir, "datasets": datasets, "lora_output": outputs}


def _write(settings: Settings, tar: tarfile.TarFile, folder: Path) -> dict[str, dict[str, object]]:
    held: dict[str, dict[str, object]] = {}
    for _ in range(TRIES):
        (folder / DATABASE).unlink(missing_ok=True)
        keys = dump(settings.resolved_database_url, folder / DATABASE)
        for name, path in _files(settings):
            if name not in held:
                _add(tar, name, path, held)
        if missing := {key for key in keys if f"artifacts/{key}" not in held}:
            continue
        _add(tar, DATABASE, folder / DATABASE, held)
        facts = json.dumps({name: str(value) for name, value in settings.public().items()}, indent=1)
        (folder / SETTINGS).write_text(facts, encoding="utf-8")
        _add(tar, SETTINGS, folder / SETTINGS, held)
        _close(tar, settings, held)
        return held
    raise StorageError(f"the audio of {len(missing)} takes is gone, such as {min(missing)}")


def _files(settings: Settings) -> Iterator[tuple[str, Path]]:
    for name, root in _folders(settings).items():
        for path in sorted(root.rglob("*")):
            inner = path.relative_to(root)
            if path.is_file() and not path.is_symlink() and inner.parts[0] != DRAFTS:
                yield f"{name}/{inner.as_posix()}", path


def _add(tar: tarfile.TarFile, name: str, path: Path, held: dict[str, dict[str, object]]) -> None:
    """Add a file, through a copy: it may grow or go while it is read. One that is gone is left out."""
    with tempfile.TemporaryFile(dir=Path(str(tar.name)).parent) as copy:
        try:
            with path.open("rb") as source:
                size, total = _copy(source, copy)
        except FileNotFoundError:
            return
        copy.seek(0)
        tar.addfile(_member(name, size), copy)
    held[name] = {"size": size, "sha256": total}


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, int(utc_now().timestamp())
    return member


def _copy(source: BinaryIO, target: BinaryIO) -> tuple[int, str]:
    """Copy to the end and return the number of bytes and their checksum."""
    size, total = 0, hashlib.sha256()
    while piece := source.read(_PIECE):
        target.write(piece)
        total.update(piece)
        size += len(piece)
    return size, total.hexdigest()


def _close(tar: tarfile.TarFile, settings: Settings, held: Mapping[str, object]) -> None:
    facts = {
        "format": FORMAT,
        "studio": __version__,
        "created_at": utc_now().isoformat(),
        "database": "sqlite" if is_sqlite(settings.resolved_database_url) else "postgresql",
        "revision": revision_of(settings),
        "files": held,
    }
    words = json.dumps(facts).encode()
    tar.addfile(_member(MANIFEST, len(words)), BytesIO(words))


def _manifest(tar: tarfile.TarFile) -> Mapping[str, object]:
    try:
        found = tar.extractfile(MANIFEST)
        facts = json.loads(found.read()) if found is not None else None
    except (KeyError, ValueError, tarfile.TarError) as error:
        raise StorageError("this is no backup of a studio, or its end is missing") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise StorageError("this backup was written by another version of the studio")
    return facts


def _check(facts: Mapping[str, object], settings: Settings) -> Mapping[str, Mapping[str, object]]:
    """Return the files a manifest lists; raises StorageError for what can't be put here."""
    kind = "sqlite" if is_sqlite(settings.resolved_database_url) else "postgresql"
    if facts.get("database") != kind:
        raise StorageError(f"the backup holds a database of {facts.get('database')}, and this studio uses {kind}")
    if facts.get("revision") not in known_revisions():
        raise StorageError("this backup was written by a newer version of the studio")
    files = cast(Mapping[str, Mapping[str, object]], facts.get("files") or {})
    roots = (DATABASE, SETTINGS, *_folders(settings))
    for name in files:
        parts = PurePosixPath(name).parts
        if not parts or parts[0] not in roots or ".." in parts:
            raise StorageError(f"the backup names a file that doesn't belong into it: {name!r}")
    return files


def _unpack(tar: tarfile.TarFile, name: str, facts: Mapping[str, object], folder: Path) -> None:
    try:
        source = tar.extractfile(name)
    except KeyError:
        source = None
    if source is None:
        raise StorageError(f"the backup is damaged: {name} is missing")
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        size, total = _copy(cast(BinaryIO, source), file)
    if (size, total) != (facts["size"], facts["sha256"]):
        raise StorageError(f"the backup is damaged: {name} is not what was saved")


def _is_empty(settings: Settings) -> bool:
    return is_empty(settings.resolved_database_url) and not any(True for _ in _files(settings))


def _check_stopped(settings: Settings) -> None:
    """Refuse while a worker of the present database lives; its web process can't be seen from here."""
    if is_empty(settings.resolved_database_url):
        return
    database = Database(settings.resolved_database_url)
    try:
        migrate(settings)
        with database.write() as session:
            bury(session, utc_now)
            alive = best_worker(session, utc_now, settings.lease_seconds)
    finally:
        database.close()
    if alive is not None:
        raise StorageError(f"this studio runs, with a worker on {alive.host} (process {alive.pid}); stop it first")


def _set_aside(settings: Settings) -> Path:
    """Move what is there now to a folder of its own and return that."""
    kept = settings.data_dir / f"before-restore-{utc_now():%Y%m%dT%H%M%SZ}"
    kept.mkdir()
    if not is_empty(settings.resolved_database_url):
        dump(settings.resolved_database_url, kept / DATABASE)
    for name, folder in _folders(settings).items():
        if folder.exists():
            shutil.move(folder, kept / name)
    return kept


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except tarfile.TarError as error:
        raise StorageError(f"the backup can't be read: {error}") from error
    except OSError as error:
        raise StorageError(f"the backup can't be written or read: {error}") from error
