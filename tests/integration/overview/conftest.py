"""The overview's tests once more, on PostgreSQL."""

from __future__ import annotations

from tests.integration.ledger.conftest import ledger_url, server_url
from tests.unit.exits.conftest import stage
from tests.unit.ledger.conftest import clock, ledger
from tests.unit.overview.conftest import reader

__all__ = ["clock", "ledger", "ledger_url", "reader", "server_url", "stage"]
