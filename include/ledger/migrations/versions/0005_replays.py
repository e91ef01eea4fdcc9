"""Replays: under which settings the past was decided again, and from what each of their runs did so."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "replays",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=True),
        sa.Column("overrides", sa.JSON(), nullable=False),
        sa.Column("policy", sa.JSON(), nullable=False),
        sa.Column("base_policy", sa.JSON(), nullable=False),
        sa.Column("interval_seconds", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_replays")),
    )
    op.create_table(
        "replay_runs",
        sa.Column("replay_id", sa.String(length=36), nullable=False),
        sa.Column("moment", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run_id", sa.String(length=250), nullable=False),
        sa.Column("source_id", sa.String(length=36), nullable=True),
        sa.Column("check_id", sa.String(length=36), nullable=True),
        sa.Column("skipped", sa.String(length=32), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["replay_id"], ["replays.id"], name=op.f("fk_replay_runs_replay_id")),
        sa.ForeignKeyConstraint(["source_id"], ["checks.id"], name=op.f("fk_replay_runs_source_id")),
        sa.ForeignKeyConstraint(["check_id"], ["checks.id"], name=op.f("fk_replay_runs_check_id")),
        sa.PrimaryKeyConstraint("replay_id", "moment", name=op.f("pk_replay_runs")),
    )


def downgrade() -> None:
    op.drop_table("replay_runs")
    op.drop_table("replays")
