"""Runs the ledger's migrations on the connection that the caller opened."""

from __future__ import annotations

from alembic import context

from include.ledger.schema import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
