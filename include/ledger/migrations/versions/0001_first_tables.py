"""The first tables: checks, decisions, operations, legs, effects, nonces, transactions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "checks",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("run_id", sa.String(length=250), nullable=False),
        sa.Column("mode", sa.String(length=16), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("base_block", sa.Integer(), nullable=True),
        sa.Column("ethereum_block", sa.Integer(), nullable=True),
        sa.Column("snapshot", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checks")),
    )
    with op.batch_alter_table("checks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_checks_run_id"), ["run_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_checks_taken_at"), ["taken_at"], unique=False)

    op.create_table(
        "decisions",
        sa.Column("check_id", sa.String(length=36), nullable=False),
        sa.Column("asset", sa.String(length=32), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("decision", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["check_id"], ["checks.id"], name=op.f("fk_decisions_check_id")),
        sa.PrimaryKeyConstraint("check_id", "asset", name=op.f("pk_decisions")),
    )
    op.create_table(
        "operations",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("asset", sa.String(length=32), nullable=False),
        sa.Column("amount", sa.String(length=80), nullable=False),
        sa.Column("decimals", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("check_id", sa.String(length=36), nullable=False),
        sa.Column("run_id", sa.String(length=250), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("delivered", sa.String(length=80), nullable=True),
        sa.Column("base_block", sa.Integer(), nullable=True),
        sa.Column("ethereum_block", sa.Integer(), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(length=250), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["check_id"], ["checks.id"], name=op.f("fk_operations_check_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operations")),
    )
    with op.batch_alter_table("operations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_operations_asset"), ["asset"], unique=False)
        batch_op.create_index("ix_operations_asset_closed_at", ["asset", "closed_at"], unique=False)
        batch_op.create_index(
            "uq_operations_open_asset",
            ["asset"],
            unique=True,
            sqlite_where=sa.text("status = 'open'"),
            postgresql_where=sa.text("status = 'open'"),
        )

    op.create_table(
        "effects",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("operation_id", sa.String(length=36), nullable=False),
        sa.Column("leg", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("irreversible", sa.Boolean(), nullable=False),
        sa.Column("intent", sa.JSON(), nullable=False),
        sa.Column("reference", sa.String(length=128), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("intended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["operation_id"], ["operations.id"], name=op.f("fk_effects_operation_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_effects")),
        sa.UniqueConstraint(
            "operation_id", "leg", "name", "attempt", name=op.f("uq_effects_operation_id_leg_name_attempt")
        ),
    )
    with op.batch_alter_table("effects", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_effects_operation_id"), ["operation_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_effects_reference"), ["reference"], unique=False)

    op.create_table(
        "legs",
        sa.Column("operation_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("amount_in", sa.String(length=80), nullable=True),
        sa.Column("amount_out", sa.String(length=80), nullable=True),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("waiting_for", sa.Text(), nullable=True),
        sa.Column("waiting_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attention", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["operation_id"], ["operations.id"], name=op.f("fk_legs_operation_id")),
        sa.PrimaryKeyConstraint("operation_id", "name", name=op.f("pk_legs")),
    )
    op.create_table(
        "nonces",
        sa.Column("chain_id", sa.Integer(), nullable=False),
        sa.Column("sender", sa.String(length=42), nullable=False),
        sa.Column("nonce", sa.Integer(), nullable=False),
        sa.Column("effect_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["effect_id"], ["effects.id"], name=op.f("fk_nonces_effect_id")),
        sa.PrimaryKeyConstraint("chain_id", "sender", "nonce", name=op.f("pk_nonces")),
        sa.UniqueConstraint("effect_id", name=op.f("uq_nonces_effect_id")),
    )
    op.create_table(
        "transactions",
        sa.Column("hash", sa.String(length=66), nullable=False),
        sa.Column("effect_id", sa.String(length=36), nullable=False),
        sa.Column("chain_id", sa.Integer(), nullable=False),
        sa.Column("sender", sa.String(length=42), nullable=False),
        sa.Column("nonce", sa.Integer(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("gas", sa.String(length=80), nullable=False),
        sa.Column("max_fee_per_gas", sa.String(length=80), nullable=False),
        sa.Column("max_priority_fee_per_gas", sa.String(length=80), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signed_at_block", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["effect_id"], ["effects.id"], name=op.f("fk_transactions_effect_id")),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_transactions")),
        sa.UniqueConstraint(
            "chain_id", "sender", "nonce", "hash", name=op.f("uq_transactions_chain_id_sender_nonce_hash")
        ),
    )
    with op.batch_alter_table("transactions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_transactions_effect_id"), ["effect_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("transactions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_transactions_effect_id"))

    op.drop_table("transactions")
    op.drop_table("nonces")
    op.drop_table("legs")
    with op.batch_alter_table("effects", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_effects_reference"))
        batch_op.drop_index(batch_op.f("ix_effects_operation_id"))

    op.drop_table("effects")
    with op.batch_alter_table("operations", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_operations_open_asset",
            sqlite_where=sa.text("status = 'open'"),
            postgresql_where=sa.text("status = 'open'"),
        )
        batch_op.drop_index("ix_operations_asset_closed_at")
        batch_op.drop_index(batch_op.f("ix_operations_asset"))

    op.drop_table("operations")
    op.drop_table("decisions")
    with op.batch_alter_table("checks", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_checks_taken_at"))
        batch_op.drop_index(batch_op.f("ix_checks_run_id"))

    op.drop_table("checks")
