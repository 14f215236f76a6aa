"""The migrations make the schema the models describe, whoever runs them and however often."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError, StatementError

from studio.config import Settings
from studio.errors import StorageError
from studio.storage import words
from studio.storage.adapters import Adapter
from studio.storage.database import Database
from studio.storage.migrate import migrate, upgrade
from studio.storage.models import Base, Batch, User
from studio.storage.users import local_user


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose data folder does not exist yet."""
    return Settings(data_dir=tmp_path / "new" / "data", models_dir=tmp_path / "models")


def test_migrated_schema_is_the_models(settings: Settings) -> None:
    migrate(settings)
    with Database(settings.resolved_database_url).engine.connect() as connection:
        opts = {"compare_type": True, "include_name": words.is_ours}
        context = MigrationContext.configure(connection, opts=opts)
        assert compare_metadata(context, Base.metadata) == []


EARLIER = [f"{number:04}" for number in range(1, 10)]


@pytest.mark.parametrize("version", EARLIER)
def test_what_an_earlier_version_kept_is_there_and_adapters_can_be_entered(settings: Settings, version: str) -> None:
    database, now = Database(settings.resolved_database_url), "2026-01-01 12:00:00+00:00"
    upgrade(database, version)
    with database.write() as session:
        session.execute(text(f"INSERT INTO users VALUES ('u', 'local', '{now}')"))
        session.execute(text(f"INSERT INTO batches VALUES ('b', 'u', 'text2music', 'm', '{{}}', '{{}}', '{now}')"))
        if version >= "0009":
            names = "id, user_id, state, model, device, tensors, out, resume, settings, resident, host, birthmark, last"
            values = "'t', 'u', 'completed', 'm', 'cpu', '/songs', '/run', '', '{}', '{}', '', '', '{}'"
            session.execute(text(f"INSERT INTO trainings ({names}, error, created_at) VALUES ({values}, '', '{now}')"))
    migrate(settings)
    with database.write() as session:
        batch = session.get_one(Batch, "b")
        training = "t" if version >= "0009" else None
        facts = {"user_id": batch.user_id, "name": "voice", "path": "/a/voice", "sha256": "5a" * 32, "rank": 4}
        session.add(Adapter(kind="lora", training_id=training, created_at=batch.created_at, **facts))
    with database.read() as session:
        assert [(one.name, one.training_id, one.dataset) for one in session.query(Adapter)] == [("voice", training, "")]
    database.close()


def test_second_run_changes_nothing(settings: Settings) -> None:
    migrate(settings)
    database = Database(settings.resolved_database_url)
    user = local_user(database)
    migrate(settings)
    assert local_user(database) == user


def test_many_at_once_agree(settings: Settings) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: migrate(settings), range(6)))
        users = set(pool.map(lambda _: local_user(Database(settings.resolved_database_url)), range(6)))
    assert len(users) == 1


def test_new_file_that_another_still_turns_over_is_waited_for(settings: Settings) -> None:
    database = Database(settings.resolved_database_url)
    file = settings.data_dir / "studio.db"
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE t (id INTEGER)")
    other.execute("BEGIN")
    other.execute("SELECT * FROM t").fetchall()
    other.execute("INSERT INTO t VALUES (1)")
    timer = threading.Timer(0.5, other.rollback)
    timer.start()
    with database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    timer.join()
    other.close()


def test_failed_migration_leaves_nothing(settings: Settings) -> None:
    database = Database(settings.resolved_database_url)
    with database.write() as session:
        session.execute(text("CREATE TABLE jobs (id INTEGER)"))
    with pytest.raises(StorageError, match="jobs"):
        upgrade(database)
    assert inspect(database.engine).get_table_names() == ["jobs"]


def test_sqlite_is_set_up_for_many_readers(settings: Settings) -> None:
    migrate(settings)
    with Database(settings.resolved_database_url).engine.connect() as connection:
        read = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout")
        }
    assert read == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 15000}


def test_times_keep_their_zone(settings: Settings) -> None:
    migrate(settings)
    database = Database(settings.resolved_database_url)
    noon_in_rome = datetime(2026, 7, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    with database.write() as session:
        session.add(User(id="u", name="u", created_at=noon_in_rome))
    with database.read() as session:
        stored = session.get_one(User, "u").created_at
    assert stored == noon_in_rome
    assert stored.tzinfo is UTC
    with pytest.raises(StatementError, match="zone"), database.write() as session:
        session.add(User(id="v", name="v", created_at=datetime(2026, 7, 1)))


def test_batch_needs_its_user(settings: Settings) -> None:
    migrate(settings)
    orphan = Batch(user_id="nobody", task="text2music", model="m", form={}, request={}, created_at=datetime.now(UTC))
    with pytest.raises(IntegrityError), Database(settings.resolved_database_url).write() as session:
        session.add(orphan)


@pytest.mark.parametrize("url", ["no address", "nosuch://host/db", "sqlite:////proc/none/studio.db"])
def test_unusable_address_is_explained(url: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        migrate(Settings(data_dir=tmp_path, database_url=url))
