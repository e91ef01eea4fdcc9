"""The way an operation takes: its legs, and what it was claimed under. Light, as a DAG file reads this."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from include.domain.amounts import plain
from include.domain.operation import LEGS, OPTIONAL, Leg, OperationKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.settings import Settings
    from include.settings.asset import Asset
    from include.venues.raindex.orderbook import Version


def legs_of(kind: OperationKind, asset: Asset, dollars: str) -> tuple[Leg, ...]:
    """Return the legs of an operation that is claimed now, in order.

    :param asset: what it moves.
    :param dollars: what the maker's dollars at Alpaca are, `usdc` or `usd`.
    """
    chosen = {
        Leg.VAULT_DEPOSIT: bool(asset.vaults),
        Leg.VAULT_WITHDRAW: bool(asset.vaults),
        Leg.WRAP: asset.wrapper is not None,
        Leg.UNWRAP: asset.wrapper is not None,
        Leg.CONVERT: dollars == "usd",
    }
    return tuple(leg for leg in LEGS[kind] if leg not in OPTIONAL or chosen[leg])


def legs_needed(kind: OperationKind, settings: Settings) -> tuple[Leg, ...]:
    """Return every leg that an operation of a kind has with any of the assets that are set, in order."""
    needed = set(kind.legs)
    for asset in settings.watched():
        if kind.accepts(asset.symbol):
            needed.update(legs_of(kind, asset, settings.dollars))
    return tuple(leg for leg in LEGS[kind] if leg in needed)


def may_need_approval(kind: OperationKind, settings: Settings) -> bool:
    """Tell whether an operation of a kind may need a person's approval, with any of the assets set."""
    return any(
        kind.accepts(asset.symbol) and asset.approval_above is not None for asset in settings.watched()
    )


def approval_until(asset: Asset, amount: Decimal, now: datetime) -> datetime | None:
    """Return until when a person has to approve an operation that is claimed now; None if it needs nobody.

    :param amount: in shares or USDC.
    """
    if asset.approval_above is None or amount <= asset.approval_above:
        return None
    return now + asset.approval_expiry


@dataclass(frozen=True, slots=True)
class Terms:
    """Where the money of an operation lies and goes on Base, as it was set when the operation was claimed.

    It ends as it began, whatever is set meanwhile: what left one vault does not look for another.

    :param token: the contract of the asset.
    :param wrapper: the contract whose shares are traded in its place, if any.
    :param vaults: their ids, the primary one first.
    :param minimum: the smallest amount that is worth moving, in shares or USDC.
    :param approve_until: it is begun only if a person approves it by then; None if nobody has to.
    """

    token: str
    wrapper: str | None
    orderbook: str | None
    orderbook_version: Version
    vaults: tuple[str, ...]
    minimum: Decimal
    approve_until: datetime | None = None

    @classmethod
    def of(cls, settings: Settings, symbol: str, *, approve_until: datetime | None = None) -> Terms:
        """Return what is set now.

        :raises KeyError: when the asset is not among those that are set.
        """
        asset = settings.asset(symbol)
        return cls(
            token=asset.token,
            wrapper=asset.wrapper,
            orderbook=settings.orderbook,
            orderbook_version=settings.orderbook_version,
            vaults=asset.vaults,
            minimum=asset.minimum,
            approve_until=approve_until,
        )

    @property
    def traded(self) -> str:
        """The contract of what lies in the vaults."""
        return self.wrapper or self.token

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "token": self.token,
            "wrapper": self.wrapper,
            "orderbook": self.orderbook,
            "orderbook_version": self.orderbook_version,
            "vaults": list(self.vaults),
            "minimum": plain(self.minimum),
            "approve_until": None if self.approve_until is None else self.approve_until.isoformat(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Terms:
        """Read back what `to_dict` wrote."""
        until = data.get("approve_until")  # terms from before there were approvals have none
        return cls(
            **{
                **data,
                "vaults": tuple(data["vaults"]),
                "minimum": Decimal(data["minimum"]),
                "approve_until": None if until is None else datetime.fromisoformat(until),
            }
        )
