"""When an asset is out of its band, and by how much."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from include.domain.amounts import EXACT, RATIO_DIGITS, checked, not_negative, parse, plain
from include.domain.inventory import Inventory, Unread

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Threshold:
    """The wanted ratio and the band around it.

    :param target: the wanted onchain part of the total, 0 to 1.
    :param deviation: half the width of the allowed band, 0 or more; both edges belong to the band.
    :param stop: half the width of the inner band that a move ends at, 0 to `deviation`; 0 is the target.
    :raises ValueError: if one is out of its range, or has more than 30 decimals.
    """

    target: Decimal
    deviation: Decimal
    stop: Decimal = Decimal(0)
    lower: Decimal = field(init=False, repr=False, compare=False)
    """The lowest balanced ratio; it may be below 0."""
    upper: Decimal = field(init=False, repr=False, compare=False)
    """The highest balanced ratio; it may be above 1."""
    inner_lower: Decimal = field(init=False, repr=False, compare=False)
    """Where a move onto the chain ends: the target, or the lower edge of the inner band."""
    inner_upper: Decimal = field(init=False, repr=False, compare=False)
    """Where a move off the chain ends: the target, or the upper edge of the inner band."""

    def __post_init__(self) -> None:
        if not 0 <= checked(self.target, "target", digits=RATIO_DIGITS) <= 1:
            raise ValueError(f"target must be 0 to 1, not {plain(self.target)}")
        not_negative(self.deviation, "deviation", digits=RATIO_DIGITS)
        if not_negative(self.stop, "stop", digits=RATIO_DIGITS) > self.deviation:
            raise ValueError(f"stop {plain(self.stop)} is outside the deviation {plain(self.deviation)}")
        for name, of in (("lower", EXACT.subtract), ("upper", EXACT.add)):
            object.__setattr__(self, name, of(self.target, self.deviation))
            object.__setattr__(self, f"inner_{name}", of(self.target, self.stop))


@dataclass(frozen=True, slots=True)
class TooMuchOnchain:
    """The ratio is above the band.

    :param excess: what has to leave the chain to reach where a move ends, exact and not yet floored; above 0.
    """

    excess: Decimal
    name: ClassVar[str] = "too_much_onchain"

    def __post_init__(self) -> None:
        _positive(self.excess)

    def to_dict(self) -> dict[str, str]:
        """Return the JSON form."""
        return {"imbalance": self.name, "excess": plain(self.excess)}


@dataclass(frozen=True, slots=True)
class TooMuchOffchain:
    """The ratio is below the band.

    :param excess: what has to reach the chain to be where a move ends, exact and not yet floored; above 0.
    """

    excess: Decimal
    name: ClassVar[str] = "too_much_offchain"

    def __post_init__(self) -> None:
        _positive(self.excess)

    def to_dict(self) -> dict[str, str]:
        """Return the JSON form."""
        return {"imbalance": self.name, "excess": plain(self.excess)}


Imbalance: TypeAlias = TooMuchOnchain | TooMuchOffchain


def imbalance_from_dict(data: Mapping[str, Any]) -> Imbalance:
    """Read back what `to_dict` of an imbalance wrote.

    :raises ValueError: if it names no imbalance.
    """
    for kind in (TooMuchOnchain, TooMuchOffchain):
        if data["imbalance"] == kind.name:
            return kind(parse(data["excess"]))
    raise ValueError(f"{data['imbalance']!r} is no imbalance")


def detect(inventory: Inventory, threshold: Threshold) -> Imbalance | None:
    """Tell whether an asset is outside its band, and the excess.

    It is measured to the target or, where there is an inner band, to its nearer edge.

    None for an asset inside the band or on its edge, with a zero total, with anything in flight, or with a
    venue that could not be read.
    """
    onchain, offchain = inventory.onchain, inventory.offchain
    if isinstance(onchain, Unread) or isinstance(offchain, Unread):
        return None
    if onchain.in_flight or offchain.in_flight:
        return None
    have, total = onchain.total, inventory.total
    assert total is not None
    # Multiplied rather than divided: a quotient would be rounded, and an edge has to be met exactly.
    # A zero total is outside no band, since 0 < 0 and 0 > 0 are both false.
    if have < EXACT.multiply(total, threshold.lower):
        return TooMuchOffchain(EXACT.subtract(EXACT.multiply(total, threshold.inner_lower), have))
    if have > EXACT.multiply(total, threshold.upper):
        return TooMuchOnchain(EXACT.subtract(have, EXACT.multiply(total, threshold.inner_upper)))
    return None


def _positive(excess: Decimal) -> None:
    if not_negative(excess, "excess") == 0:
        raise ValueError("excess must not be zero")
