"""The demo's own account of the money has to be able to fail."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from include.domain.amounts import USDC
from scripts.conservation import Books, NotConserved, compared

WEI = Decimal(1).scaleb(-18)
BEFORE = Books(
    holdings={
        "AAPL": {"shares": Decimal(95), "tokens": Decimal(5)},
        "NVDA": {"shares": Decimal(90), "tokens": Decimal(0)},
        USDC: {"alpaca": Decimal(1), "base": Decimal(1000), "cctp_fees": Decimal(0)},
    },
    inside={"NVDA": Decimal(10)},
    dollars={"cash": Decimal(9000), "slippage": Decimal(0)},
)


def after(**changes: object) -> Books:
    moved = Books(
        holdings={
            "AAPL": {"shares": Decimal(50), "tokens": Decimal(50)},
            "NVDA": {"shares": Decimal(50), "tokens": Decimal(0)},
            USDC: {"alpaca": Decimal(1), "base": Decimal(4999), "cctp_fees": Decimal("0.5")},
        },
        inside={"NVDA": Decimal(50)},
        dollars={"cash": Decimal("4999.5"), "slippage": Decimal(1)},
    )
    return replace(moved, **changes)  # type: ignore[arg-type]  # fields of Books


def test_compared__everything_only_moved__names_every_place() -> None:
    assert compared(BEFORE, after()) == [
        "AAPL  100 = 50 shares, 50 tokens",
        "NVDA  100 = 50 shares, 50 wrapped",
        "USDC  10001 = 1 alpaca, 4999 base, 0.5 cctp_fees, 4999.5 dollars, 1 slippage",
    ]


def test_compared__a_wrapper_rounds_down__names_what_it_kept() -> None:
    lines = compared(BEFORE, after(inside={"NVDA": Decimal(50) - 3 * WEI}))
    assert lines[1].endswith("49.999999999999999997 wrapped, 0.000000000000000003 rounding of the wrapper")


@pytest.mark.parametrize(
    ("changes", "asset"),
    [
        ({"inside": {"NVDA": Decimal(50) + WEI}}, "NVDA"),
        ({"inside": {"NVDA": Decimal(50) - 10 * WEI}}, "NVDA"),
        ({"dollars": {"cash": Decimal("4999.5"), "slippage": Decimal("0.99")}}, "USDC"),
        ({"holdings": after().holdings | {"AAPL": {"shares": Decimal(50), "tokens": 50 - WEI}}}, "AAPL"),
    ],
)
def test_compared__more_or_less_than_before__is_an_error(changes: dict[str, object], asset: str) -> None:
    with pytest.raises(NotConserved, match=f"^{asset}: "):
        compared(BEFORE, after(**changes))
