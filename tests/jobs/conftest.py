"""A queue over a fresh SQLite file, with a clock that tests move."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyloudnorm  # noqa: F401 - takes seconds, which a worker would take in the middle of a test
import pytest

from tests.databases import migrated  # noqa: F401 - for every test here
from tests.jobs.fakes import HandClock, make_settings, open_database
from tests.jobs.shop import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    settings = make_settings(tmp_path)
    database = open_database(settings)
    yield Shop(settings, database, HandClock())
    database.close()
