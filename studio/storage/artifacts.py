"""Audio files on disk: each appears complete under its key or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from studio.errors import StorageError

DRAFTS = ".drafts"
SCRATCH = "scratch-"  # how the draft folders begin that no attempt at a job writes
SCRATCH_LIFE = 24 * 3600.0  # seconds after which one was left by a process that died


class ArtifactStore:
    """A folder of files named by keys such as `batches/<batch id>/0.mp3`."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        # Drafts live inside the store: only within one filesystem is a rename atomic.
        self._drafts = self._root / DRAFTS
        with _explained():
            self._drafts.mkdir(parents=True, exist_ok=True)

    def path(self, key: str) -> Path:
        """Return where the file of `key` lies; raises StorageError for a key that leads out of the store."""
        path = (self._root / key).resolve()
        if not path.is_relative_to(self._root) or path.is_relative_to(self._drafts) or path == self._root:
            raise StorageError(f"artifact key must stay inside the store, got {key!r}")
        return path

    def put(self, key: str, draft: Path) -> None:
        """Move the finished `draft` to `key`, replacing what an earlier attempt left; atomic and flushed to disk."""
        target = self.path(key)
        with _explained():
            target.parent.mkdir(parents=True, exist_ok=True)
            _flush(draft)
            os.replace(draft, target)
            _flush(target.parent)

    @contextmanager
    def drafts(self, attempt: str) -> Iterator[Path]:
        """Give an empty folder for the unfinished files of one attempt at a job; it is gone at the end."""
        folder = self._drafts / attempt
        with _explained():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give an empty folder that is only the caller's, outside of any job; it is gone at the end."""
        with _explained():
            folder = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=self._drafts))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def draft_names(self) -> set[str]:
        """Return the draft folders of attempts, dead ones included, and those that something else left behind."""
        return {entry.name for entry in self._drafts.iterdir() if not _in_use(entry)}

    def drop_drafts(self, name: str) -> None:
        """Delete a draft folder."""
        shutil.rmtree(self._drafts / PurePosixPath(name).name, ignore_errors=True)

    def names(self, folder: str) -> set[str]:
        """Return what lies directly in `folder`."""
        path = self.path(folder)
        return {entry.name for entry in path.iterdir()} if path.is_dir() else set()

    def discard(self, key: str) -> None:
        """Delete the file of `key`, and its folder when that is empty now; a file that is gone already is fine."""
        path = self.path(key)
        with _explained():
            path.unlink(missing_ok=True)
            if path.parent != self._root and path.parent.is_dir() and not any(path.parent.iterdir()):
                path.parent.rmdir()

    def remove(self, folder: str) -> None:
        """Delete `folder` with everything in it."""
        shutil.rmtree(self.path(folder), ignore_errors=True)


def _in_use(draft: Path) -> bool:
    """Whether an upload or the like may still write this; an attempt at a job is told by its row instead."""
    if not draft.name.startswith(SCRATCH):
        return False
    try:
        return time.time() - draft.stat().st_mtime < SCRATCH_LIFE
    except FileNotFoundError:  # it ended just now
        return True


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"the artifact store can't be written: {error}") from error


def _flush(path: Path) -> None:
    """Wait until the disk has the file, or the folder's list of names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
