"""What is held of each asset, at both venues, at one moment."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Context, Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from include.domain.amounts import BALANCE_DIGITS, EXACT, not_negative, parse, plain
from include.domain.moments import utc

if TYPE_CHECKING:
    from collections.abc import Mapping

SYMBOL: Final = re.compile(r"[A-Z][A-Z0-9]{0,9}(\.[A-Z]{1,2})?")
"""How an asset is called: AAPL, BRK.B, USDC."""

_SHOWN: Final = Context(prec=50)


class Venue(StrEnum):
    """Where an asset is held: tokens and USDC on Base, or shares and USDC at Alpaca."""

    ONCHAIN = "onchain"
    OFFCHAIN = "offchain"


@dataclass(frozen=True, slots=True)
class Balance:
    """What one venue holds of one asset, in whole shares, tokens or dollars.

    :param available: can be moved now. Of dollars at Alpaca that is only what may be withdrawn and
        is not kept as a reserve.
    :param in_flight: has left this venue and has not reached the other.
    :param held: bound at the venue, as by an open order: it counts in the ratio and cannot be moved.
    :raises ValueError: if a part is negative, or has more than 96 digits on a side of its point.
    """

    available: Decimal
    in_flight: Decimal = Decimal(0)
    held: Decimal = Decimal(0)
    total: Decimal = field(init=False, repr=False, compare=False)
    """Everything that counts as this venue's. Worked out once, as a plan asks for it again and again."""

    def __post_init__(self) -> None:
        not_negative(self.available, "available", digits=BALANCE_DIGITS)
        not_negative(self.in_flight, "in flight", digits=BALANCE_DIGITS)
        not_negative(self.held, "held", digits=BALANCE_DIGITS)
        object.__setattr__(self, "total", EXACT.add(EXACT.add(self.available, self.in_flight), self.held))

    def to_dict(self) -> dict[str, str]:
        """Return the JSON form; amounts are text."""
        return {
            "available": plain(self.available),
            "in_flight": plain(self.in_flight),
            "held": plain(self.held),
        }


@dataclass(frozen=True, slots=True)
class Unread:
    """A venue that could not be read, and why. Unread is not zero: nothing is concluded from it."""

    reason: str

    def to_dict(self) -> dict[str, str]:
        """Return the JSON form."""
        return {"unread": self.reason}


def _holding_from_dict(data: Mapping[str, Any]) -> Balance | Unread:
    if "unread" in data:
        return Unread(data["unread"])
    return Balance(parse(data["available"]), parse(data["in_flight"]), parse(data["held"]))


@dataclass(frozen=True, slots=True)
class Inventory:
    """One asset at both venues."""

    asset: str
    onchain: Balance | Unread
    offchain: Balance | Unread
    total: Decimal | None = field(init=False, repr=False, compare=False)
    """Both venues together, or None if one could not be read."""

    def __post_init__(self) -> None:
        if not self.asset:
            raise ValueError("an inventory must name its asset")
        total = None
        if isinstance(self.onchain, Balance) and isinstance(self.offchain, Balance):
            total = EXACT.add(self.onchain.total, self.offchain.total)
        object.__setattr__(self, "total", total)

    @property
    def ratio(self) -> Decimal | None:
        """The onchain part of the total, to 50 digits: for showing, not for judging.

        None if a venue could not be read or the total is zero.
        """
        total = self.total
        if isinstance(self.onchain, Unread) or not total:
            return None
        return _SHOWN.divide(self.onchain.total, total)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; amounts are text."""
        return {"onchain": self.onchain.to_dict(), "offchain": self.offchain.to_dict()}

    @classmethod
    def from_dict(cls, asset: str, data: Mapping[str, Any]) -> Inventory:
        """Read back what `to_dict` wrote."""
        return cls(asset, _holding_from_dict(data["onchain"]), _holding_from_dict(data["offchain"]))


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every balance of every asset at both venues.

    :param taken_at: when the reading began; what happened later may or may not be in it.
    :param base_block: the block of Base that every onchain balance was read at, or None if Base was not read.
    :param ethereum_block: the same for Ethereum, where USDC passes through.
    :param inventories: by asset. It is copied; do not change it.
    :raises ValueError: if `taken_at` has no zone or an inventory stands under another asset's name.
    """

    id: str
    taken_at: datetime
    base_block: int | None
    ethereum_block: int | None
    inventories: Mapping[str, Inventory]

    def __post_init__(self) -> None:
        object.__setattr__(self, "taken_at", utc(self.taken_at, "taken_at"))
        object.__setattr__(self, "inventories", dict(self.inventories))
        for asset, inventory in self.inventories.items():
            if inventory.asset != asset:
                raise ValueError(f"the inventory of {inventory.asset} stands under {asset}")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, whole: `from_dict` gives back an equal snapshot."""
        return {
            "id": self.id,
            "taken_at": self.taken_at.isoformat(),
            "base_block": self.base_block,
            "ethereum_block": self.ethereum_block,
            "inventories": {asset: self.inventories[asset].to_dict() for asset in sorted(self.inventories)},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Snapshot:
        """Read back what `to_dict` wrote."""
        return cls(
            id=data["id"],
            taken_at=datetime.fromisoformat(data["taken_at"]),
            base_block=data["base_block"],
            ethereum_block=data["ethereum_block"],
            inventories={
                asset: Inventory.from_dict(asset, inventory)
                for asset, inventory in data["inventories"].items()
            },
        )
