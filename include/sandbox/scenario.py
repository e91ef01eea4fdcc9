"""What the maker holds at the start, and how trading moves it afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum

USDC = "USDC"


class Side(StrEnum):
    """Where an asset is held, as Ballast names it."""

    ONCHAIN = "onchain"  # tokens or USDC in the maker's wallet on Base, or in its vaults there
    OFFCHAIN = "offchain"  # shares or USDC at the broker

    @property
    def other(self) -> Side:
        """Return the other side."""
        return Side.OFFCHAIN if self is Side.ONCHAIN else Side.ONCHAIN


@dataclass(frozen=True)
class Holding:
    """How much of one asset is where, in shares (1 token is 1 share) or whole USDC.

    Where the asset has vaults, what is on Base is in the first of them; where it is wrapped, it is there as
    the wrapped tokens that are worth as much, rounded down to the last base unit.

    :param offchain: at most 9 decimals for shares.
    :param onchain: at most 18 decimals for tokens, 6 for USDC.
    """

    offchain: Decimal
    onchain: Decimal
    price: Decimal = Decimal(1)


@dataclass(frozen=True)
class Shift:
    """Trading that takes `amount` of an asset from one side and leaves the same on the other.

    :param vault: which of the asset's vaults trades, counted from 0; what it lacks, the others give.
    """

    asset: str
    amount: Decimal
    source: Side
    vault: int = 0


@dataclass(frozen=True)
class Scenario:
    """A starting position.

    :param shifts: what trading does next, one after another, when it is asked to.
    :param vaults: ids of the vaults that hold an asset on Base, the primary first; without, the wallet does.
    :param wrapped: stocks that are traded as tokens of an ERC-4626 wrapper, and what one such token is worth
        at the start, in the tokens inside: 1 or more.
    :param cash: dollars at the broker, in whole cents, where the maker holds its cash as dollars; USDC at the
        broker counts besides. None where it holds its cash there as USDC.
    :raises ValueError: a vault or wrapper of nothing that is held, the same vault twice, or a worth below 1.
    """

    stocks: dict[str, Holding]
    usdc: Holding
    shifts: tuple[Shift, ...] = field(default=())
    vaults: dict[str, tuple[str, ...]] = field(default_factory=dict)
    wrapped: dict[str, Decimal] = field(default_factory=dict)
    cash: Decimal | None = None

    def __post_init__(self) -> None:
        strange = [*(self.vaults.keys() - {*self.stocks, USDC}), *(self.wrapped.keys() - self.stocks.keys())]
        if strange:
            raise ValueError(f"nobody holds {', '.join(sorted(strange))}")
        if any(len(set(ids)) != len(ids) for ids in self.vaults.values()):
            raise ValueError("an asset has the same vault twice")
        if any(worth < 1 for worth in self.wrapped.values()):
            raise ValueError("a wrapped token is worth 1 token or more")


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


def vault_id(number: int) -> str:
    """Return a number as the id of a vault."""
    return f"0x{number:064x}"


VAULTS = Scenario(
    stocks={
        "AAPL": _holding("95", "5", "230"),  # in a vault, far too many shares
        "TSLA": _holding("10", "90", "340"),  # in a vault, far too many tokens
        "NVDA": _holding("90", "10", "180"),  # wrapped and in a vault, far too many shares
        "MSFT": _holding("12", "88", "510"),  # wrapped and in a vault, far too many tokens
        "AMZN": _holding("30", "70", "220"),  # in two vaults, balanced until they trade
        "SPYM": _holding("1.5", "12.345678901234567891", "78"),  # in the wallet, too many tokens
    },
    usdc=_holding("9000.123456789", "1000", "1"),  # in a vault, too much at the broker
    shifts=(
        Shift("AMZN", Decimal("25.5"), Side.OFFCHAIN, vault=1),
        Shift(USDC, Decimal(4000), Side.OFFCHAIN),
        Shift("NVDA", Decimal("4.5"), Side.ONCHAIN),
    ),
    vaults={
        "AAPL": (vault_id(0xA1),),
        "TSLA": (vault_id(0xA2),),
        "NVDA": (vault_id(0xA3),),
        "MSFT": (vault_id(0xA4),),
        "AMZN": (vault_id(0xA5), vault_id(0xA6)),
        USDC: (vault_id(0xA7),),
    },
    wrapped={"NVDA": Decimal("1.05"), "MSFT": Decimal("1.0123456789")},
)

# As a desk has it: the same, and at the broker dollars, of which there are too many, beside a dust of USDC.
DESK = replace(VAULTS, usdc=_holding("0.123456789", "1000", "1"), cash=Decimal(9000))

_BALANCED = {symbol: _holding("50", "50") for symbol in ("AAPL", "AMZN", "MSFT", "NVDA", "TSLA")}

SCENARIOS = {
    "default": DEFAULT,
    "vaults": VAULTS,
    "desk": DESK,
    "usdc-onchain": Scenario(stocks=DEFAULT.stocks, usdc=_holding("1000", "9000", "1")),
    "balanced": Scenario(stocks=_BALANCED, usdc=_holding("5000", "5000", "1")),
}
"""The starting positions by the name that the command line takes."""


def many(count: int) -> Scenario:
    """Return a scenario of that many stocks, each a third of which is on either side or balanced."""
    kinds = (("95", "5"), ("5", "95"), ("50", "50"))
    stocks = {f"S{number:04d}": _holding(*kinds[number % 3]) for number in range(count)}
    return Scenario(stocks=stocks, usdc=_holding("9000", "1000", "1"))
