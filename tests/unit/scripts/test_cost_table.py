"""The table of costs that the demo prints."""

from __future__ import annotations

from decimal import Decimal
from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console

from include.domain.cost import Cost, Estimate, Quote, Speed
from include.domain.operation import Leg, OperationKind
from scripts.cost_table import cost_table
from tests.support.plans import recorded_check
from tests.unit.ledger.conftest import clock, ledger, ledger_url
from tests.unit.ledger.test_ledger import MINUTE, claim

if TYPE_CHECKING:
    from include.ledger.ledger import Ledger
    from tests.support.clock import Clock

__all__ = ["clock", "ledger", "ledger_url"]

TO_BASE = OperationKind.USDC_ALPACA_TO_BASE
COST = Cost(Decimal("0.4"), Decimal("0.25"), gas={"ethereum": 10**14, "base": 1}, eth_price=Decimal(2500))


def printed(ledger: Ledger) -> list[list[str]]:
    """Return the cells of every row that is shown."""
    out = StringIO()
    Console(file=out, width=140).print(cost_table(ledger))
    rows = [line for line in out.getvalue().splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in row.strip("│").split("│")] for row in rows]


def test_cost_table__estimated_and_settled__shows_both_item_by_item(ledger: Ledger, clock: Clock) -> None:
    operation = ledger.claim(
        kind=TO_BASE,
        asset="USDC",
        amount=4000 * 10**6,
        decimals=6,
        check_id=recorded_check(ledger, clock()),
        run_id="run-1",
        taken_at=clock(),
        estimate=Estimate(Decimal(4000), Speed.FAST, COST, "", Quote()).to_dict(),
    )
    with ledger.lease(operation.id, "test", MINUTE) as lease:
        burn = lease.intend(Leg.BRIDGE, "burn", {"network": "ethereum", "data": ""}, irreversible=True)
        lease.done(lease.sent(burn), "0x1", gas_paid=2 * 10**14)
        lease.finish(Leg.WITHDRAW, amount_out=3_999_750_000)
        lease.finish(Leg.BRIDGE, amount_out=3_999_350_025)
    assert printed(ledger) == [
        ["USDC", TO_BASE, "fast", "expected", "0.4", "0.25", "", "0.0001", "0.000001", "0.901"],
        ["", "", "", "paid", "0.399975", "0.25", "", "0.0002", "", "1.15"],
    ]


def test_cost_table__not_estimated_and_open__says_that_something_is_unknown(
    ledger: Ledger, clock: Clock
) -> None:
    claim(ledger, clock, "USDC", TO_BASE)
    assert printed(ledger) == [["USDC", TO_BASE, "", "paid", "", "", "", "", "", "0 and unknown"]]
