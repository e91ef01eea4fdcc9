"""What each operation was expected to cost and what it has cost, as a table for people."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING

from rich.table import Table

from include.book import Network
from include.domain.amounts import from_base_units, plain
from include.domain.cost import WEI_DECIMALS
from include.ledger.costs import costs_of

if TYPE_CHECKING:
    from include.domain.cost import Cost
    from include.ledger.ledger import Ledger

_TENTH_OF_A_CENT = Decimal("0.001")
_MILLIONTH = Decimal("0.000001")
COLUMNS = (
    "asset",
    "operation",
    "speed",
    "",
    "Circle's fee",
    "withdrawal",
    "conversion",
    "Ethereum gas",
    "Base gas",
    "dollars",
)


def cost_table(ledger: Ledger) -> Table:
    """Make two rows of each operation, the expected cost above the paid one.

    Fees are in USDC, a conversion in dollars, gas in ETH. Granting an allowance is paid and not expected.
    """
    table = Table(title="What it cost (fees in USDC, gas in ETH)", title_justify="left")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in COLUMNS[:4] else "right", no_wrap=True)
    for operation in ledger.operations():
        estimate, paid = costs_of(ledger, operation)
        speed = estimate.speed if estimate is not None else None
        first = (operation.asset, operation.kind.value, "" if speed is None else speed.value)
        if estimate is not None:
            table.add_row(*first, "expected", *_items(estimate.cost))
            first = ("", "", "")
        table.add_row(*first, "paid", *_items(paid))
    return table


def _items(cost: Cost) -> list[str]:
    fees = [plain(fee) if fee else "" for fee in (cost.circle_fee, cost.withdrawal_fee, cost.conversion)]
    gas = [cost.gas.get(network.value) for network in Network]
    ether = ["" if wei is None else _ether(wei) for wei in gas]
    total = plain(cost.total.quantize(_TENTH_OF_A_CENT, rounding=ROUND_CEILING))
    return [*fees, *ether, total + (" and unknown" if cost.missing else "")]


def _ether(wei: int) -> str:
    return plain(from_base_units(wei, WEI_DECIMALS).quantize(_MILLIONTH, rounding=ROUND_CEILING))
