"""Working datasets, what was measured of songs on disk, and words beside a job's progress."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from studio.storage.times import UtcDateTime

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go one version forward."""
    op.add_column("jobs", sa.Column("detail", sa.String(255), nullable=False, server_default=""))
    op.create_table(
        "datasets",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("user_id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("saved", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("work", sa.JSON(), nullable=False),
        sa.Column("alike", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_datasets_user_id_users")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datasets")),
    )
    op.create_index(op.f("ix_datasets_user_id_updated_at"), "datasets", ["user_id", "updated_at"])
    op.create_table(
        "heard_songs",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("words", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_heard_songs")),
    )


def downgrade() -> None:
    """Go one version back."""
    op.drop_table("heard_songs")
    op.drop_index(op.f("ix_datasets_user_id_updated_at"), table_name="datasets")
    op.drop_table("datasets")
    op.drop_column("jobs", "detail")
