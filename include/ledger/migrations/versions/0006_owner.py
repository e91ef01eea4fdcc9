"""Owner: whose money the ledger keeps account of, so that no other book works on it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "owner",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("wallet", sa.String(length=42), nullable=False),
        sa.Column("profile", sa.String(length=32), nullable=False),
        sa.Column("book", sa.String(length=24), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_owner")),
    )


def downgrade() -> None:
    op.drop_table("owner")
