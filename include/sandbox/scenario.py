"""What the maker holds at the start, and how trading moves it afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

USDC = "USDC"


class Side(StrEnum):
    """Where an asset is held, as Ballast names it."""

    ONCHAIN = "onchain"  # tokens or USDC in the maker's wallet on Base
    OFFCHAIN = "offchain"  # shares or USDC at the broker

    @property
    def other(self) -> Side:
        """Return the other side."""
        return Side.OFFCHAIN if self is Side.ONCHAIN else Side.ONCHAIN


@dataclass(frozen=True)
class Holding:
    """How much of one asset is where, in shares (1 token is 1 share) or whole USDC.

    :param offchain: at most 9 decimals for shares.
    :param onchain: at most 18 decimals for tokens, 6 for USDC.
    """

    offchain: Decimal
    onchain: Decimal
    price: Decimal = Decimal(1)


@dataclass(frozen=True)
class Shift:
    """Trading that takes `amount` of an asset from one side and leaves the same on the other."""

    asset: str
    amount: Decimal
    source: Side


@dataclass(frozen=True)
class Scenario:
    """A starting position.

    :param shifts: what trading does next, one after another, when it is asked to.
    """

    stocks: dict[str, Holding]
    usdc: Holding
    shifts: tuple[Shift, ...] = field(default=())


def _holding(offchain: str, onchain: str, price: str = "100") -> Holding:
    return Holding(Decimal(offchain), Decimal(onchain), Decimal(price))


DEFAULT = Scenario(
    stocks={
        "AAPL": _holding("60", "40", "230"),  # balanced
        "AMZN": _holding("80", "20", "220"),  # exactly on the bound of 0.5 - 0.3: balanced
        "MSFT": _holding("81", "19", "510"),  # just outside: 31 too many shares
        "NVDA": _holding("95.5", "4.5", "180"),  # far too many shares
        "TSLA": _holding("10", "90", "340"),  # far too many tokens
        "SPYM": _holding("1.5", "12.345678901234567891", "78"),  # too many tokens, with dust below 9 decimals
    },
    usdc=_holding("9000.123456789", "1000", "1"),  # too much at the broker, with dust below 6 decimals
    shifts=(
        Shift(USDC, Decimal(4000), Side.OFFCHAIN),
        Shift("AAPL", Decimal("35.5"), Side.OFFCHAIN),
        Shift("NVDA", Decimal(20), Side.ONCHAIN),
    ),
)

_BALANCED = {symbol: _holding("50", "50") for symbol in ("AAPL", "AMZN", "MSFT", "NVDA", "TSLA")}

SCENARIOS = {
    "default": DEFAULT,
    "usdc-onchain": Scenario(stocks=DEFAULT.stocks, usdc=_holding("1000", "9000", "1")),
    "balanced": Scenario(stocks=_BALANCED, usdc=_holding("5000", "5000", "1")),
}
"""The starting positions by the name that the command line takes."""


def many(count: int) -> Scenario:
    """Return a scenario of that many stocks, each a third of which is on either side or balanced."""
    kinds = (("95", "5"), ("5", "95"), ("50", "50"))
    stocks = {f"S{number:04d}": _holding(*kinds[number % 3]) for number in range(count)}
    return Scenario(stocks=stocks, usdc=_holding("9000", "1000", "1"))
