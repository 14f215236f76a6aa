"""Running the studio, for administrators."""

from __future__ import annotations

from fastapi import APIRouter

from studio.api.bodies import Reason
from studio.api.doors import Seat
from studio.services.operations import PauseView, WorkerView

router = APIRouter(tags=["operations"])


@router.get("/workers")
def workers(studio: Seat) -> list[WorkerView]:
    """List the workers, the eldest first."""
    return studio.operations.workers()


@router.get("/queue/pause")
def paused(studio: Seat) -> PauseView | None:
    """Say whether the queue is paused, and why."""
    return studio.operations.paused()


@router.put("/queue/pause", status_code=204)
def pause(studio: Seat, body: Reason) -> None:
    """Begin nothing from now on."""
    studio.operations.pause(body.reason)


@router.delete("/queue/pause", status_code=204)
def resume(studio: Seat) -> None:
    """End the pause."""
    studio.operations.resume()
