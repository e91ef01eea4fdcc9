"""Tokens in the wallet on Base become shares of their ERC-4626 wrapper, and back.

The ratio of the two moves, with dividends and splits: the wrapper's own events are booked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from include.book import Network
from include.domain.amounts import from_base_units, plain
from include.domain.operation import Leg
from include.legs import allowances, preflight
from include.legs.leg import Done, InHand, Step, Wait
from include.legs.sender import Sender
from include.legs.vault import NotBooked
from include.venues.evm import erc20, erc4626

if TYPE_CHECKING:
    from include.venues.evm.types import Call, Receipt

WRAP, UNWRAP = "wrap", "unwrap"
GAS_FLOOR = 200_000


class OnWrapper(Step):
    """What both legs share."""

    @property
    def wrapper(self) -> str:
        """The wrapper's contract."""
        return preflight.require_set(self.terms.wrapper, "wrapper")

    def ask(self, call: Call) -> int:
        """Ask a contract on Base for a number."""
        return erc20.decode_uint(self.venues.base.call(call))

    def shown(self, units: int) -> str:
        """Write base units for people."""
        return plain(from_base_units(units, self.token_decimals))


class Wrap(OnWrapper):
    """Put what was minted into the wrapper."""

    leg: ClassVar[Leg] = Leg.WRAP

    def advance(self) -> Done | Wait:
        """Do the next thing."""
        sender = Sender(self, Network.BASE)
        units = self.in_hand.units
        if sender.is_new(WRAP):
            granted = allowances.ensure(self, allowances.wrapper(self, units))
            if granted is not None:
                return granted
        receipt = sender.send(
            WRAP,
            lambda: erc4626.deposit(self.wrapper, units, self.venues.wallet),
            irreversible=True,
            gas_floor=GAS_FLOOR,
        )
        if isinstance(receipt, Wait):
            return receipt
        return Done(
            self.amount,
            receipt.transaction_hash,
            base_block=receipt.block_number,
            in_hand=InHand(self.wrapper, self._shares(receipt, units)),
        )

    def _shares(self, receipt: Receipt, units: int) -> int:
        for event in erc4626.wraps(receipt, self.wrapper):
            if event.owner == self.venues.wallet and event.assets == units and event.shares > 0:
                return event.shares
        msg = f"{receipt.transaction_hash} did not wrap {self.shown(units)} {self.operation.asset}"
        raise NotBooked(msg)


class Unwrap(OnWrapper):
    """Take out of the wrapper what the vaults gave, or what the wallet lacks where there are no vaults."""

    leg: ClassVar[Leg] = Leg.UNWRAP

    def advance(self) -> Done | Wait:
        """Do the next thing."""
        sender = Sender(self, Network.BASE)
        stored = sender.stored(UNWRAP)
        if stored is None or sender.is_new(UNWRAP):
            behind = sender.behind()
            if behind is not None:
                return behind
            shares, plain_units = self._wanted()
            if shares == 0:
                return Done(self.amount, f"the wallet held {self.shown(plain_units)} unwrapped")
        else:
            shares, plain_units = int(stored.intent["shares"]), int(stored.intent["unwrapped"])
        receipt = sender.send(
            UNWRAP,
            lambda: self._redeem(shares),
            irreversible=True,
            gas_floor=GAS_FLOOR,
            intent={"shares": shares, "unwrapped": plain_units},
        )
        if isinstance(receipt, Wait):
            return receipt
        assets = self._assets(receipt, shares)
        amount = self.floored(plain_units + assets)
        if self._from_vaults is None:
            amount = min(amount, self.amount)
        return Done(amount, receipt.transaction_hash, base_block=receipt.block_number)

    @property
    def _from_vaults(self) -> InHand | None:
        """What the vaults gave, if there are any: all of it is the operation's, whatever it is worth now."""
        return self.in_hand if self.legs.index(self.leg) > 0 else None

    def _wanted(self) -> tuple[int, int]:
        """Return how many shares to take out, and how much of what is wanted the wallet holds unwrapped."""
        if self._from_vaults is not None:
            return self._from_vaults.units, 0
        units, wallet = self.in_hand.units, self.venues.wallet
        held = min(self.ask(erc20.balance_of(self.terms.token, wallet)), units)
        if held == units:
            return 0, held
        return self.ask(erc4626.preview_withdraw(self.wrapper, units - held)), held

    def _redeem(self, shares: int) -> Call:
        if self._from_vaults is None:
            preflight.require_way_from_base(self.venues, self.operation.kind, self.amount)
        wallet = self.venues.wallet
        most = self.ask(erc4626.max_redeem(self.wrapper, wallet))
        if most < shares:
            msg = (
                f"the wrapper of {self.operation.asset} gives back {self.shown(most)} shares at most and "
                f"{self.shown(shares)} are to be unwrapped"
            )
            raise preflight.NotReady(msg)
        return erc4626.redeem(self.wrapper, shares, wallet, wallet)

    def _assets(self, receipt: Receipt, shares: int) -> int:
        wallet = self.venues.wallet
        for event in erc4626.unwraps(receipt, self.wrapper):
            if (event.owner, event.receiver, event.shares) == (wallet, wallet, shares):
                return event.assets
        msg = f"{receipt.transaction_hash} did not unwrap {self.shown(shares)} of {self.operation.asset}"
        raise NotBooked(msg)
