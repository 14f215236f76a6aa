"""The application that answers the original's clients: keys, envelope and failures as they know them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from studio.api.doors import Door, seat_of
from studio.api.faults import Fault, status_of
from studio.api.guard import LIMITS, MEGABYTE, Guard
from studio.api.original import adapters, audio, datasets, models, tasks, training, words
from studio.api.original.asked import Asked, Waiting
from studio.api.original.bodies import read_body
from studio.api.original.envelope import envelope
from studio.errors import ModelNotReady, StudioError
from studio.services import Studio
from studio.services.principal import Right
from studio.services.views import JobState, JobView

logger = logging.getLogger(__name__)
PATIENCE = 600.0  # seconds that a request waits for a job before it says so
_LOOK = 0.1  # seconds between looks at a job
Handler = Callable[[Asked], object]
ROUTES: tuple[tuple[str, str, Right, Handler], ...] = (
    ("POST", "/release_task", Right.MAKE, tasks.release),
    ("POST", "/query_result", Right.LISTEN, tasks.query),
    ("POST", "/format_input", Right.MAKE, words.format_input),
    ("POST", "/create_random_sample", Right.LISTEN, words.random_sample),
    ("GET", "/v1/models", Right.LISTEN, models.listed),
    ("GET", "/v1/stats", Right.LISTEN, models.stats),
    ("POST", "/v1/reinitialize", Right.MAKE, models.reinitialize),
    ("POST", "/v1/lora/load", Right.MAKE, adapters.load),
    ("POST", "/v1/lora/unload", Right.MAKE, adapters.unload),
    ("POST", "/v1/lora/toggle", Right.MAKE, adapters.toggle),
    ("POST", "/v1/lora/scale", Right.MAKE, adapters.scale),
    ("GET", "/v1/lora/status", Right.LISTEN, adapters.status),
    ("POST", "/v1/dataset/scan", Right.MAKE, datasets.scan),
    ("POST", "/v1/dataset/load", Right.MAKE, datasets.load),
    ("POST", "/v1/dataset/auto_label", Right.MAKE, datasets.label),
    ("POST", "/v1/dataset/auto_label_async", Right.MAKE, datasets.label_later),
    ("GET", "/v1/dataset/auto_label_status", Right.MAKE, datasets.label_status),
    ("GET", "/v1/dataset/auto_label_status/{task_id}", Right.MAKE, datasets.label_status),
    ("POST", "/v1/dataset/save", Right.MAKE, datasets.save),
    ("POST", "/v1/dataset/preprocess", Right.MAKE, datasets.prepare),
    ("POST", "/v1/dataset/preprocess_async", Right.MAKE, datasets.prepare_later),
    ("GET", "/v1/dataset/preprocess_status", Right.MAKE, datasets.prepare_status),
    ("GET", "/v1/dataset/preprocess_status/{task_id}", Right.MAKE, datasets.prepare_status),
    ("GET", "/v1/dataset/samples", Right.MAKE, datasets.samples),
    ("GET", "/v1/dataset/sample/{number}", Right.MAKE, datasets.sample),
    ("PUT", "/v1/dataset/sample/{number}", Right.MAKE, datasets.edit),
    ("POST", "/v1/training/start", Right.MAKE, training.start),
    ("POST", "/v1/training/start_lokr", Right.MAKE, training.start_lokr),
    ("POST", "/v1/training/stop", Right.MAKE, training.stop),
    ("GET", "/v1/training/status", Right.MAKE, training.status),
    ("POST", "/v1/training/load_tensor_info", Right.MAKE, training.tensor_info),
    ("POST", "/v1/training/export", Right.MAKE, training.export),
)


def build(opened: Callable[[], Studio], *, sign_in: Callable[[], bool]) -> Starlette:
    """Return the original's surface over the studio that `opened` gives; `sign_in` as for `studio.api.build`."""
    limits = {**LIMITS, "application/x-www-form-urlencoded": 2 * MEGABYTE}
    app = Starlette(
        routes=[
            *(Route(path, _endpoint(right, handler), methods=[method]) for method, path, right, handler in ROUTES),
            Route("/v1/audio", audio.send),
        ],
        middleware=[Middleware(Guard, limits=limits, answer=_refused)],
        exception_handlers={StudioError: _studio_error, HTTPException: _http, Exception: _unexpected},  # type: ignore[dict-item]
    )
    app.state.door = Door(opened=opened, sign_in=sign_in)
    return app


def _endpoint(right: Right, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        body = await read_body(request)

        def answered() -> tuple[Asked, object]:
            studio = seat_of(request, body.key)
            studio.principal.check(right)
            asked = Asked(studio=studio, fields=body.fields, files=body.files, path=request.path_params)
            return asked, handler(asked)

        asked, found = await run_sync(answered)
        if isinstance(found, Waiting):
            found = await _ended(asked.studio, found)
        return JSONResponse(envelope(found))

    return endpoint


async def _ended(studio: Studio, waiting: Waiting) -> object:
    """Wait for a job as the original's requests do, and return what is told of it."""
    job = await run_sync(studio.generation.job, waiting.job_id)
    with anyio.move_on_after(PATIENCE):
        while job.active:
            await anyio.sleep(_LOOK)
            job = await run_sync(studio.generation.job, waiting.job_id)
    if job.state != JobState.DONE:
        raise HTTPException(504 if job.active else 500, _why(job))
    return await run_sync(waiting.told, job)


def _why(job: JobView) -> str:
    return f"the job {job.id} is still {job.state}" if job.active else job.error or f"the job was {job.state}"


def _studio_error(_request: Request, error: StudioError) -> JSONResponse:
    status = 503 if isinstance(error, ModelNotReady) else status_of(error)
    return JSONResponse({"detail": str(error)}, status, {"WWW-Authenticate": "Bearer"} if status == 401 else None)


def _http(_request: Request, error: HTTPException) -> JSONResponse:
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


def _refused(status: int, fault: Fault) -> JSONResponse:
    return JSONResponse({"detail": fault.message}, status)


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    """Starlette raises the error again after this, so the server logs the traceback."""
    reference = str(request.state.request_id)
    logger.error("unexpected error, reference %s: %s", reference, type(error).__name__)
    return JSONResponse({"detail": f"the studio failed; its log says more under {reference}"}, 500)
