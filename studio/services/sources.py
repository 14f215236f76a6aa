"""The audio an edit starts from, as a page shows it: its outline, its length, and a signed way to its sound."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypedDict, cast

from itsdangerous import BadSignature

from studio.engine.audio.io import read_audio
from studio.engine.audio.measure import loudness
from studio.engine.audio.peaks import outline
from studio.engine.audio.tags import read_settings
from studio.errors import AudioError, LinkExpired, NotFound
from studio.services.accounts import Accounts
from studio.services.media import LIFETIME, MIME, MediaFile, Signer
from studio.services.uploads import FOLDER, Uploads, called, lost_frames
from studio.storage.artifacts import ArtifactStore

ROUTE = "/api/source/"
COLUMNS = 2400  # of the outline: an editor shows it zoomed in
_LOOK = ".look"  # ending of the file beside an upload that remembers what it looks like


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceView:
    """One upload as an editor draws it."""

    key: str  # what a form holds
    name: str
    seconds: float
    sample_rate: int  # Hz
    peaks: tuple[int, ...]  # 0..255 a column
    loudness: float | None  # LUFS
    path: str  # of a signed link to its sound
    settings: Mapping[str, object]  # what the file says it was made with; empty when it says nothing
    lost: int | None  # frames of a live recording that never came; None for anything else


class _Look(TypedDict):
    """What is remembered of an upload."""

    seconds: float
    sample_rate: int
    peaks: str  # hexadecimal
    loudness: float | None
    settings: dict[str, object]


class Sources:
    """The uploads of one user, looked at."""

    def __init__(self, uploads: Uploads, artifacts: ArtifactStore, signer: Signer, accounts: Accounts) -> None:
        self._uploads = uploads
        self._accounts = accounts
        self._artifacts = artifacts
        self._signer = signer

    def look(self, key: str) -> SourceView:
        """Return what an upload looks like; it is read once and remembered beside it.

        Raises NotFound for an upload that is gone, AudioError for one that can't be read any more.
        """
        path = self._uploads.resolve(key, "src_audio")
        if path is None:
            raise NotFound("there is no source audio; upload one")
        beside = path.with_name(path.name + _LOOK)
        facts = _remembered(beside) or self._read(key, path)
        return SourceView(
            key=key,
            name=called(path),
            seconds=facts["seconds"],
            sample_rate=facts["sample_rate"],
            peaks=tuple(bytes.fromhex(facts["peaks"])),
            loudness=facts["loudness"],
            path=self.link(key),
            settings=facts["settings"],
            lost=lost_frames(path),
        )

    def link(self, key: str) -> str:
        """Return the path of a link to an upload's sound."""
        return ROUTE + self._signer.sign(key.removeprefix(f"{FOLDER}/").replace("/", ":")).decode()

    def resolve(self, token: str) -> MediaFile:
        """Return the file a link's token stands for.

        Raises LinkExpired for a token that is too old or was changed, NotFound when the file is gone, PermissionDenied
        when the account of whose it is was disabled.
        """
        try:
            name = self._signer.unsign(token, max_age=int(LIFETIME.total_seconds())).decode()
        except BadSignature as error:
            raise LinkExpired("this link is too old or was changed; open the page again for a new one") from error
        self._accounts.of_user(name.partition(":")[0])
        path = self._artifacts.path(f"{FOLDER}/{name.replace(':', '/')}")
        if not path.is_file():
            raise NotFound("the uploaded file is gone")
        ending = PurePosixPath(name).suffix.lstrip(".")
        return MediaFile(path=path, mime=MIME.get(ending, "application/octet-stream"), filename=path.name)

    def _read(self, key: str, path: Path) -> _Look:
        audio, rate = read_audio(path)
        facts: _Look = {
            "seconds": audio.shape[1] / rate,
            "sample_rate": rate,
            "peaks": outline(audio, COLUMNS).hex(),
            "loudness": loudness(audio[:5], rate),
            "settings": _settings(path),
        }
        with self._artifacts.scratch() as folder:
            draft = folder / "look.json"
            draft.write_text(json.dumps(facts), encoding="utf-8")
            self._artifacts.put(key + _LOOK, draft)
        return facts


def _remembered(beside: Path) -> _Look | None:
    return cast(_Look, json.loads(beside.read_text(encoding="utf-8"))) if beside.is_file() else None


def _settings(path: Path) -> dict[str, object]:
    """What an audio file says of itself; most say nothing."""
    try:
        found = json.loads(read_settings(path.read_bytes()) or "{}")
    except (AudioError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
