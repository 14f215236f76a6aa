"""Opens the SQL database and hands out short transactions."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

from studio.errors import StorageError
from studio.storage.entries import enter

BUSY_TIMEOUT = 15.0  # seconds to wait for another writer
_WRITES = "studio_writes"


class Database:
    """The studio's SQL database; safe to share between threads."""

    def __init__(self, url: str) -> None:
        self.engine = _open(url)
        self._writer = self.engine.execution_options(**{_WRITES: True})
        self._readers = sessionmaker(self.engine, expire_on_commit=False)
        self._writers = sessionmaker(self._writer, expire_on_commit=False)
        event.listen(self._writers, "after_flush", enter)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Give a session that sees one consistent state; nothing it changes is kept."""
        with _explained(), self._readers() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Give a session that commits at the end and rolls back on any error; on SQLite writers take turns."""
        with _explained(), self._writers.begin() as session:
            yield session

    @contextmanager
    def schema(self) -> Iterator[Connection]:
        """Give the one connection that may change tables now; other processes wait."""
        with _explained(), self._writer.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7860)")
            yield connection

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise StorageError(f"the database can't be used: {error.orig}") from error


def _open(url: str) -> Engine:
    try:
        address = make_url(url)
        if address.get_backend_name() != "sqlite":
            return create_engine(address, pool_pre_ping=True)
    except (ArgumentError, ModuleNotFoundError) as error:
        raise StorageError(f"the database address can't be used: {error}") from error
    return _open_sqlite(address)


def _open_sqlite(address: URL) -> Engine:
    if address.database:
        try:
            Path(address.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"the database folder can't be made: {error}") from error
    engine = create_engine(address, connect_args={"timeout": BUSY_TIMEOUT})
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver would begin too late, see _begin_sqlite
    _keep_a_log(connection)
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _keep_a_log(connection: sqlite3.Connection) -> None:
    # The first connection to a new file turns it over alone: SQLite refuses the others at once, whatever its timeout.
    last = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > last:
                raise
            time.sleep(0.02)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    # A read that turns into a write fails at once when another writer came between, timeout or not.
    # Taking the write lock at the start makes writers queue instead.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
