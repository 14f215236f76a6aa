"""Brings the database to the schema of this version."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from studio.config import Settings
from studio.storage.database import Database

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(settings: Settings) -> None:
    """Create or upgrade the tables; does nothing when they are up to date. Raises StorageError."""
    database = Database(settings.resolved_database_url)
    try:
        upgrade(database)
    finally:
        database.close()


def upgrade(database: Database, revision: str = "head") -> None:
    """Run the migrations up to `revision` in one transaction."""
    config = _config()
    with database.schema() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def known_revisions() -> set[str]:
    """Return the schemas this version can bring up to date."""
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def revision_of(settings: Settings) -> str | None:
    """Return the schema the database has."""
    database = Database(settings.resolved_database_url)
    try:
        with database.schema() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        database.close()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config
