"""Signed links to audio: whoever has one may listen, for a while, without a login."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from itsdangerous import BadSignature, TimestampSigner

from studio.config import Settings
from studio.errors import LinkExpired, NotFound, StorageError
from studio.services.accounts.signing_in import principal_of
from studio.services.principal import Principal
from studio.services.seeing import seen_take
from studio.services.views import TakeView
from studio.storage.artifacts import ArtifactStore
from studio.storage.audit import tell
from studio.storage.database import Database
from studio.storage.models import Take
from studio.storage.states import Deed
from studio.storage.times import Clock

ROUTE = "/api/audio/"
LIFETIME = timedelta(hours=24)
STABLE = timedelta(hours=1)  # a page that reruns within it gets the same link, so its player does not start over
KEY_FILE = "secret.key"
MIME = {
    "mp3": "audio/mpeg",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "opus": "audio/ogg",
    "ogg": "audio/ogg",
    "m4a": "audio/mp4",
    "aac": "audio/aac",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFile:
    """A file to send to a browser."""

    path: Path
    mime: str
    filename: str  # to save it under


class Media:
    """Signs links to takes and finds the file behind a link."""

    def __init__(
        self, secret: str, database: Database, artifacts: ArtifactStore, clock: Clock, *, principal: Principal
    ) -> None:
        self._signer = Signer(secret, clock, "studio.media")
        self._database = database
        self._artifacts = artifacts
        self._clock = clock
        self._principal = principal

    def link(self, take_id: str) -> str:
        """Return the path of a link to a take's audio, made out to this person."""
        return ROUTE + self._signer.sign(f"{take_id}:{self._principal.user_id}").decode()

    def resolve(self, token: str, *, saving: bool = False) -> MediaFile:
        """Return the file a link's token stands for; `saving` it is told to the audit log.

        Raises LinkExpired for a token that is too old or was changed, NotFound when take or file is gone or whom the
        link was made out to may not look at it any more, PermissionDenied for a disabled account.
        """
        take_id, _, user_id = self._open(token).partition(":")
        with self._database.read() as session:
            principal = principal_of(session, user_id)
        return self._file(principal, take_id, saving)

    def file(self, take_id: str, *, saving: bool = False) -> MediaFile:
        """Return the file of a take without a link, `saving` as in `resolve`; raises NotFound."""
        return self._file(self._principal, take_id, saving)

    def _file(self, principal: Principal, take_id: str, saving: bool) -> MediaFile:
        with self._database.read() as session:
            take = seen_take(session, principal, take_id)
        path = self._artifacts.path(take.key)
        if not path.is_file():
            raise NotFound(f"the audio of take {take.id!r} is gone")
        if saving:
            with self._database.write() as session:
                tell(session, principal.user_id, Deed.EXPORTED, take_id, self._clock())
        return MediaFile(path=path, mime=MIME[take.format], filename=f"{file_stem(take)}.{take.format}")

    def _open(self, token: str) -> str:
        try:
            return self._signer.unsign(token, max_age=int(LIFETIME.total_seconds())).decode()
        except BadSignature as error:  # SignatureExpired is one
            raise LinkExpired("this link is too old or was changed; open the page again for a new one") from error


class Signer(TimestampSigner):
    """Signs with the start of the present hour, see STABLE."""

    def __init__(self, secret: str, clock: Clock, salt: str) -> None:
        super().__init__(secret, salt=salt)
        self._clock = clock

    def get_timestamp(self) -> int:
        now = int(self._clock().timestamp())
        return now - now % int(STABLE.total_seconds())


def file_stem(take: Take | TakeView) -> str:
    """Return what the files of a take are called when they are saved, but for their endings."""
    return f"{take.created_at:%Y%m%d-%H%M%S}-seed{take.seed}"


def signing_secret(settings: Settings) -> str:
    """Return the secret of the settings, or the one kept in the data folder, made at the first call.

    Two processes that start together agree: the key is written aside and then linked into place, which only one can.
    """
    if settings.secret:
        return settings.secret
    path = settings.data_dir / KEY_FILE
    try:
        if not path.exists():
            _make_key(path)
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise StorageError(f"the signing key {path} can't be used: {error}") from error


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32))
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass  # the other process was first; its key counts
    finally:
        draft.unlink(missing_ok=True)
