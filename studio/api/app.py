"""The application that `studio.web` mounts under /api/v1."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from studio.api import datasets, faults, jobs, models, operations, people, takes, training, writing
from studio.api.doors import Door
from studio.api.guard import Guard
from studio.services import Studio

ROUTERS = tuple(room.router for room in (people, jobs, takes, models, writing, datasets, training, operations))


def build(opened: Callable[[], Studio], *, sign_in: Callable[[], bool]) -> FastAPI:
    """Return the API over the studio that `opened` gives; `sign_in` says whether a request has to show a key."""
    app = FastAPIOffline(
        title="ACE-Step Studio",
        version="1",
        redoc_url=None,
        responses=faults.FAULTS,
        description="Make music, find it again, and train on it. `docs/rest-api.md` goes through it by task.",
    )
    equip(app, Door(opened=opened, sign_in=sign_in))
    for router in ROUTERS:
        app.include_router(router)
    return app


def equip(app: FastAPI, door: Door) -> None:
    """Give an application its door, the guard before its routes and the one shape of its failures."""
    app.state.door = door
    app.add_middleware(Guard)
    faults.install(app)
