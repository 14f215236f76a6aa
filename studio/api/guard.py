"""What is looked at before any route: that no other web site is behind a request, and the kind and size of its body."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from studio.api.faults import REQUEST_ID, Fault, answer
from studio.logs import answering

MEGABYTE = 2**20
LIMITS: Mapping[str, int] = {  # bytes of a body, by its media type; other types are refused
    "application/json": 2 * MEGABYTE,
    "multipart/form-data": 100 * MEGABYTE,  # as server.maxUploadSize in .streamlit/config.toml
}
_READING = ("GET", "HEAD")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Guard:
    """Names every request and refuses what a browser sends for another site, and bodies of other types or sizes."""

    def __init__(
        self,
        app: ASGIApp,
        limits: Mapping[str, int] = LIMITS,
        answer: Callable[[int, Fault], Response] = answer,
    ) -> None:
        self._app = app
        self._limits = limits
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get(REQUEST_ID, "")
        name = given if _ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = name

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = MutableHeaders(scope=message)
                told[REQUEST_ID] = name
                told["X-Content-Type-Options"] = "nosniff"
                told.setdefault("Cache-Control", "no-store")
            await send(message)

        with answering(name):
            if from_another_site(scope["method"], headers):
                refusal = Fault(code="permission_denied", message="a page of another web site may not ask the studio")
                await self._answer(403, refusal)(scope, receive, send_named)
                return
            kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if kind not in self._limits and has_body(headers):
                refusal = Fault(code="unsupported_media_type", message=f"a body must be {' or '.join(self._limits)}")
                await self._answer(415, refusal)(scope, receive, send_named)
                return
            await self._app(scope, limited(receive, self._limits.get(kind, 0)), send_named)


def from_another_site(method: str, headers: Headers) -> bool:
    """Whether a browser sends this for a page of another web site; opening a link that leads here is allowed."""
    if "Origin" in headers and urlsplit(headers["Origin"]).netloc.lower() != headers.get("Host", "").lower():
        return True
    opened = method in _READING and headers.get("Sec-Fetch-Mode") == "navigate"
    return headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin") and not opened


def has_body(headers: Headers) -> bool:
    """Whether a body comes with the request."""
    return "Transfer-Encoding" in headers or headers.get("Content-Length", "0") != "0"


def limited(receive: Receive, limit: int) -> Receive:
    """Return `receive` so that it raises HTTPException once more than `limit` bytes of the body have come."""
    came = 0

    async def counted() -> Message:
        nonlocal came
        message = await receive()
        came += len(message.get("body", b""))
        if came > limit:
            raise HTTPException(413, f"a body of this kind may have {limit} bytes")
        return message

    return counted
