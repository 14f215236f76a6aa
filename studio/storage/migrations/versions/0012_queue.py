"""Jobs say which model they need and when they were put back; the queue can be paused."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go one version forward."""
    op.add_column("jobs", sa.Column("model", sa.String(255), nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("put_back_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_jobs_finished_at", "jobs", ["finished_at"])
    op.create_table(
        "pauses",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("reason", sa.String(255), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    """Go one version back."""
    op.drop_table("pauses")
    op.drop_index("ix_jobs_finished_at", "jobs")
    op.drop_column("jobs", "put_back_at")
    op.drop_column("jobs", "model")
