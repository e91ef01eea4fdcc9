"""Legs are tested on a real ledger in SQLite."""

from __future__ import annotations

from tests.unit.ledger.conftest import clock, ledger, ledger_url

__all__ = ["clock", "ledger", "ledger_url"]
