"""What a move that was never made is taken to cost."""

from __future__ import annotations

from decimal import Decimal

from include.domain.cost import Cost
from include.domain.operation import OperationKind
from include.replay.fees import Fees, rates

TO_BASE, MINT = OperationKind.USDC_ALPACA_TO_BASE, OperationKind.MINT
ETHER = 10**18


def cost(circle: str = "0", withdrawal: str = "0", gas: int = 0, price: str | None = "3000") -> Cost:
    return Cost(
        Decimal(circle),
        Decimal(withdrawal),
        gas={"base": gas} if gas else {},
        eth_price=None if price is None else Decimal(price),
    )


def test_rates__part_grows_with_the_amount_and_the_rest_does_not() -> None:
    found = rates(
        [
            (TO_BASE, Decimal(1000), cost("0.13", "0.5", ETHER // 1000)),
            (TO_BASE, Decimal(3000), cost("0.39", "0.7", ETHER // 1000)),
        ]
    )
    assert found[TO_BASE].price(Decimal(0)) == Decimal("3.6")
    assert found[TO_BASE].price(Decimal(10_000)) == Decimal("4.9")
    assert found[TO_BASE].sample == 2


def test_rates__of_what_is_not_all_known__say_nothing() -> None:
    unpriced = cost(gas=5, price=None)
    missing = Cost(missing=("gas of burn",))
    assert rates([(TO_BASE, Decimal(1), unpriced), (MINT, Decimal(1), missing)]) == {}


def test_rates__nothing_was_moved__is_the_constant_part_alone() -> None:
    assert rates([(MINT, Decimal(0), cost("0", "0.5"))])[MINT].price(Decimal(9)) == Decimal("0.5")


def test_together__nothing_is_known__is_not_zero() -> None:
    assert Fees.together([None, None]) == Fees(None, partial=True)
    assert Fees.together([]) == Fees(Decimal(0), partial=False)
    assert Fees.together([Decimal(1), None, Decimal(2)]) == Fees(Decimal(3), partial=True)
    assert Fees.together([Decimal(1)], partial=True) == Fees(Decimal(1), partial=True)
