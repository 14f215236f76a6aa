"""A web server on this machine that speaks as much of both hubs' protocols as fetching needs, and fails on request."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class HubServer:
    """What is published, what was asked for, and which faults are due."""

    address: str = ""
    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    ranges: list[tuple[str, str]] = field(default_factory=list)  # path and Range header of each file request
    cuts: dict[str, list[int]] = field(default_factory=dict)  # path -> bytes sent before each of the next breaks
    statuses: dict[str, list[int]] = field(default_factory=dict)  # path -> HTTP statuses of the next answers
    promised: dict[str, str] = field(default_factory=dict)  # path -> a SHA-256 it doesn't have
    silent: set[str] = field(default_factory=set)  # "huggingface" or "modelscope": answers 503 to everything
    ignore_ranges: bool = False

    def publish(self, repo: str, folder: Path, inside: str = "") -> None:
        """Add every file of `folder` to a repository."""
        for file in folder.rglob("*"):
            if file.is_file():
                name = file.relative_to(folder).as_posix()
                self.repos.setdefault(repo, {})[f"{inside}/{name}" if inside else name] = file.read_bytes()

    def asked(self, ending: str) -> list[str]:
        """The Range headers of the requests for a file."""
        return [header for path, header in self.ranges if path.endswith(ending)]


@contextmanager
def serve() -> Iterator[HubServer]:
    hub = HubServer()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        parts, query = unquote(url.path).strip("/").split("/"), parse_qs(url.query)
        if parts[:3] == ["api", "v1", "models"]:
            self._modelscope("/".join(parts[3:5]), parts[5:], query)
        elif "huggingface" in self.hub.silent:
            self._answer(503)
        elif parts[:2] == ["api", "models"]:
            self._list_huggingface("/".join(parts[2:4]))
        elif parts[0] == "cdn":
            self._file("/".join(parts[1:3]), "/".join(parts[3:]))
        elif parts[2:4] == ["resolve", COMMIT]:  # the hub itself only says where the bytes are
            self._answer(302, {"Location": f"/cdn/{'/'.join(parts[:2] + parts[4:])}", "X-Repo-Commit": COMMIT})
        else:
            self._answer(404)

    def _list_huggingface(self, repo: str) -> None:
        if repo not in self.hub.repos:
            self._answer(404, {"X-Error-Code": "RepoNotFound"})
            return
        siblings = []
        for path, content in self.hub.repos[repo].items():
            entry = {"rfilename": path, "size": len(content), "blobId": "0" * 40}
            if path.endswith((".safetensors", ".pt", ".bin")):
                entry["lfs"] = {"sha256": self._sum(path, content), "size": len(content), "pointerSize": 134}
            siblings.append(entry)
        self._json({"id": repo, "sha": COMMIT, "siblings": siblings})

    def _modelscope(self, repo: str, action: list[str], query: dict[str, list[str]]) -> None:
        if "modelscope" in self.hub.silent:
            self._answer(503)
        elif repo not in self.hub.repos:
            self._answer(404)
        elif action == ["repo", "files"]:
            files = [{"Type": "tree", "Path": "vae", "Name": "vae", "Size": 0}]
            for path, content in self.hub.repos[repo].items():
                entry = {"Type": "blob", "Path": path, "Name": Path(path).name, "Size": len(content)}
                files.append(entry | {"Sha256": self._sum(path, content)})
            self._json({"Code": 200, "Success": True, "Data": {"Files": files}})
        else:
            self._file(repo, query["FilePath"][0])

    def _sum(self, path: str, content: bytes) -> str:
        return self.hub.promised.get(path) or hashlib.sha256(content).hexdigest()

    def _file(self, repo: str, path: str) -> None:
        wanted = self.headers.get("Range", "")
        self.hub.ranges.append((path, wanted))
        if self.hub.statuses.get(path):
            self._answer(self.hub.statuses[path].pop(0))
            return
        content = self.hub.repos[repo][path]
        first = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and not self.hub.ignore_ranges else 0
        cuts = self.hub.cuts.get(path)
        end = first + cuts.pop(0) if cuts else len(content)
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        self.wfile.write(content[first:end])
        if end < len(content):
            self.close_connection = True

    def _json(self, content: object) -> None:
        self._answer(200, {"Content-Type": "application/json"}, json.dumps(content).encode())

    def _answer(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass
