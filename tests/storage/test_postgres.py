"""The same schema and the same queue on PostgreSQL, see tests.postgres."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from studio.errors import InvalidRequest
from studio.services.backup import back_up, restore
from studio.storage import words
from studio.storage.audit import tell
from studio.storage.migrate import migrate, upgrade
from studio.storage.models import Base, Job
from studio.storage.states import Deed, JobState
from studio.storage.users import local_user
from tests import postgres
from tests.jobs.fakes import HandClock, load, make_settings, open_database, song
from tests.jobs.shop import Shop, claim_all

pytestmark = pytest.mark.postgres


@pytest.fixture
def shop(tmp_path: Path, postgres_url: str) -> Iterator[Shop]:
    """A queue over the tables of a fresh migration."""
    settings = make_settings(tmp_path, database_url=postgres_url)
    database = open_database(settings)
    yield Shop(settings, database, HandClock())
    database.close()


def test_migrated_schema_is_the_models(shop: Shop) -> None:
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(migrate, [shop.settings] * 3))
        assert len(set(pool.map(lambda _: local_user(shop.database), range(3)))) == 1
    upgrade(shop.database)
    with shop.database.engine.connect() as connection:
        opts = {"compare_type": True, "include_name": words.is_ours}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, Base.metadata) == []


def test_the_audit_log_only_grows(shop: Shop) -> None:
    with shop.database.write() as session:
        tell(session, local_user(shop.database), Deed.GENERATED, "a batch", shop.clock())
    for change in ("UPDATE audit SET deed = 'deleted'", "DELETE FROM audit"):
        with pytest.raises(DatabaseError, match="append-only"), shop.database.write() as session:
            session.execute(text(change))


def test_each_job_is_claimed_once(shop: Shop) -> None:
    ids = [shop.submit(load()) for _ in range(12)]
    with ThreadPoolExecutor(4) as pool:
        claimed = list(pool.map(lambda name: claim_all(shop.settings, name), "abcd"))
    assert sorted(chain(*claimed)) == sorted(ids)


def test_lost_job_is_queued_once_more_and_then_fails(shop: Shop) -> None:
    job_id = shop.submit(song(4294967295))
    for expected in (JobState.QUEUED, JobState.FAILED):
        lease = shop.queue.claim("w")
        assert lease is not None
        assert lease.payload() == song(4294967295)
        lease.progress("diffusion", 1, 8)
        shop.clock.advance(31)
        shop.recovery.run()
        assert shop.job(job_id).state == expected
    assert shop.queue.request_cancel(job_id) == JobState.FAILED


def test_times_come_back_in_utc(shop: Shop) -> None:
    job_id = shop.submit(load())
    assert shop.job(job_id).created_at == shop.clock()


def test_a_backup_brings_the_jobs_and_takes_back(
    shop: Shop, tmp_path: Path, postgres_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(postgres.programs(tmp_path)), prepend=os.pathsep)
    with postgres.database(postgres_server) as other:
        job_id = shop.submit(song())
        back_up(shop.settings, tmp_path / "all.tar")
        target = make_settings(tmp_path / "new", database_url=other)
        with pytest.raises(InvalidRequest, match="--replace"):
            restore(target, tmp_path / "all.tar")
        report = restore(target, tmp_path / "all.tar", replace=True)
        assert report.kept is not None
        database = open_database(target)
        with database.read() as session:
            assert session.get_one(Job, job_id).state == JobState.QUEUED
        database.close()
