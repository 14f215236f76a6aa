"""A worker on some machine of a cluster: it looks whether it can work there before it serves; needs no Ray."""

from __future__ import annotations

import socket
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url, select

from studio.config import Settings
from studio.engine.checkpoint import resolve
from studio.engine.run import Run
from studio.errors import InvalidRequest, StorageError
from studio.jobs.fetching import fetch_missing
from studio.jobs.loading import setup_of
from studio.jobs.outcome import outcome
from studio.jobs.resident import EngineFactory
from studio.jobs.worker import Worker
from studio.logs import set_up
from studio.storage.database import Database
from studio.storage.models import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the keeper of the workers runs, and what it left in the data folder for them to find."""

    host: str
    mark: Path


class Seat:
    """One worker, in a process of its own on the machine called `name`; its methods are called at the same time."""

    def __init__(self, settings: Settings, name: str, origin: Origin, engine_factory: EngineFactory) -> None:
        self._settings = settings
        self._name = name
        self._origin = origin
        self._engine_factory = engine_factory
        self._worker: Worker | None = None

    def serve(self) -> str:
        """Work until drained or stopped and return "", or say at once why no worker can work here."""
        set_up(self._settings)
        database = Database(self._settings.resolved_database_url)
        try:
            if (error := outcome(lambda: self._check(database))) is not None:
                return str(error)
            self._worker = Worker(self._settings, database, engine_factory=self._engine_factory, host=self._name)
            self._worker.run()
        finally:
            database.close()
        return ""

    def drain(self) -> None:
        """Have `serve` return when the job is done; does nothing before the worker is there, so ask again."""
        if self._worker is not None:
            self._worker.drain()

    def stop(self) -> None:
        """Have `serve` return at the next step, the job back in the queue; as `drain`."""
        if self._worker is not None:
            self._worker.stop()

    def _check(self, database: Database) -> None:
        check_database(self._settings, {self._origin.host, socket.gethostname()})
        if not self._origin.mark.exists():
            raise StorageError(
                f"data_dir {self._settings.data_dir} is another folder here than on {self._origin.host}; "
                "all machines must share it under the same path"
            )
        with database.read() as session:
            session.scalars(select(User.id).limit(1)).all()
        if self._settings.model:
            self._check_room()

    def _check_room(self) -> None:
        from studio.engine.loaded import room_for  # with torch

        fetch_missing(self._settings.model, self._settings, Run())
        dirs = (self._settings.models_dir, self._settings.checkpoints_dir)
        room_for(resolve(self._settings.model, dirs), setup_of(self._settings))


def check_database(settings: Settings, hosts: Set[str]) -> None:
    """Raise InvalidRequest when workers on several machines would have to share a SQLite file.

    SQLite's locks and shared memory work between processes of one machine only.
    """
    url = make_url(settings.resolved_database_url)
    if len(hosts) > 1 and url.get_backend_name() == "sqlite":
        machines = ", ".join(sorted(hosts))
        raise InvalidRequest("database_url", f"name a PostgreSQL server for workers on {machines}", url.database)
