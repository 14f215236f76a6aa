"""A studio without a worker, over either database, and a quick way to fill it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from studio.config import Settings
from studio.services import Studio, open_studio
from studio.services.library import Library, Parent
from studio.services.library.origins import record
from studio.storage.artifacts import ArtifactStore
from studio.storage.database import Database
from studio.storage.models import Batch, Job, Take, User
from studio.storage.states import JobState
from studio.storage.users import local_user
from tests.jobs.fakes import HandClock


@dataclass
class Stock:
    """A studio whose takes were made by nobody."""

    studio: Studio
    database: Database
    clock: HandClock

    @property
    def library(self) -> Library:
        return self.studio.library

    def add(
        self,
        caption: str = "a song",
        *,
        takes: int = 1,
        user: str | None = None,
        model: str = "turbo",
        parents: tuple[Parent, ...] = (),
        form: dict[str, object] | None = None,
        state: JobState = JobState.DONE,
        **settings: object,
    ) -> list[str]:
        """Store an ended batch with its files and return the ids of its takes."""
        user = user or local_user(self.database)
        self.clock.advance(1)
        now, requested = self.clock(), {"caption": caption, "lyrics": "", **settings}
        with self.database.write() as session:
            batch = Batch(
                user_id=user,
                task=str(settings.get("task_type", "text2music")),
                model=model,
                form={"caption": caption, **(form or {})},
                request=requested,
                created_at=now,
            )
            session.add(batch)
            session.flush()
            session.add(
                Job(user_id=user, batch_id=batch.id, kind="generate", requested={}, state=state, created_at=now)
            )
            record(session, batch, parents, now)
            rows = [self._take(batch.id, index, requested) for index in range(takes)]
            session.add_all(rows)
            session.flush()
            return [row.id for row in rows]

    def stranger(self) -> str:
        """Return the id of another person."""
        with self.database.write() as session:
            session.add(User(id="stranger", name="stranger", created_at=self.clock()))
        return "stranger"

    def file(self, take_id: str) -> Path:
        with self.database.read() as session:
            return ArtifactStore(self.studio.settings.artifacts_dir).path(session.get_one(Take, take_id).key)

    def _take(self, batch_id: str, index: int, requested: dict[str, object]) -> Take:
        key = f"batches/{batch_id}/{index}.wav"
        path = ArtifactStore(self.studio.settings.artifacts_dir).path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"sound {index} of {requested['caption']}".encode())
        return Take(
            batch_id=batch_id,
            index=index,
            seed=1000 + index,
            format="wav",
            key=key,
            duration=10.0,
            sample_rate=8000,
            requested=requested,
            effective={**requested, "inference_steps": 8},
            timings={"total": 1.0},
            created_at=self.clock(),
        )


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def stock(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stock]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    clock = HandClock()
    studio = open_studio(Settings(data_dir=tmp_path, database_url=url), clock=clock)
    database = Database(studio.settings.resolved_database_url)
    yield Stock(studio, database, clock)
    database.close()
    studio.close()
