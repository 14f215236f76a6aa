"""The queue of tests/jobs."""

from __future__ import annotations

from tests.jobs.conftest import shop  # noqa: F401 - a fixture
