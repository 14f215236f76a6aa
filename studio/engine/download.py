"""One file over HTTP, going on where an earlier attempt or an earlier run stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import httpx2

from studio.engine.hubs import HubFailed, Remote
from studio.engine.manifest import sha256
from studio.errors import StorageError

ATTEMPTS = 5  # in a row without a single byte
_BLOCK = 1 << 20  # bytes between two reports
_AGAIN = (408, 425, 429, 500, 502, 503, 504)  # statuses that may pass


def download(
    client: httpx2.Client, remote: Remote, part: Path, heard: Callable[[int], None], pause: float = 1.0
) -> str:
    """Complete the file `part` with the bytes of `remote` it lacks and return its SHA-256.

    `heard` gets how many bytes are there, about every megabyte; what it raises stops the download, and a later call
    goes on with it. A broken connection is tried again after `pause` seconds, doubled each time. Raises HubFailed when
    the hub gives up or sends other bytes than it promised (they are deleted then), StorageError when the disk is full.
    """
    failures = 0
    while (have := _length(part, remote.size)) < remote.size:
        try:
            _receive(client, remote, part, have, heard)
            fault = "the connection was closed early"
        except httpx2.HTTPStatusError as error:
            if error.response.status_code not in _AGAIN:
                raise HubFailed(f"{remote.path} can't be downloaded: HTTP {error.response.status_code}") from error
            fault = f"HTTP {error.response.status_code}"
        except httpx2.RequestError as error:
            fault = str(error) or type(error).__name__
        except OSError as error:
            raise StorageError(f"{part} can't be written: {error.strerror or error}") from error
        if (now := _length(part, remote.size)) == remote.size:
            break
        failures = 0 if now > have else failures + 1
        if failures >= ATTEMPTS:
            raise HubFailed(f"{remote.path} stopped at {now} of {remote.size} bytes: {fault}")
        time.sleep(pause * 2**failures if failures else 0)
    return _checked(remote, part)


def _length(part: Path, size: int) -> int:
    """Bytes that are there; more than there should be can't be the beginning of this file."""
    if not part.exists():
        part.parent.mkdir(parents=True, exist_ok=True)
        part.touch()
    if part.stat().st_size > size:
        part.unlink()
        part.touch()
    return part.stat().st_size


def _receive(client: httpx2.Client, remote: Remote, part: Path, have: int, heard: Callable[[int], None]) -> None:
    headers = {**remote.headers, "Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with client.stream("GET", remote.url, headers=headers) as answer:
        answer.raise_for_status()
        going_on = have > 0 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        done = have if going_on else 0  # a server that ignores Range sends everything again
        with part.open("ab" if going_on else "wb") as file:
            told = done
            for (
                block
            ) in answer.iter_raw():  # as it arrives: blocks of a size asked for are lost when a connection breaks
                file.write(block)
                done += len(block)
                if done - told >= _BLOCK or done >= remote.size:
                    told = done
                    heard(min(done, remote.size))


def _checked(remote: Remote, part: Path) -> str:
    found = sha256(part)
    if remote.sha256 and found != remote.sha256:
        part.unlink()
        raise HubFailed(f"{remote.path} arrived damaged: its SHA-256 is {found}, the hub says {remote.sha256}")
    return found
