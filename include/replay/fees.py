"""What operations cost that were never made: as much as others of their kind did.

What Circle and the market take grows with the amount; the withdrawal fee and the gas do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Final

from include.domain.amounts import exact

if TYPE_CHECKING:
    from collections.abc import Iterable

    from include.domain.cost import Cost
    from include.domain.operation import OperationKind

_ROUNDED: Final = Context(prec=30)


@dataclass(frozen=True, slots=True)
class Fees:
    """Dollars that several operations cost.

    :param dollars: what is known of it; None where there were some and nothing is known.
    :param partial: whether of some of them it is not known, or not all.
    """

    dollars: Decimal | None
    partial: bool

    @classmethod
    def together(cls, known: Iterable[Decimal | None], *, partial: bool = False) -> Fees:
        """Add them up. None is one of which nothing is known; without any, nothing was paid."""
        found = list(known)
        told = [one for one in found if one is not None]
        if found and not told:
            return cls(None, partial=True)
        with exact():
            return cls(sum(told, Decimal(0)), partial=partial or len(told) < len(found))


@dataclass(frozen=True, slots=True)
class Rate:
    """What operations of one kind cost.

    :param fixed: dollars for each.
    :param part: of the amount, on top.
    :param sample: how many operations say so.
    """

    fixed: Decimal
    part: Decimal
    sample: int

    def price(self, amount: Decimal) -> Decimal:
        """Return dollars for an amount, to 30 digits."""
        return _ROUNDED.add(self.fixed, _ROUNDED.multiply(self.part, amount))


def is_whole(cost: Cost) -> bool:
    """Tell whether a cost has everything in it."""
    return not cost.missing and (not cost.gas or cost.eth_price is not None)


def rates(paid: Iterable[tuple[OperationKind, Decimal, Cost]]) -> dict[OperationKind, Rate]:
    """Return what each kind costs, by operations of which all is known. Others say nothing.

    :param paid: kind, amount and cost of operations that settled.
    """
    samples: dict[OperationKind, list[tuple[Decimal, Cost]]] = {}
    for kind, amount, cost in paid:
        if is_whole(cost):
            samples.setdefault(kind, []).append((amount, cost))
    return {kind: _rate(sample) for kind, sample in samples.items()}


def _rate(sample: list[tuple[Decimal, Cost]]) -> Rate:
    zero = Decimal(0)
    with exact():
        amounts = sum((amount for amount, _ in sample), zero)
        growing = sum((cost.circle_fee + cost.conversion for _, cost in sample), zero)
        constant = sum(
            (cost.withdrawal_fee + sum(cost.gas_dollars.values(), zero) for _, cost in sample), zero
        )
    part = _ROUNDED.divide(growing, amounts) if amounts else zero
    return Rate(_ROUNDED.divide(constant, Decimal(len(sample))), part, len(sample))
