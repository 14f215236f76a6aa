"""The whole database as one file, taken while others write, and put back.

SQLite is copied with its own backup function; PostgreSQL with pg_dump and pg_restore, which must be installed.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL, inspect, make_url, select, text

from studio.config import environment_with
from studio.errors import StorageError
from studio.storage.database import Database
from studio.storage.models import Take


def dump(url: str, file: Path) -> set[str]:
    """Write the database at `url` to `file` as it is at one moment; return the keys of its takes at that moment.

    Raises StorageError, for a database that is damaged too.
    """
    address = make_url(url)
    return _dump_sqlite(address, file) if is_sqlite(url) else _dump_postgres(url, file)


def load(url: str, file: Path) -> None:
    """Put what `dump` wrote in place of the database at `url`; raises StorageError, and nothing is changed then."""
    address = make_url(url)
    if is_sqlite(url):
        target = Path(str(address.database))
        target.parent.mkdir(parents=True, exist_ok=True)
        for end in ("-wal", "-shm"):
            target.with_name(target.name + end).unlink(missing_ok=True)
        shutil.move(file, target)
        return
    _run(address, "pg_restore", "--clean", "--if-exists", "--no-owner", "--single-transaction", str(file))


def is_sqlite(url: str) -> bool:
    """Return whether `url` is an SQLite file's."""
    return make_url(url).get_backend_name() == "sqlite"


def is_empty(url: str) -> bool:
    """Return whether there is nothing at `url` yet; raises StorageError."""
    if is_sqlite(url):
        return not Path(str(make_url(url).database)).exists()
    database = Database(url)
    try:
        with database.schema() as connection:
            return not inspect(connection).get_table_names()
    finally:
        database.close()


def _dump_sqlite(address: URL, file: Path) -> set[str]:
    if not Path(str(address.database)).exists():
        raise StorageError(f"there is no database at {address.database}")
    try:
        with closing(sqlite3.connect(str(address.database))) as source, closing(sqlite3.connect(file)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
            fault = copy.execute("PRAGMA integrity_check").fetchone()[0]
            if fault != "ok":
                raise StorageError(f"the database is damaged: {fault}")
            return {key for (key,) in copy.execute("SELECT key FROM takes")}
    except sqlite3.Error as error:
        raise StorageError(f"the database can't be copied: {error}") from error


def _dump_postgres(url: str, file: Path) -> set[str]:
    database = Database(url)
    try:
        with database.read() as session:
            session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
            moment = session.scalars(text("SELECT pg_export_snapshot()")).one()
            _run(make_url(url), "pg_dump", "--format=custom", f"--snapshot={moment}", f"--file={file}")
            return set(session.scalars(select(Take.key)))
    finally:
        database.close()


def _run(address: URL, program: str, *arguments: str) -> None:
    found = shutil.which(program)
    if found is None:
        raise StorageError(f"{program} is not installed; it comes with PostgreSQL's client (postgresql-client)")
    target = address.set(drivername="postgresql")._replace(password=None).render_as_string()
    environment = environment_with(PGPASSWORD=address.password) if address.password else None
    done = subprocess.run(
        [found, *arguments[:-1], f"--dbname={target}", arguments[-1]],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StorageError(f"{program} failed: {done.stderr.strip()}")
