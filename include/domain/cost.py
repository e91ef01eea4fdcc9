"""What a move costs: priced before, item by item, and counted after in the same items.

Fees are USDC, gas is wei, and together they are dollars, of which a USDC counts as one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Context, Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from include.domain.amounts import (
    USDC_DECIMALS,
    checked,
    exact,
    from_base_units,
    not_negative,
    parse,
    plain,
    to_base_units,
)
from include.domain.operation import OperationKind

if TYPE_CHECKING:
    from collections.abc import Mapping

WEI_DECIMALS: Final = 18
_BASIS_POINTS: Final = 10_000
_SHOWN: Final = Decimal("0.000001")
_GWEI: Final = Decimal("0.000000001")
_ZERO: Final = Decimal(0)


class Speed(StrEnum):
    """How USDC crosses between the chains."""

    FAST = "fast"  # attested within seconds, for a fee
    STANDARD = "standard"  # attested when the chain is final

    @classmethod
    def fixed(cls, estimate: Mapping[str, Any] | None, setting: str) -> Speed:
        """Return the speed of an operation: what was chosen when it was claimed, else what is set.

        :param estimate: the JSON form of its `Estimate`, if it has one.
        :param setting: `usdc_speed`. What was never weighed is not fast for being `auto`.
        """
        chosen = estimate and estimate["speed"]
        return cls(chosen) if chosen else cls.FAST if setting == cls.FAST else cls.STANDARD


@dataclass(frozen=True, slots=True)
class Cost:
    """What a move costs, item by item.

    :param circle_fee: what Circle takes for the crossing, in USDC.
    :param withdrawal_fee: what Alpaca takes for letting it out, in USDC.
    :param conversion: what is lost between dollars and USDC, in dollars; a gain is below zero.
    :param gas: by chain, in wei. It is copied; do not change it.
    :param eth_price: dollars for one ETH. Without it gas is shown and not counted.
    :param missing: what is not known and therefore not in here, in words.
    :raises ValueError: if another is negative.
    """

    circle_fee: Decimal = _ZERO
    withdrawal_fee: Decimal = _ZERO
    conversion: Decimal = _ZERO
    gas: Mapping[str, int] = field(default_factory=dict)
    eth_price: Decimal | None = None
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "gas", dict(sorted(self.gas.items())))
        for item in (self.circle_fee, self.withdrawal_fee, self.eth_price or _ZERO):
            not_negative(item, "a cost")
        checked(self.conversion, "a conversion")
        if any(wei < 0 for wei in self.gas.values()):
            raise ValueError("gas must not be negative")

    @property
    def gas_dollars(self) -> dict[str, Decimal]:
        """The gas on each chain in dollars; empty without a price."""
        if self.eth_price is None:
            return {}
        with exact():
            return {
                chain: from_base_units(wei, WEI_DECIMALS) * self.eth_price for chain, wei in self.gas.items()
            }

    @property
    def total(self) -> Decimal:
        """Everything that is counted, in dollars, exactly."""
        with exact():
            fees = self.circle_fee + self.withdrawal_fee + self.conversion
            return fees + sum(self.gas_dollars.values(), _ZERO)

    def words(self) -> str:
        """Say it for a person, item by item."""
        items = [
            f"{name} {plain(amount)}"
            for name, amount in (
                ("Circle's fee", self.circle_fee),
                ("withdrawal fee", self.withdrawal_fee),
                ("conversion", self.conversion),
            )
            if amount
        ]
        dollars = self.gas_dollars
        for chain, wei in self.gas.items():
            worth = f" ({shown(dollars[chain])})" if chain in dollars else " (not counted)"
            items.append(f"gas on {chain} {_ether(wei)} ETH{worth}")
        unknown = f"; not known: {', '.join(self.missing)}" if self.missing else ""
        return f"{shown(self.total)} dollars: {', '.join(items) or 'nothing'}{unknown}"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; amounts are text."""
        return {
            "circle_fee": plain(self.circle_fee),
            "withdrawal_fee": plain(self.withdrawal_fee),
            "conversion": plain(self.conversion),
            "gas": {chain: str(wei) for chain, wei in self.gas.items()},
            "eth_price": None if self.eth_price is None else plain(self.eth_price),
            "missing": list(self.missing),
            "total": shown(self.total),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Cost:
        """Read back what `to_dict` wrote."""
        return cls(
            circle_fee=parse(data["circle_fee"]),
            withdrawal_fee=parse(data["withdrawal_fee"]),
            conversion=parse(data["conversion"]),
            gas={chain: int(wei) for chain, wei in data["gas"].items()},
            eth_price=None if data["eth_price"] is None else parse(data["eth_price"]),
            missing=tuple(data["missing"]),
        )


@dataclass(frozen=True, slots=True)
class Quote:
    """What the venues asked a moment ago for moves of one kind, whatever the amount.

    :param circle_bps: by speed, Circle's fee in basis points, perhaps with a fraction. A speed that is not
        here has no known price.
    :param fast_allowance: USDC that Circle lets through fast at the moment; None where it is not known.
    :param withdrawal_fee: in USDC.
    :param conversion_bps: what is allowed for the spread between dollars and USDC.
    :param gas: by chain, in wei, of all transactions of the move.
    :param eth_price: dollars for one ETH, where it is known.
    :param missing: the sources that did not answer, in words.
    :param notes: what a person should know of the others.
    """

    circle_bps: Mapping[Speed, Decimal] = field(default_factory=dict)
    fast_allowance: Decimal | None = None
    withdrawal_fee: Decimal = _ZERO
    conversion_bps: Decimal = _ZERO
    gas: Mapping[str, int] = field(default_factory=dict)
    eth_price: Decimal | None = None
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def offers(self, speed: Speed, amount: Decimal) -> bool:
        """Tell whether an amount of USDC can cross at a speed, for a price that is known."""
        if speed is Speed.FAST and self.fast_allowance is not None and amount > self.fast_allowance:
            return False
        return speed in self.circle_bps

    def price(self, kind: OperationKind, amount: Decimal, speed: Speed | None) -> Cost:
        """Price a move. Each fee comes off what the one before has left, as on the way itself.

        :param amount: in whole shares or USDC; of equities only the gas is priced.
        """
        circle = withdrawal = conversion = _ZERO
        if kind.moves_usdc and speed is not None:
            bps = self.circle_bps.get(speed, _ZERO)
            with exact():
                if kind is OperationKind.USDC_ALPACA_TO_BASE:
                    conversion = part(amount, self.conversion_bps)
                    withdrawal = min(self.withdrawal_fee, amount - conversion)
                    left = amount - conversion - withdrawal
                    circle = min(part(left, bps), left)
                else:
                    circle = min(part(amount, bps), amount)
                    conversion = part(amount - circle, self.conversion_bps)
        return Cost(circle, withdrawal, conversion, self.gas, self.eth_price, self.missing)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; amounts are text."""
        return {
            "circle_bps": {speed.value: plain(bps) for speed, bps in self.circle_bps.items()},
            "fast_allowance": None if self.fast_allowance is None else plain(self.fast_allowance),
            "withdrawal_fee": plain(self.withdrawal_fee),
            "conversion_bps": plain(self.conversion_bps),
            "gas": {chain: str(wei) for chain, wei in self.gas.items()},
            "eth_price": None if self.eth_price is None else plain(self.eth_price),
            "missing": list(self.missing),
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Quote:
        """Read back what `to_dict` wrote."""
        return cls(
            circle_bps={Speed(speed): parse(bps) for speed, bps in data["circle_bps"].items()},
            fast_allowance=None if data["fast_allowance"] is None else parse(data["fast_allowance"]),
            withdrawal_fee=parse(data["withdrawal_fee"]),
            conversion_bps=parse(data["conversion_bps"]),
            gas={chain: int(wei) for chain, wei in data["gas"].items()},
            eth_price=None if data["eth_price"] is None else parse(data["eth_price"]),
            missing=tuple(data["missing"]),
            notes=tuple(data["notes"]),
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one move is expected to cost.

    :param amount: in whole shares or USDC.
    :param speed: how USDC is to cross; None for equities.
    :param why: why at that speed, for a person.
    """

    amount: Decimal
    speed: Speed | None
    cost: Cost
    why: str
    quote: Quote

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, whole: `from_dict` gives back an equal estimate."""
        return {
            "amount": plain(self.amount),
            "speed": self.speed and self.speed.value,
            "cost": self.cost.to_dict(),
            "why": self.why,
            "quote": self.quote.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Estimate:
        """Read back what `to_dict` wrote."""
        return cls(
            amount=parse(data["amount"]),
            speed=data["speed"] and Speed(data["speed"]),
            cost=Cost.from_dict(data["cost"]),
            why=data["why"],
            quote=Quote.from_dict(data["quote"]),
        )


def part(amount: Decimal, bps: Decimal) -> Decimal:
    """Return so many basis points of an amount of USDC, rounded up to a base unit as fees are."""
    with exact():
        units = (to_base_units(amount, USDC_DECIMALS) * bps / _BASIS_POINTS).to_integral_value(ROUND_CEILING)
    return from_base_units(int(units), USDC_DECIMALS)


def shown(dollars: Decimal) -> str:
    """Write dollars with at most 6 decimals, rounded up: a cost is never shown as less than it is."""
    return _rounded_up(dollars, _SHOWN)


def _ether(wei: int) -> str:
    return _rounded_up(from_base_units(wei, WEI_DECIMALS), _GWEI)


def _rounded_up(amount: Decimal, unit: Decimal) -> str:
    return plain(amount.quantize(unit, rounding=ROUND_CEILING, context=Context(prec=200)))
