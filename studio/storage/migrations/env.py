"""What Alembic runs around every migration; the connection comes from studio.storage.migrate."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from studio.storage import adapters, pause, people  # noqa: F401 - for their tables
from studio.storage.models import Base
from studio.storage.words import is_ours


def run() -> None:
    """Run the migrations inside the transaction that the caller opened."""
    connection: Connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        include_name=is_ours,
        transactional_ddl=True,
        render_as_batch=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
