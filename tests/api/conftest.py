"""The API over a studio whose worker has loaded the stand-in engine."""

from __future__ import annotations

from functools import cache

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from studio import api
from studio.services import Studio
from tests.services.conftest import garage, idle, settings, studio

__all__ = ["garage", "idle", "settings", "studio"]
HERE = "http://localhost:7860"
_present: list[Studio] = []


@cache
def _built(sign_in: bool) -> FastAPI:
    """Build the application once a process: it takes as long as a test."""
    return api.build(lambda: _present[0], sign_in=lambda: sign_in)


def application(studio: Studio, *, sign_in: bool = False) -> FastAPI:
    """Return the API over this studio; the one of the test before is forgotten."""
    _present[:] = [studio]
    return _built(sign_in)


@pytest.fixture
def client(studio: Studio) -> TestClient:
    """A program on this machine; nobody has to sign in."""
    return TestClient(application(studio), base_url=HERE)
