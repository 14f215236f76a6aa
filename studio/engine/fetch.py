"""Fetches published checkpoints by name: list, check the disk, download, compare sums, move into place."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import httpx2
from filelock import FileLock, Timeout

from studio.engine.checkpoint import INDEX, SHARED, SILENCE, TEXT_FOLDER, VAE_FOLDER, is_complete, layout_of, verify
from studio.engine.download import download
from studio.engine.hubs import Endpoints, Hub, HubFailed, Remote, list_files, open_client
from studio.engine.manifest import MANIFEST, sha256, write_manifest
from studio.engine.run import Phase, Run
from studio.engine.space import check_space
from studio.errors import FetchFailed, InvalidRequest, NotFound, StorageError

MAIN = "ACE-Step/Ace-Step1.5"  # one repository with a folder for each of its parts
AUTO = "auto"  # Hugging Face, then ModelScope
STAGING = ".fetch"  # inside the target directory: what isn't complete yet


@dataclass(frozen=True, slots=True)
class Origin:
    """A folder of a repository; empty is all of it."""

    repo: str
    folder: str = ""


def _own(*names: str) -> dict[str, Origin]:
    return {name: Origin(f"ACE-Step/{name}") for name in names}


KNOWN: Mapping[str, Origin] = {  # local folder -> where it is published (engine.md 1.2)
    **{name: Origin(MAIN, name) for name in ("acestep-v15-turbo", VAE_FOLDER, TEXT_FOLDER, "acestep-5Hz-lm-1.7B")},
    **_own("acestep-v15-base", "acestep-v15-sft"),
    **_own("acestep-v15-turbo-shift1", "acestep-v15-turbo-shift3", "acestep-v15-turbo-continuous"),
    **_own("acestep-v15-xl-base", "acestep-v15-xl-sft", "acestep-v15-xl-turbo", "acestep-v15-xl-turbo-diffusers"),
    **_own("acestep-5Hz-lm-0.6B", "acestep-5Hz-lm-4B"),
    "scragvae": Origin("scragnog/Ace-Step-1.5-ScragVAE"),
}
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_SUFFIXES = (".safetensors", ".json", ".jinja")  # never code, never pickles
_FILES = (SILENCE, "merges.txt", "vocab.txt", "tokenizer.model")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A checkpoint that is now here; `failures` says why a hub tried before `hub` could not deliver."""

    path: Path
    hub: Hub
    downloaded: int  # bytes
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What fetching a checkpoint takes, in bytes: all its files, and those an earlier run has not brought yet."""

    total: int
    missing: int


@dataclass(frozen=True, slots=True)
class _Item:
    """One file wanted: where it comes from, its folder and its path inside that folder."""

    remote: Remote
    local: str
    path: str


def fetch(
    name: str, into: Path, *, source: str = AUTO, endpoints: Endpoints | None = None, run: Run | None = None
) -> Fetched:
    """Fetch the checkpoint `name` (one of KNOWN, or `owner/repo`) into a folder of the directory `into`.

    A DiT in the original layout brings the folders it shares, unless they are there. What an earlier run began is gone
    on with; complete files are never fetched again. Reports `Phase.FETCHING` in bytes. Raises NotFound for an unknown
    name, InvalidRequest for an unknown source, FetchFailed with every hub's reason or when another fetch works in
    `into`, StorageError with both numbers when the disk is too small, Cancelled, CheckpointError when what was
    published is no usable checkpoint.
    """
    if source not in (AUTO, *Hub):
        raise InvalidRequest("source", f"be one of {AUTO}, {', '.join(Hub)}", source)
    local, origin = _origin(name)
    staging = into / STAGING
    try:
        staging.mkdir(parents=True, exist_ok=True)
        with FileLock(staging / "lock", timeout=0):
            return _first_hub(name, local, origin, into, source, endpoints or Endpoints(), run or Run())
    except Timeout as error:
        raise FetchFailed(f"another fetch into {into} is running; wait for its end or use another directory") from error
    except OSError as error:
        raise StorageError(f"{into} can't be written: {error}") from error


def measure(name: str, into: Path, *, endpoints: Endpoints | None = None) -> Need:
    """Ask the hubs how much `fetch(name, into)` would download; nothing is written.

    Raises NotFound for an unknown name, FetchFailed with every hub's reason when none can say.
    """
    local, origin = _origin(name)
    failures = []
    with open_client() as client:
        for hub in Hub:
            try:
                return _Visit(hub, endpoints or Endpoints(), client, into, Run()).need(local, origin)
            except HubFailed as error:
                failures.append(f"{hub}: {error}")
    raise FetchFailed(f"nobody says how large {name} is; {'; '.join(failures)}")


def _first_hub(
    name: str, local: str, origin: Origin, into: Path, source: str, endpoints: Endpoints, run: Run
) -> Fetched:
    failures: list[str] = []
    with open_client() as client:
        for hub in Hub if source == AUTO else (Hub(source),):
            visit = _Visit(hub, endpoints, client, into, run)
            try:
                downloaded = visit.fetch(local, origin)
            except HubFailed as error:
                failures.append(f"{hub}: {error}")
                continue
            path = into / local
            if layout_of(path) is not None:
                verify(path, [into])
            return Fetched(path=path, hub=hub, downloaded=downloaded, failures=tuple(failures))
    raise FetchFailed(f"{name} can't be fetched; {'; '.join(failures)}")


def _origin(name: str) -> tuple[str, Origin]:
    if name in KNOWN:
        return name, KNOWN[name]
    if _REPO.fullmatch(name):
        return name.split("/")[1], Origin(name)
    raise NotFound(f"no checkpoint is published as {name!r}; known are {', '.join(KNOWN)}, or owner/repository")


class _Visit:
    """One attempt to get everything from one hub."""

    def __init__(self, hub: Hub, endpoints: Endpoints, client: httpx2.Client, into: Path, run: Run) -> None:
        self._hub, self._endpoints, self._client, self._into, self._run = hub, endpoints, client, into, run
        self._listed: dict[str, list[Remote]] = {}
        self._done = self._total = 0  # bytes

    def fetch(self, local: str, origin: Origin) -> int:
        """Bring one folder and what it shares; return the bytes downloaded."""
        items = self._wanted(local, origin)
        missing = [item for item in items if not self._is_there(item)]
        begun = {item: min(_size(self._part(item)), item.remote.size) for item in missing}
        check_space(self._into, sum(item.remote.size - begun[item] for item in missing))
        self._total = sum(item.remote.size for item in items)
        self._done = self._total - sum(item.remote.size for item in missing)
        sums: dict[_Item, str] = {}
        for item in missing:
            self._heard(begun[item])
            sums[item] = download(self._client, item.remote, self._part(item), self._heard)
            self._done += item.remote.size
        for folder in dict.fromkeys(item.local for item in items):
            self._place(folder, {item: digest for item, digest in sums.items() if item.local == folder})
        self._heard(0)
        return sum(item.remote.size - begun[item] for item in missing)

    def need(self, local: str, origin: Origin) -> Need:
        """Return what `fetch` would download by the sizes of files alone: sums of gigabytes take a minute."""
        items = self._wanted(local, origin)
        kept = sum(
            item.remote.size
            if _size(self._home(item.local) / item.path) == item.remote.size
            else min(_size(self._part(item)), item.remote.size)
            for item in items
        )
        total = sum(item.remote.size for item in items)
        return Need(total=total, missing=total - kept)

    def _wanted(self, local: str, origin: Origin) -> list[_Item]:
        """The files of a checkpoint, after those of the folders it shares that are not here."""
        items = list(self._items(local, origin))
        if _needs_shared(items):
            for shared in SHARED:
                if not is_complete(self._into / shared, shared):
                    items = [*self._items(shared, KNOWN[shared]), *items]
        return items

    def _heard(self, here: int) -> None:
        """Report `here` bytes of the file that is being downloaded on top of the complete ones."""
        self._run.step(Phase.FETCHING, self._done + here, self._total)

    def _items(self, local: str, origin: Origin) -> Iterator[_Item]:
        """The files of an origin that belong to a checkpoint."""
        if origin.repo not in self._listed:
            self._listed[origin.repo] = list_files(self._hub, origin.repo, self._endpoints, self._client)
        inside = f"{origin.folder}/" if origin.folder else ""
        found = False
        for remote in self._listed[origin.repo]:
            path = PurePosixPath(remote.path.removeprefix(inside))
            if remote.path.startswith(inside) and (path.suffix in _SUFFIXES or path.name in _FILES):
                found = True
                yield _Item(remote, local, path.as_posix())
        if not found:
            raise HubFailed(f"{origin.repo} holds no model files{f' in {origin.folder}' if inside else ''}")

    def _home(self, local: str) -> Path:
        """A new folder is filled out of sight and appears when it is complete."""
        final = self._into / local
        return final if final.is_dir() else self._into / STAGING / local / "ready"

    def _part(self, item: _Item) -> Path:
        """Named by its content, so that bytes of another version are never glued together."""
        name = f"{item.path}.{item.remote.sha256[:16] or item.remote.size}.part"
        return self._into / STAGING / item.local / "parts" / name

    def _is_there(self, item: _Item) -> bool:
        """Whether the file is complete already; a file the studio did not fetch is never replaced."""
        home = self._home(item.local)
        file = home / item.path
        if not file.exists():
            return False
        same = file.stat().st_size == item.remote.size
        same = same and (not item.remote.sha256 or sha256(file) == item.remote.sha256)
        if not same and home == self._into / item.local and not (home / MANIFEST).is_file():
            raise FetchFailed(f"{file} is there with other content; move {home} away or fetch into another directory")
        return same

    def _place(self, local: str, sums: Mapping[_Item, str]) -> None:
        home = self._home(local)
        for item in sums:
            target = home / item.path
            target.parent.mkdir(parents=True, exist_ok=True)
            self._part(item).replace(target)
        if sums or not (home / MANIFEST).is_file():
            known = {item.path: digest for item, digest in sums.items()}
            write_manifest(home, f"fetched from {self._hub}", known)
        if home != self._into / local:
            home.rename(self._into / local)
        shutil.rmtree(self._into / STAGING / local, ignore_errors=True)


def _needs_shared(items: list[_Item]) -> bool:
    """Whether it is a DiT of the original layout."""
    paths = {item.path for item in items}
    return SILENCE in paths and INDEX not in paths


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0
