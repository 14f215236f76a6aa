"""Asking for music, bringing audio along, and following jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import PurePath
from typing import Annotated

import anyio
import anyio.to_thread
from fastapi import APIRouter, Depends, Header, Query, UploadFile
from fastapi.sse import EventSourceResponse, ServerSentEvent

from studio.api.bodies import Form
from studio.api.doors import Making, Seat
from studio.api.faults import FAULTS_OF_FILES
from studio.errors import Conflict, InvalidRequest
from studio.services.uploads import KINDS, Upload
from studio.services.views import BatchView, JobView
from studio.services.writing import Written

LOOK_EVERY = 0.5  # seconds between two looks at a job that is followed

router = APIRouter(tags=["jobs"])


@router.post("/generate", status_code=202)
def generate(
    studio: Making, form: Form, idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None
) -> JobView:
    """Ask for a batch of takes; every key of the form is optional.

    A request that is sent again with the same Idempotency-Key gives the first one's job.
    """
    return studio.generation.job(studio.generation.submit(form, once=idempotency_key or ""))


@router.post("/uploads", status_code=201)
def upload(studio: Making, file: UploadFile) -> Upload:
    """Bring a source or reference along; its key goes into the form as src_audio or reference_audio."""
    name = file.filename or ""
    if PurePath(name).suffix.lower().lstrip(".") not in KINDS:
        raise InvalidRequest("file", f"be called something.{'|'.join(KINDS)}", name)
    return studio.uploads.add("file", name, file.file.read())


@router.get("/jobs")
def jobs(studio: Seat) -> list[JobView]:
    """List the jobs that run or wait, oldest first."""
    return studio.generation.active()


def _job(studio: Seat, job_id: str) -> JobView:
    return studio.generation.job(job_id)


Known = Annotated[JobView, Depends(_job)]


@router.get("/jobs/{job_id}")
def job(known: Known) -> JobView:
    """Say how far a job is."""
    return known


@router.get("/jobs/{job_id}/events", response_class=EventSourceResponse, responses=FAULTS_OF_FILES)
async def events(studio: Seat, known: Known) -> AsyncIterator[ServerSentEvent]:
    """Follow a job as Server-Sent Events.

    `progress` comes whenever something changed and `done`, `failed` or `cancelled` last, each with the job as JSON.
    """
    while known.active:
        yield ServerSentEvent(event="progress", data=known)
        seen = known
        while known == seen:
            await anyio.sleep(LOOK_EVERY)
            known = await anyio.to_thread.run_sync(studio.generation.job, known.id)
    yield ServerSentEvent(event=known.state, data=known)


@router.post("/jobs/{job_id}/cancel")
def cancel(studio: Making, known: Known) -> JobView:
    """End a waiting job now and a running one at its next step; an ended one stays as it is."""
    studio.generation.cancel(known.id)
    return studio.generation.job(known.id)


@router.get("/jobs/{job_id}/text")
def text(studio: Seat, job_id: str) -> Written:
    """Give what the language model wrote, once its job is done."""
    if (written := studio.writing.result(job_id)) is None:
        raise Conflict(f"the job is {studio.generation.job(job_id).state}, so there is no text")
    return written


@router.get("/batches")
def batches(
    studio: Seat, limit: Annotated[int, Query(ge=1, le=100)] = 20, before: str | None = None
) -> list[BatchView]:
    """List batches, newest first, that are older than batch `before`."""
    return studio.library.batches(limit, before)


@router.get("/batches/{batch_id}")
def batch(studio: Seat, batch_id: str) -> BatchView:
    """Give a batch with its form and its takes."""
    return studio.library.batch(batch_id)
