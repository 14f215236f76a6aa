"""What a program is told when something fails: one shape for everything, the error tree as HTTP statuses."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from studio import errors
from studio.errors import InvalidRequest, StudioError

REQUEST_ID = "X-Request-ID"
_STATUS: Mapping[type[StudioError], int] = {
    errors.SignInNeeded: 401,
    errors.PermissionDenied: 403,
    errors.LinkExpired: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.ModelNotReady: 409,
    errors.QueueFull: 429,
    errors.StorageError: 503,
    errors.FetchFailed: 503,
    errors.BackendError: 503,
    errors.OutOfMemory: 503,
}

logger = logging.getLogger(__name__)


class Fault(BaseModel):
    """What went wrong; a broken rule names the field, the rule and the value."""

    code: str  # such as invalid_request or not_found
    message: str
    field: str | None = None
    rule: str | None = None
    value: bool | int | str | None = None
    reference: str | None = None  # of a failure that the studio can't explain; its log has the rest


class Problem(BaseModel):
    """The body of every answer that is no success."""

    error: Fault


_WHEN = {
    "4XX": "What was asked for can't be done; the message says why",
    "5XX": "The studio can't do it now, or failed",
}
_JSON = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
FAULTS: dict[int | str, dict[str, object]] = {
    status: {"model": Problem, "description": text} for status, text in _WHEN.items()
}
FAULTS_OF_FILES: dict[int | str, dict[str, object]] = {  # FastAPI takes a model for what the route itself sends
    status: {"content": _JSON, "description": text} for status, text in _WHEN.items()
}


def answer(status: int, fault: Fault, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return a response with a fault."""
    return JSONResponse(Problem(error=fault).model_dump(exclude_none=True), status, headers)


def status_of(error: StudioError) -> int:
    """Return the HTTP status of an error of the tree; 400 is what the caller can mend alone."""
    return _STATUS.get(type(error), 400)


def fault_of(error: StudioError) -> Fault:
    """Describe an error of the tree."""
    code = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).lower()
    if not isinstance(error, InvalidRequest):
        return Fault(code=code, message=str(error))
    value = error.value if isinstance(error.value, bool | int | None) else str(error.value)
    return Fault(code=code, message=str(error), field=error.field, rule=error.rule, value=value)


def install(app: FastAPI) -> None:
    """Have every failure of the routes of `app` answered in the one shape."""
    app.add_exception_handler(StudioError, _studio_error)  # type: ignore[arg-type]
    app.add_exception_handler(RequestValidationError, _malformed)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _http)  # type: ignore[arg-type]
    app.add_exception_handler(Exception, _unexpected)


def _studio_error(_request: Request, error: StudioError) -> JSONResponse:
    status = status_of(error)
    return answer(status, fault_of(error), {"WWW-Authenticate": "Bearer"} if status == 401 else None)


def _malformed(_request: Request, error: RequestValidationError) -> JSONResponse:
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    return answer(
        400, Fault(code="invalid_request", message=f"{field}: {first['msg']}", field=field, rule=first["msg"])
    )


def _http(_request: Request, error: HTTPException) -> JSONResponse:
    code = HTTPStatus(error.status_code).name.lower()
    return answer(error.status_code, Fault(code=code, message=str(error.detail)), error.headers)


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    """Starlette raises the error again after this, so the server logs the traceback."""
    reference = str(request.state.request_id)
    logger.error("unexpected error, reference %s: %s", reference, type(error).__name__)
    message = "Something went wrong that the studio can't explain. Your songs are safe."
    return answer(500, Fault(code="unexpected", message=message, reference=reference), {REQUEST_ID: reference})
