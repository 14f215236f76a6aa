"""The API over a studio whose worker has loaded the stand-in engine."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from studio import api
from studio.services import Studio
from tests.services.conftest import garage, idle, settings, studio

__all__ = ["garage", "idle", "settings", "studio"]
HERE = "http://localhost:7860"


@pytest.fixture
def client(studio: Studio) -> TestClient:
    """A program on this machine; nobody has to sign in."""
    return TestClient(api.build(lambda: studio, sign_in=lambda: False), base_url=HERE)
