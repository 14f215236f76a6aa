"""The sound of a take under the original's path; a link says for whom it was made (product.md 4.2)."""

from __future__ import annotations

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from studio.errors import InvalidRequest

PATH = "/v1/audio"


async def send(request: Request) -> Response:
    """Send the take that `path` of a result names, whole or by byte ranges.

    Raises LinkExpired for anything that is no such path or too old, NotFound when the take is gone or its person may
    not hear it any more.
    """
    token = request.query_params.get("path", "")
    if not token:
        raise InvalidRequest("path", "be one that /query_result gave", token)
    file = await run_sync(request.app.state.door.opened().media.resolve, token)
    return FileResponse(file.path, media_type=file.mime, headers={"Cache-Control": "private, max-age=3600"})
