"""Ledgers with as much in them as a test wants, written in one go."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert

from include.ledger.database import writing
from include.ledger.records import CheckMode
from include.ledger.schema import CheckRow, DecisionRow, EffectRow, LegRow, OperationRow

if TYPE_CHECKING:
    from datetime import datetime

    from include.ledger.ledger import Ledger

INTENT = {"network": "base", "to": "0x" + "11" * 20, "data": "ab" * 500, "value": "0"}


def symbols(count: int) -> list[str]:
    """Return names of equities."""
    return ["A" + "".join(chr(65 + int(digit)) for digit in f"{number:04d}") for number in range(count)]


def check(
    ledger: Ledger,
    at: datetime,
    assets: list[str],
    *,
    mode: CheckMode = CheckMode.LIVE,
    onchain: str = "43",
    unread: bool = False,
) -> str:
    """Write a check that found so much of each asset onchain, and the rest of 100 offchain."""
    check_id = str(uuid.uuid4())
    balance = {"available": onchain, "in_flight": "0", "held": "0"}
    rest = {"available": str(100 - int(onchain)), "in_flight": "0", "held": "0"}
    inventory = {"onchain": {"unread": "no answer"} if unread else balance, "offchain": rest}
    row = {
        "id": check_id,
        "run_id": "run-1",
        "mode": mode.value,
        "taken_at": at,
        "recorded_at": at,
        "base_block": 100,
        "ethereum_block": 200,
        "snapshot": {
            "id": check_id,
            "taken_at": at.isoformat(),
            "base_block": 100,
            "ethereum_block": 200,
            "inventories": dict.fromkeys(assets, inventory),
        },
    }
    with writing(ledger.engine) as session:
        session.execute(insert(CheckRow), [row])
        session.execute(insert(DecisionRow), [_decision(check_id, asset) for asset in assets])
    return check_id


def _decision(check_id: str, asset: str) -> dict[str, Any]:
    decision = {
        "asset": asset,
        "reason": "balanced",
        "detail": "the ratio 0.43 is between 0.2 and 0.8",
        "imbalance": None,
        "operation": None,
        "proposed": None,
        "estimate": None,
    }
    return {"check_id": check_id, "asset": asset, "reason": "balanced", "decision": decision}


def operation_id(number: int) -> str:
    """Return the id of one of the `operations` below."""
    return f"00000000-0000-0000-0000-{number:012d}"


def operations(
    ledger: Ledger, check_id: str, assets: list[str], at: datetime, *, count: int, opened: int = 0
) -> None:
    """Write operations, each with three legs and three transactions, a minute apart and ending at a moment.

    :param opened: how many of the last are open; no more than there are assets.
    """
    rows, legs, effects = [], [], []
    for number in range(count):
        own_id = operation_id(number)
        begun = at - timedelta(minutes=count - number)
        is_open = number >= count - opened
        ended = None if is_open else begun + timedelta(seconds=50)
        rows.append(
            {
                "id": own_id,
                "kind": "mint",
                "asset": assets[number % len(assets)],
                "amount": 31_000_000_000,
                "decimals": 9,
                "status": "open" if is_open else "settled",
                "check_id": check_id,
                "run_id": "run-1",
                "opened_at": begun,
                "closed_at": ended,
                "outcome": None if is_open else "the tokens arrived",
                "delivered": None if is_open else 31_000_000_000,
                "fence": 1,
            }
        )
        for position, name in enumerate(("mint", "wrap", "vault_deposit")):
            done = ended is not None or position == 0
            waits = ended is None and position == 1
            legs.append(
                {
                    "operation_id": own_id,
                    "name": name,
                    "position": position,
                    "amount_in": 31_000_000_000 if done or waits else None,
                    "amount_out": 31_000_000_000 if done else None,
                    "notes": {},
                    "started_at": begun if done or waits else None,
                    "done_at": begun + timedelta(seconds=10) if done else None,
                    "waiting_for": "a receipt" if waits else None,
                    "waiting_since": begun + timedelta(seconds=11) if waits else None,
                    "due_at": begun + timedelta(minutes=10) if waits else None,
                    "attention": None,
                }
            )
            if done or waits:
                effects.append(
                    {
                        "id": f"{number:020d}-{position}",
                        "operation_id": own_id,
                        "leg": name,
                        "name": name,
                        "attempt": 1,
                        "status": "done" if done else "sent",
                        "irreversible": True,
                        "intent": INTENT,
                        "reference": f"0x{number * 3 + position:064x}" if done else None,
                        "intended_at": begun,
                        "sent_at": begun,
                        "gas_paid": 100_000_000_000 if done else None,
                    }
                )
    with writing(ledger.engine) as session:
        session.execute(insert(OperationRow), rows)
        session.execute(insert(LegRow), legs)
        session.execute(insert(EffectRow), effects)
