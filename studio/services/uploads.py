"""Audio that a person brings along: looked at when it arrives, kept under a key of its content."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path, PurePath

from studio.engine.audio.io import read_audio
from studio.engine.audio.shape import is_silent
from studio.errors import AudioError, InvalidRequest, NotFound
from studio.services.principal import Principal, Right
from studio.storage.artifacts import ArtifactStore

KINDS = ("wav", "flac", "mp3", "ogg", "opus", "m4a", "aac")  # what the uploaders offer
FOLDER = "uploads"
_STORED = re.compile(r"[0-9a-f]{32}\.[a-z0-9]+")  # the name of a kept file
NAME = ".name"  # ending of the file beside an upload that says what it was called
LOST = ".lost"  # ending of the file beside a live recording that says how many frames never came


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A stored file of one person."""

    key: str  # what a form holds
    name: str  # as it was called on the person's machine
    seconds: float
    lost: int | None = None  # frames of a live recording that never came; None for anything else


class Uploads:
    """The uploads of one user."""

    def __init__(self, artifacts: ArtifactStore, *, principal: Principal) -> None:
        self._artifacts = artifacts
        self._principal = principal
        self._folder = f"{FOLDER}/{principal.user_id}"

    def add(self, field: str, name: str, content: bytes, lost: int | None = None) -> Upload:
        """Keep a file, and of a live recording how many of its frames were lost.

        Raises AudioError that names the form's `field` when it holds no audio or only silence, PermissionDenied.
        """
        self._principal.check(Right.MAKE)
        ending = PurePath(name).suffix.lower().lstrip(".")
        digest = hashlib.sha256(content).hexdigest()[:32]
        key = f"{self._folder}/{digest}.{ending if ending in KINDS else 'audio'}"
        with self._artifacts.scratch() as folder:
            draft = folder / f"{field}.{ending or 'audio'}"
            draft.write_bytes(content)
            try:
                audio, rate = read_audio(draft)
            except AudioError as error:
                raise AudioError(f"{field}: {name} can't be read as audio: {error}") from error
            if is_silent(audio):
                raise AudioError(f"{field}: {name} is silent")
            called = folder / "name"
            called.write_text(PurePath(name).name, encoding="utf-8")
            self._artifacts.put(key + NAME, called)
            if lost is not None:
                count = folder / "lost"
                count.write_text(str(lost), encoding="utf-8")
                self._artifacts.put(key + LOST, count)
            self._artifacts.put(key, draft)
        return Upload(key=key, name=PurePath(name).name, seconds=audio.shape[-1] / rate, lost=lost)

    def resolve(self, key: object, field: str = "reference_audio") -> Path | None:
        """Return the file behind a key that the `field` of a form holds, None for no key.

        Raises InvalidRequest for a key that is another's or none at all, NotFound for a file that is gone.
        """
        if key in (None, ""):
            return None
        folder, _, name = key.rpartition("/") if isinstance(key, str) else ("", "", "")
        if folder != self._folder or not _STORED.fullmatch(name):
            raise InvalidRequest(field, "be an upload of yours", key)
        path = self._artifacts.path(f"{folder}/{name}")
        if not path.is_file():
            raise NotFound(f"the uploaded file {name} is gone; upload it again")
        return path

    def key_of(self, reference: object) -> str | None:
        """Return the key of an upload that is still there, given its key or the path a take remembers; else None."""
        text = str(reference or "")
        key = f"{self._folder}/{PurePath(text).name}" if text else ""
        if text != key and (not key or text != str(self._artifacts.path(key))):
            return None
        try:
            return key if self.resolve(key) is not None else None
        except (InvalidRequest, NotFound):
            return None


def called(path: Path) -> str:
    """Return what the uploaded file at `path` was called on the person's machine."""
    beside = path.with_name(path.name + NAME)
    return beside.read_text(encoding="utf-8") if beside.is_file() else path.name


def lost_frames(path: Path) -> int | None:
    """Return how many frames of the live recording at `path` never came; None when it is no such recording."""
    beside = path.with_name(path.name + LOST)
    return int(beside.read_text(encoding="utf-8")) if beside.is_file() else None
