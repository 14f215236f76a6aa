"""Spares a test the migrations of a database that is new: it begins as a copy of one that has been through them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from studio.config import Settings
from studio.storage.migrate import migrate


@pytest.fixture(scope="session", autouse=True)
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """`migrate` for the studios and shops of tests; it still looks at the copy as at any other database."""
    folder = tmp_path_factory.mktemp("migrated")
    migrate(Settings(data_dir=folder))

    def quickly(settings: Settings) -> None:
        path = Path(make_url(settings.resolved_database_url).database or "")
        if settings.resolved_database_url.startswith("sqlite") and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / "studio.db", path)
        migrate(settings)

    with pytest.MonkeyPatch.context() as patch:
        for place in ("tests.jobs.fakes.migrate", "studio.services.studio.migrate"):
            patch.setattr(place, quickly)
        yield
