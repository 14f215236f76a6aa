"""Workers tell everything about what they have loaded."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go one version forward."""
    op.add_column("workers", sa.Column("loaded", sa.JSON(), nullable=False, server_default="{}"))


def downgrade() -> None:
    """Go one version back."""
    op.drop_column("workers", "loaded")
