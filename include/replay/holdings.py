"""What lies where, as lightly as thousands of looks need it: the figures of a recorded snapshot, unchecked.

They were checked when they were recorded, and are again where a plan is made of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from include.domain.inventory import Balance, Inventory, Snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ZERO: Final = Decimal(0)

Sums: TypeAlias = tuple[Decimal, Decimal]
"""What is onchain, and what there is in total."""


class Side(NamedTuple):
    """One venue's part of an asset."""

    available: Decimal
    in_flight: Decimal = _ZERO
    held: Decimal = _ZERO


class Holding(NamedTuple):
    """An asset at both venues."""

    onchain: Side
    offchain: Side


class Shifted(NamedTuple):
    """A holding of which a part lies on the other side.

    :param short: whether there was less to shift than was asked.
    """

    holding: Holding
    short: bool


@dataclass(frozen=True, slots=True)
class Look:
    """What a recorded check saw.

    :param holdings: by asset; one that could not be read is not in here.
    """

    at: datetime
    base_block: int | None
    ethereum_block: int | None
    holdings: Mapping[str, Holding]
    _head: list[Snapshot] = field(default_factory=list, repr=False, compare=False)

    def head(self) -> Snapshot:
        """Return the snapshot without its balances."""
        if not self._head:
            self._head.append(Snapshot("look", self.at, self.base_block, self.ethereum_block, {}))
        return self._head[0]


def look_of(snapshot: Mapping[str, Any], assets: Iterable[str]) -> Look:
    """Read the JSON form of a snapshot, of some assets."""
    inventories = snapshot["inventories"]
    found = {asset: _holding(inventories[asset]) for asset in assets if asset in inventories}
    return Look(
        at=datetime.fromisoformat(snapshot["taken_at"]),
        base_block=snapshot["base_block"],
        ethereum_block=snapshot["ethereum_block"],
        holdings={asset: holding for asset, holding in found.items() if holding is not None},
    )


def _holding(inventory: Mapping[str, Any]) -> Holding | None:
    onchain, offchain = inventory["onchain"], inventory["offchain"]
    if "unread" in onchain or "unread" in offchain:
        return None
    return Holding(_side(onchain), _side(offchain))


def _side(balance: Mapping[str, str]) -> Side:
    return Side(_amount(balance["available"]), _amount(balance["in_flight"]), _amount(balance["held"]))


_amount = lru_cache(maxsize=50_000)(Decimal)  # most balances are the same as a minute before


def sums(holding: Holding) -> Sums:
    """Return what is onchain and what there is in total. To be called inside `exact`."""
    on, off = holding
    onchain = on.available + on.in_flight + on.held
    return onchain, onchain + off.available + off.in_flight + off.held


def shifted(holding: Holding, offset: Decimal) -> Shifted:
    """Lay a part of a holding onto the other side. To be called inside `exact`.

    It is taken from what is free, then from what is held; what is in flight is left alone. Together there is
    as much as before.

    :param offset: what goes onto the chain; below zero, off it. More than there is takes all.
    """
    if not offset:
        return Shifted(holding, short=False)
    giver, taker = (holding.offchain, holding.onchain) if offset > 0 else (holding.onchain, holding.offchain)
    wanted = abs(offset)
    free = min(wanted, giver.available)
    held = min(wanted - free, giver.held)
    giver = giver._replace(available=giver.available - free, held=giver.held - held)
    taker = taker._replace(available=taker.available + free + held)
    after = Holding(taker, giver) if offset > 0 else Holding(giver, taker)
    return Shifted(after, short=free + held < wanted)


def as_snapshot(look: Look, holdings: Mapping[str, Holding]) -> Snapshot:
    """Return a look as a plan wants it, with other holdings."""
    return Snapshot(
        id="look",
        taken_at=look.at,
        base_block=look.base_block,
        ethereum_block=look.ethereum_block,
        inventories={
            asset: Inventory(asset, Balance(*holding.onchain), Balance(*holding.offchain))
            for asset, holding in holdings.items()
        },
    )
