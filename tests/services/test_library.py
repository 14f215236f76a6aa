"""The history: newest first, in pages that stay the same while songs are added."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from studio.config import Settings
from studio.errors import NotFound
from studio.jobs.queue import Queue
from studio.jobs.spec import pack
from studio.services import Studio, open_studio
from studio.services.views import JobState
from studio.storage.database import Database
from studio.storage.models import Batch
from studio.storage.users import local_user
from tests.jobs.fakes import HandClock, open_database, song


@pytest.fixture
def clock() -> HandClock:
    """A clock that tests move."""
    return HandClock()


@pytest.fixture
def database(settings: Settings, history: Studio) -> Iterator[Database]:
    """The studio's database, seen from behind."""
    database = open_database(settings)
    yield database
    database.close()


@pytest.fixture
def history(settings: Settings, clock: HandClock) -> Iterator[Studio]:
    """A studio without a worker."""
    studio = open_studio(settings, clock=clock)
    yield studio
    studio.close()


def _add(database: Database, clock: HandClock, count: int) -> set[str]:
    """Add batches of one and the same moment."""
    user, ids = local_user(database), set()
    for _ in range(count):
        with database.write() as session:
            facts = pack(song())
            batch = Batch(user_id=user, task="text2music", model="fake", form={}, request=facts, created_at=clock())
            session.add(batch)
            session.flush()
            Queue(database, lease_seconds=30, clock=clock).submit(session, song(), user_id=user, batch_id=batch.id)
            ids.add(batch.id)
    return ids


def test_pages_cover_everything_once_newest_first(history: Studio, database: Database, clock: HandClock) -> None:
    moments = []
    for _ in range(3):
        moments.append(_add(database, clock, 4))
        clock.advance(1)
    seen: list[str] = []
    while page := history.library.batches(limit=5, before=seen[-1] if seen else None):
        seen += [batch.id for batch in page]
        _add(database, clock, 1)  # what is newer moves no page
    assert [set(seen[start : start + 4]) for start in (0, 4, 8)] == moments[::-1]
    assert len(seen) == 12
    assert history.library.count() == 15


def test_batch_has_the_state_of_its_job(history: Studio, database: Database, clock: HandClock) -> None:
    (batch_id,) = _add(database, clock, 1)
    assert history.library.batch(batch_id).state == JobState.QUEUED
    lease = Queue(database, lease_seconds=30, clock=clock).claim("w")
    assert lease is not None
    lease.fail("no luck")
    batch = history.library.batch(batch_id)
    assert (batch.state, batch.error, batch.takes) == (JobState.FAILED, "no luck", ())


def test_unknown_ids_are_named(history: Studio) -> None:
    for call in (history.library.batch, history.library.take, lambda name: history.library.batches(before=name)):
        with pytest.raises(NotFound, match="nobody"):
            call("nobody")
