"""A real PostgreSQL server for tests and benches, out of the wheel `pgserver`: no root, no system package, no network.

Only the wheel's programs are used. Its Python part would make a system user and open every folder up to / for it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, make_url

GIVEN = "STUDIO_TEST_POSTGRES"  # the URL of a server to use instead; its user must be allowed to create databases
SERVANT = "nobody"  # PostgreSQL refuses to run as root


@contextmanager
def server() -> Iterator[str]:
    """Give the URL of a running server; it and its data are gone at the end."""
    if url := os.environ.get(GIVEN):
        yield url
        return
    home = Path(tempfile.mkdtemp(prefix="studio-postgres-", dir="/tmp"))  # the path of a socket must be short
    try:
        with _running(home):
            yield f"postgresql+psycopg://studio@/postgres?host={home}"
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def database(server_url: str) -> Iterator[str]:
    """Give the URL of an empty database on a server; it is dropped at the end."""
    name = f"test_{uuid.uuid4().hex}"
    engine = create_engine(server_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    engine.dispose()  # the server may have been started again since
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    engine.dispose()


def restart(server_url: str) -> None:
    """End the server as a power cut would, and start it again; its databases are as they were committed."""
    home = Path(str(make_url(server_url).query["host"]))
    command = programs(home) / "pg_ctl", "-D", home / "data", "-w", "-t", "120", "-l", home / "log"
    _run(*command, "-m", "immediate", "restart")


@contextmanager
def _running(home: Path) -> Iterator[None]:
    folder, data = programs(home), home / "data"
    if os.geteuid() == 0:
        shutil.chown(home, SERVANT)
    _run(folder / "initdb", "-D", data, "-U", "studio", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
    options = f"-k {home} -c listen_addresses= -c fsync=off -c full_page_writes=off"
    _run(folder / "pg_ctl", "-D", data, "-w", "-t", "120", "-l", home / "log", "-o", options, "start")
    try:
        yield
    finally:
        _run(folder / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")


def programs(home: Path) -> Path:
    """Return the folder of initdb and pg_ctl; a copy of it where another user can't reach the environment."""
    found = importlib.util.find_spec("pgserver")
    if found is None or not found.submodule_search_locations:  # there is no wheel for Linux on ARM
        if system := shutil.which("initdb"):
            return Path(system).resolve().parent
        raise RuntimeError(f"there is no wheel pgserver and no initdb here, and {GIVEN} names no server")
    installed = Path(found.submodule_search_locations[0]) / "pginstall"
    try:
        _run(installed / "bin" / "postgres", "--version")
    except (OSError, subprocess.CalledProcessError):
        if not (home / "programs").exists():
            shutil.copytree(installed, home / "programs")
        installed = home / "programs"
    return installed / "bin"


def _run(*command: object) -> None:
    servant = {"user": SERVANT, "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    # Output goes to no pipe: the server would hold it open, and waiting for its end would never end.
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, cwd="/", **servant)
