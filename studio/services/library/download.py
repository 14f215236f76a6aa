"""Many takes as one zip, written while it is sent: neither the disk nor the memory ever holds it whole."""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from itsdangerous import BadSignature
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from studio.errors import InvalidRequest, LinkExpired
from studio.jobs.sidecar import sidecar
from studio.services.accounts.signing_in import principal_of
from studio.services.library.query import Query, Whose
from studio.services.library.search import COUNTED, Search
from studio.services.library.showing import take_view, with_entry
from studio.services.media import LIFETIME, Signer
from studio.services.principal import Principal
from studio.services.views import TakeView
from studio.storage.artifacts import ArtifactStore
from studio.storage.audit import tell
from studio.storage.database import Database
from studio.storage.models import Collection, Take
from studio.storage.states import Deed
from studio.storage.times import Clock

ROUTE = "/api/zip/"
MAX_TAKES = 200  # named one by one in a link; a whole collection and everything have links of their own
CHUNK = 256 * 1024  # bytes
_ROWS = 100
_UNSAFE = re.compile(r"[^\w\- ]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A zip to send to a browser."""

    filename: str
    chunks: Iterator[bytes]


class Archives:
    """Signs links to zips and writes what they stand for."""

    def __init__(self, secret: Signer, database: Database, artifacts: ArtifactStore, clock: Clock) -> None:
        self._signer = secret
        self._clock = clock
        self._database = database
        self._artifacts = artifacts

    def link(self, user_id: str, take_ids: Sequence[str]) -> str:
        """Return the path of a link to a zip of takes; whose they are is checked when it is opened."""
        if not 1 <= len(take_ids) <= MAX_TAKES:
            raise InvalidRequest("selection", f"hold from 1 to {MAX_TAKES} takes", len(take_ids))
        packed = base64.urlsafe_b64encode(b"".join(bytes.fromhex(take_id) for take_id in take_ids)).decode()
        return self._sign("takes", user_id, packed)

    def link_collection(self, user_id: str, collection_id: str) -> str:
        """Return the path of a link to a zip of a collection, as it is when the link is opened."""
        return self._sign("collection", user_id, collection_id)

    def link_all(self, user_id: str) -> str:
        """Return the path of a link to a zip of everything a person has, trash left out."""
        return self._sign("all", user_id, "")

    def open(self, token: str) -> Archive:
        """Return the zip a link's token stands for.

        Raises LinkExpired for one that is too old or was changed, NotFound, PermissionDenied for a disabled account.
        """
        try:
            kind, user_id, rest = self._signer.unsign(token, max_age=int(LIFETIME.total_seconds())).decode().split(":")
        except (BadSignature, ValueError) as error:
            raise LinkExpired("this link is too old or was changed; open the page again for a new one") from error
        with self._database.write() as session:
            principal = principal_of(session, user_id)
            collection = session.get(Collection, rest) if kind == "collection" else None
            told: dict[str, object] = {kind: rest} if kind == "collection" else {"what": kind}
            tell(session, user_id, Deed.EXPORTED, rest if kind == "collection" else "", self._clock(), **told)
        if kind == "takes":
            ids: Sequence[str] = _unpack(rest)
        elif collection is not None and collection.user_id != user_id:
            whose = Whose.EVERYBODY if principal.owns(collection.user_id) else Whose.TEAM
            ids = Search(self._database, None).ids(Query(collection=rest, whose=whose), COUNTED)
        else:
            ids = Search(self._database, user_id).ids(Query(collection=rest), COUNTED)
        full = kind != "takes" and len(ids) == COUNTED
        return Archive(filename=f"takes-{len(ids)}.zip", chunks=self._write(principal, ids, full))

    def _sign(self, *parts: str) -> str:
        return ROUTE + self._signer.sign(":".join(parts)).decode()

    def _write(self, principal: Principal, take_ids: Sequence[str], full: bool) -> Iterator[bytes]:
        pipe, names, missing = _Pipe(), _Names(), []
        with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
            for take, key, settings in self._takes(principal, take_ids):
                name, path = names.fresh(take), self._artifacts.path(key)
                if not path.is_file():
                    missing.append(f"{name}.{take.format}")
                    continue
                with path.open("rb") as source, archive.open(f"{name}.{take.format}", "w", force_zip64=True) as target:
                    while chunk := source.read(CHUNK):
                        target.write(chunk)
                        yield pipe.take()
                archive.writestr(f"{name}.json", json.dumps(settings, ensure_ascii=False, indent=2))
                yield pipe.take()
            if full:
                archive.writestr("INCOMPLETE.txt", f"A zip holds {COUNTED} takes at most; older ones were left out.\n")
            if missing:
                archive.writestr("MISSING.txt", "\n".join(missing) + "\n")
        yield pipe.take()

    def _takes(
        self, principal: Principal, take_ids: Sequence[str]
    ) -> Iterator[tuple[TakeView, str, dict[str, object]]]:
        """Give the takes that this person may look at with key and settings, some at a time, in the order asked for."""
        for start in range(0, len(take_ids), _ROWS):
            some = take_ids[start : start + _ROWS]
            query = select(Take).where(Take.id.in_(some)).options(joinedload(Take.batch), *with_entry())
            with self._database.read() as session:
                rows = {take.id: take for take in session.scalars(query)}
                found = [rows[one] for one in some if one in rows]
                seen = [take for take in found if take.entry and principal.sees_entry(take.entry)]
                shown = [(view, take.key, _settings(take, view)) for take in seen for view in (take_view(take),)]
            yield from shown


class _Pipe(io.RawIOBase):
    """A file that only grows, and forgets what was taken from it."""

    def __init__(self) -> None:
        self._held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # zipfile gives bytes only
        self._held += data
        return len(data)

    def take(self) -> bytes:
        held = bytes(self._held)
        self._held.clear()
        return held


class _Names:
    """Gives each take a file name no other take of the zip has."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def fresh(self, take: TakeView) -> str:
        words = _UNSAFE.sub(" ", take.title or str(take.requested.get("caption") or ""))
        title = " ".join(words.split())[:60].strip() or "take"
        name = base = f"{take.created_at:%Y%m%d-%H%M%S} {title} {take.index + 1} seed{take.seed}"
        number = 1
        while name.lower() in self._used:  # some systems take A and a for one name
            number += 1
            name = f"{base} ({number})"
        self._used.add(name.lower())
        return name


def _settings(take: Take, view: TakeView) -> dict[str, object]:
    """Return the JSON that the take's page gives, and what the person put on the take."""
    saved = sidecar(
        take.batch.form, take.requested, take.effective, seed=take.seed, model=take.batch.model, take_id=take.id
    )
    return {**saved, "audio_format": take.format, "title": view.title, "rating": view.rating, "tags": list(view.tags)}


def _unpack(packed: str) -> Sequence[str]:
    try:
        raw = base64.urlsafe_b64decode(packed)
    except binascii.Error as error:
        raise LinkExpired("this link was changed; open the page again for a new one") from error
    return [raw[start : start + 16].hex() for start in range(0, len(raw), 16)]
