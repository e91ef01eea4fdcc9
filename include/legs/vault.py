"""Tokens go from Raindex vaults into the wallet on Base, and from the wallet into the primary vault.

Orders move a vault at any time, so what was read of it is a guess, and what the contract's own event says is
booked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from include.book import Network
from include.domain.amounts import floor_to, from_base_units, plain, to_base_units
from include.domain.operation import Leg, OperationStatus
from include.legs import allowances, preflight
from include.legs.leg import Closed, Done, InHand, Outcome, Step, Wait
from include.legs.sender import Sender
from include.venues.errors import Refused
from include.venues.evm import erc20, erc4626
from include.venues.raindex import orderbook

if TYPE_CHECKING:
    from include.venues.evm.types import Call, Receipt

DEPOSIT, PUT_BACK = "vault_deposit", "put_back"
GAS_FLOOR = 300_000
"""A vault that is touched for the first time costs more than an estimate from a moment before."""


class NotBooked(Refused):
    """A transaction was mined, and its events do not say what was asked of it."""


class OnVaults(Step):
    """What both legs share."""

    @property
    def orderbook(self) -> str:
        """The contract that holds the vaults."""
        return preflight.require_set(self.terms.orderbook, "orderbook")

    def shown(self, units: int) -> str:
        """Write base units of the traded token for people."""
        wrapped = "wrapped " if self.terms.wrapper else ""
        return f"{plain(from_base_units(units, self.token_decimals))} {wrapped}{self.operation.asset}"

    def deposit_call(self, token: str, units: int) -> Call:
        """Build the deposit into the primary vault."""
        return orderbook.deposit(
            self.orderbook,
            token=token,
            vault_id=self.terms.vaults[0],
            amount=units,
            decimals=self.token_decimals,
            version=self.terms.orderbook_version,
        )

    def require_deposited(self, receipt: Receipt, token: str, units: int) -> None:
        """Require that a transaction put exactly so much into the primary vault.

        :raises NotBooked: when its events say otherwise.
        """
        booked = sum(
            event.amount
            for event in orderbook.deposits(receipt, self.orderbook)
            if (event.owner, event.token) == (self.venues.wallet, token)
            and event.vault_id == self.terms.vaults[0].lower()
        )
        if booked != units:
            msg = (
                f"{receipt.transaction_hash} put {self.shown(booked)} into the vault instead of "
                f"{self.shown(units)}"
            )
            raise NotBooked(msg)


class VaultWithdraw(OnVaults):
    """Take what the operation moves out of the vaults, one after another, each once.

    Each vault gives what it holds by then. What all of them gave is what the operation goes on with; if that
    is not worth moving it is put back, and the operation is over as if nothing had happened.
    """

    leg: ClassVar[Leg] = Leg.VAULT_WITHDRAW

    def advance(self) -> Outcome:
        """Do the next thing."""
        sender = Sender(self, Network.BASE)
        taken: dict[int, Receipt] = {}
        for index in range(len(self.terms.vaults)):
            if not sender.is_new(_name(index)):
                waiting = self._take(sender, index, 0, 0, taken)
                if waiting is not None:
                    return waiting
        if sender.stored(PUT_BACK) is not None:
            return self._put_back(sender, taken)
        target = self._target(sender)
        waiting = self._take_missing(sender, target, taken)
        return waiting or self._conclude(sender, target, taken)

    # -- out of the vaults -----------------------------------------------------------------------------

    def _target(self, sender: Sender) -> int:
        """Return how much is wanted of the traded token; the first withdrawal fixes it for the others."""
        for index in range(len(self.terms.vaults)):
            stored = sender.stored(_name(index))
            if stored is not None and not sender.is_new(_name(index)):
                return int(stored.intent["target"])
        units, wrapper = self.in_hand.units, self.terms.wrapper
        if wrapper is None:
            return units
        return erc20.decode_uint(self.venues.base.call(erc4626.preview_withdraw(wrapper, units)))

    def _take_missing(self, sender: Sender, target: int, taken: dict[int, Receipt]) -> Wait | None:
        """Withdraw what is missing from those vaults that nothing was withdrawn from yet."""
        waiting = None if taken else self._prepare(target)
        if waiting is not None:
            return waiting
        for index, vault in enumerate(self.terms.vaults):
            missing = target - self._total(taken)
            if missing <= 0:
                return None
            if index in taken:
                continue
            asked = orderbook.vault_balance(
                self.orderbook, owner=self.venues.wallet, token=self.terms.traded, vault_id=vault
            )
            held = orderbook.decode_vault_balance(self.venues.base.call(asked), self.token_decimals)
            if held > 0:
                waiting = self._take(sender, index, min(held, missing), target, taken)
                if waiting is not None:
                    return waiting
        return None

    def _prepare(self, target: int) -> Wait | None:
        """Require the way ahead, and grant what it needs, before anything is taken."""
        preflight.require_way_from_base(self.venues, self.operation.kind, self.amount)
        if self.terms.wrapper is not None:
            self._require_redeemable(self.terms.wrapper, target)
        return allowances.ensure_later(self)

    def _require_redeemable(self, wrapper: str, shares: int) -> None:
        """Require that the wrapper gives back what is to be taken, as far as the order book has so much."""
        asked = (erc20.balance_of(wrapper, self.orderbook), erc4626.max_redeem(wrapper, self.orderbook))
        held, most = (erc20.decode_uint(self.venues.base.call(call)) for call in asked)
        if most < min(held, shares):
            msg = (
                f"the wrapper of {self.operation.asset} gives back {self.shown(most)} at most, and "
                f"{self.shown(shares)} are to be unwrapped"
            )
            raise preflight.NotReady(msg)

    def _take(
        self, sender: Sender, index: int, units: int, target: int, taken: dict[int, Receipt]
    ) -> Wait | None:
        """Withdraw from one vault, or find what became of it; note its receipt in `taken`."""
        receipt = sender.send(
            _name(index),
            lambda: orderbook.withdraw(
                self.orderbook,
                token=self.terms.traded,
                vault_id=self.terms.vaults[index],
                target=units,
                decimals=self.token_decimals,
                version=self.terms.orderbook_version,
            ),
            irreversible=True,
            gas_floor=GAS_FLOOR,
            intent={"target": target, "vault": self.terms.vaults[index]},
        )
        if isinstance(receipt, Wait):
            return receipt
        taken[index] = receipt
        return None

    def _total(self, taken: dict[int, Receipt]) -> int:
        """Return how much came out of the vaults, by the contract's own events."""
        return sum(self._paid(index, receipt) for index, receipt in taken.items())

    def _paid(self, index: int, receipt: Receipt) -> int:
        paid = [
            event.amount
            for event in orderbook.withdrawals(receipt, self.orderbook)
            if (event.owner, event.token) == (self.venues.wallet, self.terms.traded)
            and event.vault_id == self.terms.vaults[index].lower()
        ]
        if not paid:
            msg = f"{receipt.transaction_hash} does not say what it withdrew from vault {index}"
            raise NotBooked(msg)
        return sum(paid)

    # -- and then --------------------------------------------------------------------------------------

    def _conclude(self, sender: Sender, target: int, taken: dict[int, Receipt]) -> Outcome:
        total = self._total(taken)
        if total >= target:
            return self._done(self.amount, total, taken)
        if total == 0:
            why = f"the vaults hold no {self.operation.asset} any more"
            if not taken:
                raise preflight.NotReady(why)
            return self._close(sender, why, taken, [])
        amount = self._worth(total)
        least = to_base_units(floor_to(self.terms.minimum, self.operation.decimals), self.operation.decimals)
        if amount == 0 or amount < least:
            return self._put_back(sender, taken)
        return self._done(amount, total, taken)

    def _worth(self, total: int) -> int:
        """Return what was taken in base units of the operation, rounded down."""
        units, wrapper = total, self.terms.wrapper
        if wrapper is not None:
            units = erc20.decode_uint(self.venues.base.call(erc4626.convert_to_assets(wrapper, total)))
        return min(self.floored(units), self.amount)

    def _done(self, amount: int, total: int, taken: dict[int, Receipt]) -> Done:
        last = max(taken.values(), key=lambda receipt: receipt.block_number)
        return Done(
            amount,
            last.transaction_hash,
            base_block=last.block_number,
            in_hand=InHand(self.terms.traded, total),
        )

    def _put_back(self, sender: Sender, taken: dict[int, Receipt]) -> Outcome:
        """Put everything that was taken into the primary vault, and close the operation."""
        token, total = self.terms.traded, self._total(taken)
        if sender.is_new(PUT_BACK):
            waiting = allowances.ensure(self, allowances.orderbook(self, token, total))
            if waiting is not None:
                return waiting
        receipt = sender.send(
            PUT_BACK,
            lambda: self.deposit_call(token, total),
            irreversible=True,
            gas_floor=GAS_FLOOR,
            after=max(one.block_number for one in taken.values()),
        )
        if isinstance(receipt, Wait):
            return receipt
        self.require_deposited(receipt, token, total)
        why = (
            f"the vaults held no more than {self.shown(total)}, which is not worth moving, and "
            f"{receipt.transaction_hash} put it back"
        )
        return self._close(sender, why, taken, [receipt])

    def _close(self, sender: Sender, why: str, taken: dict[int, Receipt], returned: list[Receipt]) -> Closed:
        """Cancel the operation, of which every effect is known and has changed nothing in the end."""
        names = [*(_name(index) for index in taken), *(PUT_BACK for _ in returned)]
        undone = [effect for effect in map(sender.stored, names) if effect is not None]
        blocks = [receipt.block_number for receipt in (*taken.values(), *returned)]
        self.lease.cancel(why, undone=undone, base_block=max(blocks))
        return Closed(OperationStatus.CANCELLED, why)


