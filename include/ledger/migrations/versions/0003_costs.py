"""What operations were expected to cost, and the gas that their transactions paid."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    with op.batch_alter_table("operations", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("estimate", sa.JSON(), nullable=True))
    with op.batch_alter_table("effects", recreate="never") as batch_op:
        batch_op.add_column(sa.Column("gas_paid", sa.String(length=80), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("effects", recreate="never") as batch_op:
        batch_op.drop_column("gas_paid")
    with op.batch_alter_table("operations", recreate="never") as batch_op:
        batch_op.drop_column("estimate")
