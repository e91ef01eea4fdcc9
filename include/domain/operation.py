"""The four ways to move an excess, and the states of one such move."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from include.domain.amounts import SHARE_DECIMALS, USDC, USDC_DECIMALS
from include.domain.imbalance import Imbalance, TooMuchOffchain
from include.domain.inventory import Venue
from include.domain.moments import utc

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class OperationKind(StrEnum):
    """What is done about an imbalance. `Mint` and `Redemption` move a stock, the other two move USDC."""

    MINT = "mint"
    REDEMPTION = "redemption"
    USDC_ALPACA_TO_BASE = "usdc_alpaca_to_base"
    USDC_BASE_TO_ALPACA = "usdc_base_to_alpaca"

    @property
    def moves_usdc(self) -> bool:
        """Whether this kind moves USDC; the others move anything but USDC."""
        return self in (OperationKind.USDC_ALPACA_TO_BASE, OperationKind.USDC_BASE_TO_ALPACA)

    @property
    def source(self) -> Venue:
        """The venue the money leaves."""
        if self in (OperationKind.MINT, OperationKind.USDC_ALPACA_TO_BASE):
            return Venue.OFFCHAIN
        return Venue.ONCHAIN

    @property
    def destination(self) -> Venue:
        """The venue the money reaches."""
        return Venue.ONCHAIN if self.source is Venue.OFFCHAIN else Venue.OFFCHAIN

    @property
    def decimals(self) -> int:
        """The decimals an amount of this kind may have: the finest that everything on its way accepts.

        A token has 18, but a share has 9: finer shares cannot be minted, and of finer tokens the issuer
        redeems only the 9 decimals.
        """
        return USDC_DECIMALS if self.moves_usdc else SHARE_DECIMALS

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The legs that every operation of this kind has, in their order; some have others of `LEGS` too."""
        return tuple(leg for leg in LEGS[self] if leg not in OPTIONAL)

    def accepts(self, asset: str) -> bool:
        """Tell whether this kind can move the asset."""
        return bool(asset) and (asset == USDC) == self.moves_usdc

    def require(self, asset: str) -> None:
        """Pass if this kind can move the asset.

        :raises ValueError: if it cannot.
        """
        if not self.accepts(asset):
            raise ValueError(f"{self.value} cannot move {asset or 'an asset without a name'}")


class Leg(StrEnum):
    """A part of an operation that moves money from one place to the next."""

    MINT = "mint"
    REDEEM = "redeem"
    WITHDRAW = "withdraw"
    BRIDGE = "bridge"
    DEPOSIT = "deposit"
    VAULT_DEPOSIT = "vault_deposit"
    VAULT_WITHDRAW = "vault_withdraw"
    WRAP = "wrap"
    UNWRAP = "unwrap"
    CONVERT = "convert"


LEGS: Mapping[OperationKind, tuple[Leg, ...]] = MappingProxyType(
    {
        OperationKind.MINT: (Leg.MINT, Leg.WRAP, Leg.VAULT_DEPOSIT),
        OperationKind.REDEMPTION: (Leg.VAULT_WITHDRAW, Leg.UNWRAP, Leg.REDEEM),
        OperationKind.USDC_ALPACA_TO_BASE: (Leg.CONVERT, Leg.WITHDRAW, Leg.BRIDGE, Leg.VAULT_DEPOSIT),
        OperationKind.USDC_BASE_TO_ALPACA: (Leg.VAULT_WITHDRAW, Leg.BRIDGE, Leg.DEPOSIT, Leg.CONVERT),
    }
)
"""Every leg that an operation of a kind can have, in order. Its own are fixed when it is claimed."""

OPTIONAL = frozenset({Leg.VAULT_DEPOSIT, Leg.VAULT_WITHDRAW, Leg.WRAP, Leg.UNWRAP, Leg.CONVERT})
"""The legs that depend on the settings of the asset."""


class OperationStatus(StrEnum):
    """The state of an operation. Only an open one claims its asset, and a closed one never opens again."""

    OPEN = "open"
    SETTLED = "settled"
    """The money is proven delivered."""
    CANCELLED = "cancelled"
    """It failed for certain before anything irreversible; nothing moved."""
    RECONCILED = "reconciled"
    """A person has closed it, and said why."""

    @property
    def is_open(self) -> bool:
        """Whether the operation still claims its asset."""
        return self is OperationStatus.OPEN


def correction(asset: str, imbalance: Imbalance) -> OperationKind:
    """Name the operation that brings an asset with this imbalance back to its target."""
    if isinstance(imbalance, TooMuchOffchain):
        return OperationKind.USDC_ALPACA_TO_BASE if asset == USDC else OperationKind.MINT
    return OperationKind.USDC_BASE_TO_ALPACA if asset == USDC else OperationKind.REDEMPTION


@dataclass(frozen=True, slots=True)
class OpenOperation:
    """What a plan needs to know of an open operation: it claims its asset.

    :raises ValueError: if the kind cannot move the asset.
    """

    id: str
    kind: OperationKind
    asset: str

    def __post_init__(self) -> None:
        self.kind.require(self.asset)


@dataclass(frozen=True, slots=True)
class Settled:
    """The end of the last closed operation of an asset: what a snapshot has to be newer than.

    :param at: when it was closed.
    :param base_block: the block of its last receipt on Base, None if it had none there.
    :param ethereum_block: the same on Ethereum.
    :param refusals: how many operations up to this one were cancelled in a row; 0 if this one moved money.
    :raises ValueError: if `at` has no zone, or the count is negative.
    """

    asset: str
    at: datetime
    base_block: int | None
    ethereum_block: int | None
    refusals: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", utc(self.at, "at"))
        if self.refusals < 0:
            raise ValueError(f"refusals must not be negative, not {self.refusals}")
