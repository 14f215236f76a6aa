"""The web front: Streamlit's pages beside our own routes for audio, programs and health, in one ASGI app."""

from __future__ import annotations

import errno
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache, partial
from importlib.util import find_spec

import anyio.to_thread
import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit import config as streamlit_config

from studio import __version__
from studio.config import ROOT, Settings
from studio.errors import (
    InvalidRequest,
    LinkExpired,
    NotFound,
    PermissionDenied,
    StorageError,
    StudioError,
)
from studio.front.headers import SecurityHeaders
from studio.front.rates import RateLimits
from studio.services import Studio
from studio.services.media import MediaFile
from studio.services.views import StatusView, WorkerState
from studio.ui import notices, runtime, signing

LOADING_LIMIT = 600.0  # seconds to wait for the first model before serving without it
SECRETS = "secrets.toml"  # beside Streamlit's own settings, or in the data folder
ORIGINAL = ("/release_task", "/query_result", "/format_input", "/create_random_sample", "/v1/{rest:path}")
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}


def audio(request: Request) -> Response:
    """Stream a take whole or by byte ranges; `?download=1` makes the browser save it."""
    saving = request.query_params.get("download") == "1" and request.method == "GET"
    return _stream(request, partial(runtime.opened().media.resolve, saving=saving))


def source(request: Request) -> Response:
    """Stream what a person brought along the same way."""
    return _stream(request, runtime.opened().sources.resolve)


def song(request: Request) -> Response:
    """Stream a song of a dataset the same way."""
    return _stream(request, runtime.opened().datasets.resolve)


def _stream(request: Request, resolve: Callable[[str], MediaFile]) -> Response:
    try:
        file = resolve(request.path_params["token"])
    except LinkExpired:
        return PlainTextResponse("This link has expired. Open the page again.", status_code=403)
    except NotFound:
        return PlainTextResponse("This take does not exist.", status_code=404)
    except PermissionDenied as error:
        return PlainTextResponse(str(error), status_code=403)
    saving = request.query_params.get("download") == "1"
    return FileResponse(
        file.path,
        media_type=file.mime,
        filename=file.filename if saving else None,
        headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "private, max-age=3600"},
    )


def archive(request: Request) -> Response:
    """Send many takes as one zip while it is written."""
    try:
        found = runtime.opened().archives.open(request.path_params["token"])
    except LinkExpired:
        return PlainTextResponse("This link has expired. Open the page again.", status_code=403)
    except PermissionDenied as error:
        return PlainTextResponse(str(error), status_code=403)
    headers = {"Content-Disposition": f'attachment; filename="{found.filename}"', "Cache-Control": "private, no-store"}
    return StreamingResponse(found.chunks, media_type="application/zip", headers=headers)


def health(_request: Request) -> Response:
    """Say that the process answers and how the owner of the model is."""
    from studio.api.original.envelope import envelope  # as for _rest

    status = runtime.opened().status()
    model = status.model.name if status.model else None
    facts = {
        "status": "ok",
        "model": model,
        "state": status.state,
        "service": "ACE-Step Studio",
        "version": __version__,
    }
    return JSONResponse({**facts, **envelope(facts)})


def ready(_request: Request) -> Response:
    """Say whether music can be asked for: the database answers and a worker is there; 503 with the reason if not."""
    try:
        state = runtime.opened().status().state
    except StorageError as error:
        return JSONResponse({"ready": False, "reason": str(error)}, status_code=503)
    gone = state == WorkerState.GONE
    facts = {"ready": not gone, "reason": "no worker is running" if gone else ""}
    return JSONResponse(facts, status_code=503 if gone else 200)


