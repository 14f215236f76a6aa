"""Entries say what was heard in their takes, so that a search can ask for it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go one version forward; of what an older version measured only the loudness is known by column."""
    op.add_column("entries", sa.Column("heard", sa.String(8), nullable=False, server_default=""))
    op.add_column("entries", sa.Column("loudness", sa.Double(), nullable=True))
    loudness = "SELECT loudness_lufs FROM measurements WHERE measurements.take_id = entries.take_id"
    measured = "take_id IN (SELECT take_id FROM measurements)"
    op.execute(f"UPDATE entries SET heard = '----', loudness = ({loudness}) WHERE {measured}")


def downgrade() -> None:
    """Go one version back."""
    op.drop_column("entries", "loudness")
    op.drop_column("entries", "heard")
