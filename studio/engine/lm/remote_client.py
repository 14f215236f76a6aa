"""Speaks to a vLLM server that writes for us: tokens in, tokens out, and every failure named.

The protocol is vLLM's own `/inference/v1/generate`; what a text is travels in its ticket (tickets.py).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import httpx2

from studio.engine.lm.tickets import GREETING, HELLO
from studio.errors import BackendError

START = "studio lm-server NAME"
_GENERATE = "/inference/v1/generate"
_TIMEOUT = httpx2.Timeout(10.0, read=300.0)  # seconds; a long prompt on a CPU is silent for minutes
_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=None)  # a text that waits for one would be half
_SHOWN = 300  # characters of an unexpected answer that a message repeats


class LmServer:
    """A server's address and key."""

    def __init__(self, url: str, api_key: str = "") -> None:
        self.url = url.rstrip("/").removesuffix("/v1")
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Connection]:
        """Give a connection for some calls; closing it ends what still runs over there."""
        try:
            client = httpx2.AsyncClient(base_url=self.url, headers=self._headers, timeout=_TIMEOUT, limits=_LIMITS)
        except (httpx2.InvalidURL, ValueError) as error:
            raise BackendError(f"{self.url!r} is no address of a language model server: {error}") from error
        async with client:
            yield Connection(client, f"the language model server at {self.url}")


class Connection:
    """Calls to one server; `name` is what messages call it."""

    def __init__(self, client: httpx2.AsyncClient, name: str) -> None:
        self._client, self._name = client, name

    async def context_of(self, model: str) -> int:
        """Return how many tokens the model of that name takes; raises BackendError when another one is served."""
        answer = await self._ask(self._client.build_request("GET", "/v1/models"))
        listed = answer.get("data")
        try:
            if not isinstance(listed, list):
                raise TypeError("it lists no models")
            served = {str(one["id"]): int(one["max_model_len"]) for one in listed}
        except (ValueError, KeyError, TypeError) as error:
            raise BackendError(f"{self._name} is no vLLM server, it answers {str(answer)[:_SHOWN]}") from error
        if model not in served:
            raise BackendError(f"{self._name} serves {', '.join(sorted(served)) or 'nothing'}, not {model}")
        return served[model]

    async def check_processor(self) -> None:
        """Raise BackendError unless our processor is there: it alone refuses a greeting, naming its protocol."""
        try:
            await self.answer([0], {"max_tokens": 1, "detokenize": False, "extra_args": HELLO})
            said = "it answered a greeting that the processor refuses"
        except RefusedError as refused:
            said = str(refused)
        if GREETING not in said:
            raise BackendError(
                f"{self._name} runs without the studio's processor, or with another version of it; start it with: "
                f"{START} ({said})"
            )

    async def answer(self, ids: Sequence[int], params: Mapping[str, object]) -> Mapping[str, object]:
        """Return the whole answer to one request."""
        return await self._ask(self._request(ids, params))

    async def stream(self, ids: Sequence[int], params: Mapping[str, object]) -> AsyncIterator[list[int]]:
        """Yield the tokens of one request as they come."""
        answer = await self._send(self._request(ids, params, stream=True))
        try:
            async for line in answer.aiter_lines():
                if line == "data: [DONE]":
                    return
                if line.startswith("data: "):
                    yield self._tokens(line.removeprefix("data: "))
        except httpx2.HTTPError as error:
            raise BackendError(f"{self._name} was lost while it wrote: {error!r}") from error
        finally:
            await answer.aclose()
        raise BackendError(f"{self._name} broke off while it wrote")

    def _request(self, ids: Sequence[int], params: Mapping[str, object], *, stream: bool = False) -> httpx2.Request:
        body = {"token_ids": list(ids), "sampling_params": dict(params), "stream": stream}
        return self._client.build_request("POST", _GENERATE, json=body)

    async def _ask(self, request: httpx2.Request) -> Mapping[str, object]:
        answer = await self._send(request)
        try:
            found = json.loads(await answer.aread())
        except (ValueError, httpx2.HTTPError) as error:
            raise BackendError(f"{self._name} is no vLLM server, its answer is no JSON: {error}") from error
        finally:
            await answer.aclose()
        return found if isinstance(found, dict) else {}

    async def _send(self, request: httpx2.Request) -> httpx2.Response:
        try:
            answer = await self._client.send(request, stream=True)
            if answer.status_code == httpx2.codes.OK:
                return answer
            said = (await answer.aread()).decode(errors="replace")[:_SHOWN]
            await answer.aclose()
        except httpx2.HTTPError as error:
            raise BackendError(f"{self._name} can't be reached: {error!r}") from error
        if answer.status_code == httpx2.codes.UNAUTHORIZED:
            rule = "STUDIO_LM_API_KEY must be the key it was started with"
            raise BackendError(f"{self._name} refuses the API key; {rule}")
        raise RefusedError(f"{self._name} refused with {answer.status_code}: {said}")

    def _tokens(self, event: str) -> list[int]:
        try:
            return [int(token) for choice in json.loads(event)["choices"] for token in choice["token_ids"]]
        except (ValueError, KeyError, TypeError) as error:
            raise BackendError(f"{self._name} failed while it wrote: {event[:_SHOWN]}") from error


class RefusedError(BackendError):
    """The server took a request for wrong."""
