"""The way an operation takes: its legs, and what it was claimed under. Light, as a DAG file reads this."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Terms:
    """Where the money of an operation lies and goes on Base, as it was set when the operation was claimed.

    It ends as it began, whatever is set meanwhile: what left one vault does not look for another.

    :param token: the contract of the asset.
    :param wrapper: the contract whose shares are traded in its place, if any.
    :param vaults: their ids, the primary one first.
    :param minimum: the smallest amount that is worth moving, in shares or USDC.
    """

    token: str
    wrapper: str | None
    orderbook: str | None
    orderbook_version: Version
    vaults: tuple[str, ...]
    minimum: Decimal

    @classmethod
    def of(cls, settings: Settings, symbol: str) -> Terms:
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
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Terms:
        """Read back what `to_dict` wrote."""
        return cls(**{**data, "vaults": tuple(data["vaults"]), "minimum": Decimal(data["minimum"])})