class VaultDeposit(OnVaults):
    """Put what the operation brought to the wallet into the primary vault.

    Nobody else takes from the wallet what belongs to this asset, as an asset has one open operation. So what
    lies there besides may be put in too, where that is set.
    """

    leg: ClassVar[Leg] = Leg.VAULT_DEPOSIT

    def advance(self) -> Done | Wait:
        """Do the next thing."""
        sender = Sender(self, Network.BASE)
        hand = self.in_hand
        stored = sender.stored(DEPOSIT)
        if sender.is_new(DEPOSIT):
            behind = sender.behind()
            if behind is not None:
                return behind
            units = self._units(hand)
            granted = allowances.ensure(self, allowances.orderbook(self, hand.token, units))
            if granted is not None:
                return granted
        else:
            units = int(stored.intent["units"]) if stored is not None else hand.units
        receipt = sender.send(
            DEPOSIT,
            lambda: self.deposit_call(hand.token, units),
            irreversible=True,
            gas_floor=GAS_FLOOR,
            intent={"units": units, "brought": hand.units},
        )
        if isinstance(receipt, Wait):
            return receipt
        self.require_deposited(receipt, hand.token, units)
        return Done(self.amount, receipt.transaction_hash, base_block=receipt.block_number)

    def _units(self, hand: InHand) -> int:
        """Return how much goes into the vault: what was brought, and with it what lies there, if so set."""
        asked = erc20.balance_of(hand.token, self.venues.wallet)
        held = erc20.decode_uint(self.venues.base.call(asked))
        if held < hand.units:
            msg = f"the wallet holds {self.shown(held)}, and {self.shown(hand.units)} came in"
            raise preflight.NotReady(msg)
        return held if self.settings.stray_tokens == "deposit" else hand.units


def _name(index: int) -> str:
    """Return the name of the withdrawal from a vault, by its place in the list."""
    return f"vault_withdraw_{index}"
