"""A real ledger, and operations in it."""

from __future__ import annotations

from tests.unit.exits.conftest import stage
from tests.unit.ledger.conftest import clock, ledger, ledger_url

__all__ = ["clock", "ledger", "ledger_url", "stage"]
