"""How often one person or one address may ask: a bucket each, which holds a minute's requests and refills evenly."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from studio.front.headers import OURS

SIGN_IN = ("/oauth2callback", "/auth/")
SIGN_INS = 60  # a minute and address
_MOST = 10_000  # buckets that are kept
_MINUTE = 60.0  # seconds


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float  # seconds of the clock


class RateLimits:
    """Answers 429 with Retry-After to whoever asks our routes, or for sign-in, too often.

    A program is known by its API key, anybody else by the address; keys that open nothing are counted to the address
    too, so that guessing them is slow. `limit` gives the requests a minute, 0 for any number, each time it is asked.
    """

    def __init__(self, app: ASGIApp, limit: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._limit = limit
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        path = scope["path"] if scope["type"] == "http" else ""
        signing_in = path.startswith(SIGN_IN)
        limit = self._limit() if signing_in or path.startswith(OURS) else 0
        if limit == 0:
            await self._app(scope, receive, send)
            return
        limit = min(limit, SIGN_INS) if signing_in else limit
        client = (scope.get("client") or ("",))[0]
        address = self._filled(f"{'sign in' if signing_in else 'address'} {client}", limit)
        key = Headers(scope=scope).get("authorization")
        own = address if key is None else self._filled(hashlib.sha256(key.encode()).hexdigest(), limit)
        if (left := min(address.left, own.left)) < 1:
            wait = math.ceil((1 - left) * _MINUTE / limit)
            words, headers = f"Too many requests; try again in {wait} s.", {"Retry-After": str(wait)}
            await PlainTextResponse(words, status_code=429, headers=headers)(scope, receive, send)
            return
        own.left -= 1

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 401 and own is not address:
                address.left -= 1
            await send(message)

        await self._app(scope, receive, counted)

    def _filled(self, name: str, limit: int) -> _Bucket:
        """Return a bucket, refilled until now; those nobody has used for a minute are full and need no keeping."""
        now = self._clock()
        if name not in self._buckets and len(self._buckets) >= _MOST:
            self._buckets = {one: kept for one, kept in self._buckets.items() if kept.at > now - _MINUTE}
        bucket = self._buckets.setdefault(name, _Bucket(limit, now))
        bucket.left = min(limit, bucket.left + (now - bucket.at) * limit / _MINUTE)
        bucket.at = now
        return bucket
