"""The first tables: users, batches, takes, jobs, workers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go one version forward."""
    _create_users()
    _create_workers()
    _create_batches()
    _create_jobs()
    _create_takes()


def downgrade() -> None:
    """Go one version back."""
    for table in ("takes", "jobs", "batches", "workers", "users"):
        op.drop_table(table)


def _id(name: str = "id", *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(32), nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _create_users() -> None:
    op.create_table(
        "users",
        _id(),
        sa.Column("name", sa.String(64), nullable=False),
        _time("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("name", name="uq_users_name"),
    )


def _create_workers() -> None:
    op.create_table(
        "workers",
        _id(),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("birthmark", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("family", sa.String(16), nullable=False),
        sa.Column("defaults", sa.JSON(), nullable=False),
        sa.Column("device", sa.String(64), nullable=False),
        sa.Column("dtype", sa.String(16), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        _time("started_at"),
        _time("heartbeat_at"),
        sa.PrimaryKeyConstraint("id", name="pk_workers"),
    )


def _create_batches() -> None:
    op.create_table(
        "batches",
        _id(),
        _id("user_id"),
        sa.Column("task", sa.String(16), nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("form", sa.JSON(), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        _time("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_batches_user_id_users"),
    )
    op.create_index("ix_batches_user_id_created_at_id", "batches", ["user_id", "created_at", "id"])


def _create_jobs() -> None:
    op.create_table(
        "jobs",
        _id(),
        _id("user_id"),
        _id("batch_id", nullable=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("requested", sa.JSON(), nullable=False),
        sa.Column("effective", sa.JSON(), nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("phase", sa.String(16), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("losses", sa.Integer(), nullable=False),
        _id("worker_id", nullable=True),
        _time("lease_until", nullable=True),
        _time("heartbeat_at", nullable=True),
        _time("created_at"),
        _time("started_at", nullable=True),
        _time("finished_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_jobs_user_id_users"),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_jobs_batch_id_batches"),
    )
    op.create_index("ix_jobs_batch_id", "jobs", ["batch_id"])
    op.create_index("ix_jobs_state_created_at_id", "jobs", ["state", "created_at", "id"])


def _create_takes() -> None:
    op.create_table(
        "takes",
        _id(),
        _id("batch_id"),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("format", sa.String(8), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("duration", sa.Double(), nullable=False),
        sa.Column("sample_rate", sa.Integer(), nullable=False),
        sa.Column("requested", sa.JSON(), nullable=False),
        sa.Column("effective", sa.JSON(), nullable=False),
        sa.Column("timings", sa.JSON(), nullable=False),
        _time("created_at"),
        sa.PrimaryKeyConstraint("id", name="pk_takes"),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_takes_batch_id_batches"),
        sa.UniqueConstraint("batch_id", "index", name="uq_takes_batch_id_index"),
    )
