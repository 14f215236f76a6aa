"""What is known of a take beside its sound: measurements, outline, environment, lyric times, replays, preferences."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go one version forward."""
    _create_measurements()
    _create_of_a_take("waveforms", sa.Column("peaks", sa.LargeBinary(), nullable=False))
    _create_of_a_take("environments", sa.Column("facts", sa.JSON(), nullable=False))
    _create_of_a_take(
        "timed_lyrics",
        sa.Column("lrc", sa.Text(), nullable=False),
        sa.Column("heard", sa.Boolean(), nullable=False),
        _number("score"),
        sa.Column("notes", sa.JSON(), nullable=False),
        _number("seconds"),
        sa.Column("edited", sa.Boolean(), nullable=False),
        _created_at(),
    )
    _create_replays()
    _create_preferences()


def downgrade() -> None:
    """Go one version back."""
    for table in ("preferences", "replays", "timed_lyrics", "environments", "waveforms", "measurements"):
        op.drop_table(table)


def _number(name: str, *, nullable: bool = False) -> sa.Column[float]:
    return sa.Column(name, sa.Double(), nullable=nullable)


def _created_at() -> sa.Column[object]:
    return sa.Column("created_at", sa.DateTime(timezone=True), nullable=False)


def _take(table: str, column: str = "take_id") -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], ["takes.id"], name=f"fk_{table}_{column}_takes", ondelete="CASCADE")


def _id(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.String(32), nullable=False)


def _create_of_a_take(table: str, *columns: sa.schema.SchemaItem) -> None:
    op.create_table(
        table, _id("take_id"), *columns, sa.PrimaryKeyConstraint("take_id", name=f"pk_{table}"), _take(table)
    )


def _create_measurements() -> None:
    _create_of_a_take(
        "measurements",
        _number("duration"),
        _number("bpm", nullable=True),
        _number("bpm_confidence", nullable=True),
        sa.Column("key_scale", sa.String(16), nullable=True),
        _number("key_confidence", nullable=True),
        _number("loudness_lufs", nullable=True),
        _number("true_peak_dbtp", nullable=True),
        _number("silence"),
        sa.Column("clipped", sa.Integer(), nullable=False),
        _number("transients"),
        sa.Column("verdict", sa.String(8), nullable=False),
        _created_at(),
    )
    for column in ("bpm", "key_scale", "verdict"):
        op.create_index(f"ix_measurements_{column}", "measurements", [column])


def _create_replays() -> None:
    op.create_table(
        "replays",
        _id("id"),
        _id("take_id"),
        sa.Column("verdict", sa.String(16), nullable=False),
        _number("snr", nullable=True),
        sa.Column("changes", sa.JSON(), nullable=False),
        _created_at(),
        sa.PrimaryKeyConstraint("id", name="pk_replays"),
        _take("replays"),
    )
    op.create_index("ix_replays_take_id", "replays", ["take_id"])


def _create_preferences() -> None:
    op.create_table(
        "preferences",
        _id("id"),
        _id("user_id"),
        _id("take_id"),
        _id("other_id"),
        sa.Column("chosen_id", sa.String(32), nullable=True),
        sa.Column("blind", sa.Boolean(), nullable=False),
        _created_at(),
        sa.PrimaryKeyConstraint("id", name="pk_preferences"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_preferences_user_id_users"),
        _take("preferences"),
        _take("preferences", "other_id"),
    )
    for column in ("user_id", "take_id", "other_id"):
        op.create_index(f"ix_preferences_{column}", "preferences", [column])
