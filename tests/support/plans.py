"""Snapshots and decisions for tests that need a recorded check."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from include.domain.inventory import Balance, Inventory, Snapshot
from include.ledger.records import CheckMode

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from include.domain.decision import Decision
    from include.ledger.ledger import Ledger


def snapshot(taken_at: datetime, **balances: tuple[Decimal, Decimal]) -> Snapshot:
    """Build a snapshot from (onchain, offchain) pairs."""
    return Snapshot(
        id=str(uuid.uuid4()),
        taken_at=taken_at,
        base_block=100,
        ethereum_block=200,
        inventories={
            asset: Inventory(asset, Balance(onchain), Balance(offchain))
            for asset, (onchain, offchain) in balances.items()
        },
    )


def recorded_check(
    ledger: Ledger,
    taken_at: datetime,
    *decisions: Decision,
    run_id: str = "run-1",
    **balances: tuple[Decimal, Decimal],
) -> str:
    """Record a check and return its id."""
    taken = snapshot(taken_at, **balances)
    ledger.record_check(taken.id, run_id, CheckMode.LIVE, taken, decisions)
    return taken.id
