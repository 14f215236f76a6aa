"""How well the codes of a take fit its words, as the language model judges it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go one version forward."""
    op.create_table(
        "quality_scores",
        sa.Column("take_id", sa.String(32), nullable=False),
        sa.Column("total", sa.Double(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("take_id", name="pk_quality_scores"),
        sa.ForeignKeyConstraint(["take_id"], ["takes.id"], name="fk_quality_scores_take_id_takes", ondelete="CASCADE"),
    )


def downgrade() -> None:
    """Go one version back."""
    op.drop_table("quality_scores")