def metrics(request: Request) -> Response:
    """Give Prometheus its figures, to whom the settings let have them."""
    who = runtime.settings().metrics
    if who == "off":
        return PlainTextResponse("Metrics are off, see STUDIO_METRICS.", status_code=404)
    if who == "local" and not _is_local(request):
        return PlainTextResponse("Metrics are for this machine only.", status_code=403)
    return Response(runtime.opened().metrics(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _is_local(request: Request) -> bool:
    """A reverse proxy on this machine asks from here too, for somebody who may be anywhere."""
    here = request.client is not None and request.client.host in ("127.0.0.1", "::1")
    return here and not {"forwarded", "x-forwarded-for", "x-real-ip"} & set(request.headers)


async def rest(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer programs: the REST API."""
    answers = await anyio.to_thread.run_sync(_rest)
    await answers(scope, receive, send)


class Original:
    """Answers clients of the original at the paths they know."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        answers = await anyio.to_thread.run_sync(_original)
        await answers(scope, receive, send)


@cache
def _rest() -> ASGIApp:
    from studio import api  # with FastAPI, which takes a second that no page should wait for

    return api.build(runtime.opened, sign_in=signing.configured)


@cache
def _original() -> ASGIApp:
    from studio.api import original  # as for _rest

    return original.build(runtime.opened, sign_in=signing.configured)


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """Open the studio, start its worker and have the chosen model loaded before the first page is served."""
    await anyio.to_thread.run_sync(_start)
    yield
    await anyio.to_thread.run_sync(runtime.opened.clear)


def serve(settings: Settings) -> None:
    """Serve the studio on the address of `settings` until it is stopped.

    Raises InvalidRequest for an unknown model, StudioError when the address can't be had.
    """
    runtime.use(settings)
    secrets = [str(ROOT / ".streamlit" / SECRETS), str(settings.data_dir / SECRETS)]
    streamlit_config.set_option("secrets.files", secrets)
    check_sign_in(settings)
    _check_address(settings.host, settings.port)
    names = [model.name for model in runtime.opened().models()]
    if settings.model and settings.model not in names:
        raise InvalidRequest("model", f"be one of {', '.join(names) or 'none, for no model was found'}", settings.model)
    # Streamlit looks for .streamlit/config.toml beside the launcher, wherever the command was typed.
    sys.argv = [str(ROOT / "app.py")]
    app.run(
        config={
            "secrets.files": secrets,
            "server.address": settings.host,
            "server.port": settings.port,
            "server.headless": True,
            "server.fileWatcherType": "none",
            "browser.gatherUsageStats": False,
            "logger.hideWelcomeMessage": True,
        }
    )


def _start() -> None:
    studio = runtime.opened()
    if runtime.settings().worker == "on":
        studio.start_worker()
        status = _settled(studio, runtime.settings())
        if status.state == WorkerState.FAILED:
            _say(f"The model could not be loaded: {status.error}", error=True)
    host = str(st.get_option("server.address") or "localhost")
    _say(f"Studio is ready: http://{_WILDCARDS.get(host, host)}:{st.get_option('server.port')}")


def _settled(studio: Studio, settings: Settings) -> StatusView:
    """Wait until the worker has come up, and has loaded the model of `settings` or failed to."""
    unsettled = {WorkerState.GONE, WorkerState.LOADING} | ({WorkerState.EMPTY} if settings.model else set())
    until = time.monotonic() + LOADING_LIMIT
    status = studio.status()
    while status.state in unsettled and time.monotonic() < until:
        time.sleep(0.1)
        status = studio.status()
    return status


def check_sign_in(settings: Settings) -> None:
    """Raise StudioError for sign-in that can't work.

    Raises InvalidRequest where everybody on the network could do everything and nobody said that this is meant.
    """
    if signing.configured():
        if not signing.providers():
            raise StudioError("the section [auth] of secrets.toml names no provider; docs/accounts.md shows how")
        if find_spec("authlib") is None:
            raise StudioError("sign-in needs the package authlib; install the studio with its group auth")
        return
    if settings.network_without_sign_in == "on" or settings.for_this_machine:
        return
    raise InvalidRequest(
        "host",
        "be this machine (127.0.0.1) while nobody has to sign in; set up sign-in (docs/accounts.md), or pass "
        "--let-the-network-in-without-sign-in if everybody who reaches the port may do everything",
        settings.host,
    )


def _check_address(host: str, port: int) -> None:
    """Raise StudioError when the address can't be listened on; Streamlit alone would only log it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise StudioError(
                    f"port {port} is in use by another program; choose another one with --port"
                ) from error
            raise StudioError(f"the studio can't listen on {host}:{port}: {error.strerror}") from error


def _request_limit() -> int:
    """Return how many requests a minute one person may make; 0, any number, for the one person of this machine."""
    settings = runtime.settings()
    return settings.requests_per_minute if signing.configured() or not settings.for_this_machine else 0


def _say(text: str, *, error: bool = False) -> None:
    (sys.stderr if error else sys.stdout).write(text + "\n")
    (sys.stderr if error else sys.stdout).flush()


ROUTES = (
    Route("/api/audio/{token}", audio, methods=["GET", "HEAD"]),
    Route("/api/source/{token}", source, methods=["GET", "HEAD"]),
    Route("/api/song/{token}", song, methods=["GET", "HEAD"]),
    Route("/api/zip/{token}", archive),
    Mount("/api/v1", app=rest),
    *(Route(path, Original()) for path in ORIGINAL),
    Route("/api/health", health),
    Route("/health", health),
    Route("/ready", ready),
    Route("/metrics", metrics),
)
MIDDLEWARE = (Middleware(SecurityHeaders), Middleware(RateLimits, limit=_request_limit))
app = st.App(
    ROOT / "Home.py", routes=ROUTES, middleware=MIDDLEWARE, lifespan=lifespan, on_script_error=notices.unexpected
)
