"""What a client of the original sends: fields as JSON, urlencoded or multipart, files, and a key (product.md 4.1)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from studio.errors import InvalidRequest

TOKEN = "ai_token"
LARGE = 2 * 2**20  # bytes of a text field; the longest codes take 200 kB


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that came with a request."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What came; `key` is the one in the body, else the one in the header, else empty."""

    key: str
    fields: Mapping[str, object]
    files: Mapping[str, File]


async def read_body(request: Request) -> Body:
    """Read a request; raises InvalidRequest for JSON that is no object and for a field that comes twice."""
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in ("multipart/form-data", "application/x-www-form-urlencoded"):
        async with request.form(max_part_size=LARGE) as form:
            fields, files = await _apart(form)
    else:
        fields, files = await _json(request), {}
    given = fields.pop(TOKEN, None)
    if given is not None and not isinstance(given, str):
        raise InvalidRequest(TOKEN, "be text", "something else")
    return Body(key=given or _shown(request), fields=fields, files=files)


async def _json(request: Request) -> dict[str, object]:
    if not await request.body():
        return {}
    try:
        found = await request.json()
        json.dumps(found, ensure_ascii=False).encode()  # half a character can be escaped, and neither stored nor found
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("request", "be JSON", str(error)) from error
    if not isinstance(found, dict):
        raise InvalidRequest("request", "be a JSON object", type(found).__name__)
    return found


async def _apart(form: FormData) -> tuple[dict[str, object], dict[str, File]]:
    fields, files = dict[str, object](), dict[str, File]()
    for name, value in form.multi_items():
        if name in fields or name in files:
            raise InvalidRequest(name, "come once", "several")
        if isinstance(value, UploadFile):
            files[name] = File(name=value.filename or "", content=await value.read())
        else:
            fields[name] = value
    return fields, files


def _shown(request: Request) -> str:
    """Return the key of the header, with the word Bearer before it or without."""
    header = request.headers.get("Authorization", "").strip()
    kind, _, rest = header.partition(" ")
    return rest.strip() if kind.lower() == "bearer" else header
