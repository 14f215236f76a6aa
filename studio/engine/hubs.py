"""What a repository on Hugging Face or ModelScope holds; the weights themselves are fetched by `download`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import PurePosixPath
from urllib.parse import quote

import httpx2

from studio.errors import FetchFailed

MODELSCOPE = "https://modelscope.cn"
_TIMEOUT = 30.0  # seconds without an answer


class Hub(StrEnum):
    """Where checkpoints are published, both under the same ids (engine.md 1.2)."""

    HUGGINGFACE = "huggingface"
    MODELSCOPE = "modelscope"


class HubFailed(FetchFailed):
    """One hub can't deliver; the other one may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """One file of a repository."""

    path: str  # inside the repository, with slashes
    size: int  # bytes
    sha256: str  # lower-case hex; empty where the hub doesn't say
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)  # may hold a token


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Addresses of the hubs; empty means the public one (for Hugging Face what its own library is set to)."""

    huggingface: str = ""
    modelscope: str = ""


def open_client() -> httpx2.Client:
    """Return an HTTP client that follows redirects, as both hubs send files from elsewhere."""
    return httpx2.Client(follow_redirects=True, timeout=_TIMEOUT)


def list_files(hub: Hub, repo: str, endpoints: Endpoints, client: httpx2.Client) -> list[Remote]:
    """Return every file of the repository `owner/name`.

    Raises HubFailed when the hub can't be reached, has no such repository or names a file outside of it.
    """
    if hub is Hub.HUGGINGFACE:
        files = _huggingface(repo, endpoints.huggingface or None)
    else:
        files = _modelscope(repo, endpoints.modelscope or MODELSCOPE, client)
    for file in files:
        if file.path.startswith("/") or ".." in PurePosixPath(file.path).parts or set(file.path) & set("\\:\0"):
            raise HubFailed(f"{repo} lists {file.path!r}, which lies outside of it")
    return files


def _huggingface(repo: str, endpoint: str | None) -> list[Remote]:
    """The library asks for the list and knows addresses and tokens; it can't go on with a file another run began."""
    from huggingface_hub import HfApi, get_token, hf_hub_url

    try:
        info = HfApi(endpoint=endpoint).model_info(repo, files_metadata=True, timeout=_TIMEOUT)
    except (OSError, ValueError, httpx2.HTTPError) as error:
        raise HubFailed(f"{repo} can't be listed: {_first_line(error)}") from error
    token = get_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return [
        Remote(
            path=item.rfilename,
            size=item.size or 0,
            sha256=item.lfs.sha256.lower() if item.lfs else "",
            url=hf_hub_url(repo, item.rfilename, revision=info.sha, endpoint=endpoint),
            headers=headers,
        )
        for item in info.siblings or []
    ]


def _modelscope(repo: str, endpoint: str, client: httpx2.Client) -> list[Remote]:
    address = f"{endpoint}/api/v1/models/{quote(repo)}/repo"
    try:
        answer = client.get(f"{address}/files", params={"Revision": "master", "Recursive": "true"})
        answer.raise_for_status()
        files = [item for item in answer.json()["Data"]["Files"] if item["Type"] != "tree"]
        return [
            Remote(
                path=str(item["Path"]),
                size=int(item["Size"]),
                sha256=str(item.get("Sha256") or "").lower(),
                url=f"{address}?Revision=master&FilePath={quote(str(item['Path']), safe='')}",
            )
            for item in files
        ]
    except httpx2.HTTPError as error:
        raise HubFailed(f"{repo} can't be listed: {_first_line(error)}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise HubFailed(f"{repo} can't be listed: {endpoint} answers in an unknown form ({error!r})") from error


def _first_line(error: Exception) -> str:
    """Errors of these libraries end with advice on several lines."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
