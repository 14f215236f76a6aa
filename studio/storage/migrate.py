"""Brings the database to the schema of this version."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config

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
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    with database.schema() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
