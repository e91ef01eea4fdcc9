"""One transaction, once: signed and stored, then broadcast, then resolved from the chain.

A retry broadcasts the same bytes. A stuck transaction is replaced by one with the same nonce, stored first.
Mined deep enough is done; the nonce spent that deep by a transaction of somebody else is proof of not done;
anything else is waited for. What a reorganisation took off the chain after that is offered again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from include.book import Network
from include.ledger.lease import NonceTaken
from include.ledger.records import EffectStatus, StoredTransaction
from include.legs.conditions import NonceSpent
from include.legs.leg import Wait
from include.venues.errors import OutcomeUnknown, Refused, Unavailable
from include.venues.evm.types import Call, Fees, UnsignedTransaction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from include.ledger.records import Effect
    from include.legs.leg import Step
    from include.venues.evm.types import Receipt

log = logging.getLogger(__name__)

BUMP_AFTER = timedelta(minutes=2)
MOST_BUMPS = 10
GAS_FLOOR = 100_000
"""Gas is estimated; a node that estimates from a state a moment ago can be far too low."""


class TransactionFailed(Refused):
    """The transaction was mined and reverted, or its nonce went to another: it will never be done."""


class NotEnoughGas(Refused):
    """The wallet's ETH does not cover the gas of the next transaction."""


@dataclass(frozen=True)
class Sender:
    """Sends the transactions of one step, on one chain, from the book's wallet.

    :param step: whose lease and ledger are used.
    """

    step: Step
    network: Network

    def send(
        self,
        name: str,
        build: Callable[[], Call],
        *,
        irreversible: bool,
        gas_floor: int = GAS_FLOOR,
        intent: Mapping[str, Any] | None = None,
        after: int = 0,
    ) -> Receipt | Wait:
        """Send a transaction once, and return its receipt when it is deep enough to be trusted.

        :param name: the name of the effect; the same name is the same transaction.
        :param build: makes the call; asked only when there is nothing stored yet.
        :param irreversible: whether money leaves its venue by it.
        :param intent: facts to keep beside the call.
        :param after: a block that the node has to show before it is asked to build the call.
        :raises Refused: when the simulation reverts, so that nothing is signed; or when a former attempt
            certainly failed, once, so that the caller can look at the world before it is tried again.
        """
        effect = self.stored(name)
        if effect is None or effect.status is EffectStatus.NOT_DONE:
            behind = self.behind(after)
            if behind is not None:
                return behind
            call = build()
            effect = self._sign(
                name, call, irreversible=irreversible, gas_floor=gas_floor, intent=intent or {}
            )
        transactions = self.step.lease.transactions(effect)
        if effect.status is EffectStatus.DONE:
            return self._receipt_of(effect, transactions)
        outcome = self._resolve(effect, transactions)
        if outcome is not None:
            return outcome
        effect = self._broadcast(effect, transactions)
        transactions = self._bump(effect, transactions)
        return self._resolve(effect, transactions) or self._wait(name, transactions[-1])

    def stored(self, name: str) -> Effect | None:
        """Return the newest attempt of a transaction, if it was ever signed."""
        return self.step.lease.effect(self.step.leg, name)

    def is_new(self, name: str) -> bool:
        """Tell whether `send` would sign: there was no attempt yet, or the last one certainly failed."""
        effect = self.stored(name)
        return effect is None or effect.status is EffectStatus.NOT_DONE

    def behind(self, after: int = 0) -> Wait | None:
        """Wait for a node that does not show our own last receipts: as far as it knows, no money is here.

        :param after: a further block that it has to show.
        """
        operation = self.step.operation
        last = operation.base_block if self.network is Network.BASE else operation.ethereum_block
        known = max(last or 0, after)
        if known == 0 or self.step.venues.chain(self.network).head().number >= known:
            return None
        settings = self.step.settings
        return self.step.pause(
            settings.receipt_poll, f"{self.network} to show block {known}", settings.receipt_deadline
        )

    # -- signing ---------------------------------------------------------------------------------------

    def _sign(
        self, name: str, call: Call, *, irreversible: bool, gas_floor: int, intent: Mapping[str, Any]
    ) -> Effect:
        chain = self.step.venues.chain(self.network)
        sender = self.step.book.signer.address
        gas = max(chain.estimate_gas(call, sender=sender), gas_floor)
        fees = chain.fees()
        needed = gas * fees.max_fee_per_gas + call.value
        held = chain.balance(sender)
        if held < needed:
            msg = f"{name} on {self.network} can cost {needed} wei of gas and {sender} holds {held} wei"
            raise NotEnoughGas(msg)
        head = chain.head().number
        nonce = max(chain.nonce(sender, pending=True), self.step.lease.next_nonce(chain.chain_id, sender))
        facts = {"network": self.network.value, "to": call.to, "data": call.data.hex(), **intent}
        while True:
            stored = self._signed(call, nonce, gas, fees, head)
            try:
                return self.step.lease.intend_transaction(
                    self.step.leg, name, facts, stored, irreversible=irreversible
                )
            except NonceTaken:
                nonce += 1

    def _signed(self, call: Call, nonce: int, gas: int, fees: Fees, head: int) -> StoredTransaction:
        chain_id = self.step.venues.chain(self.network).chain_id
        signed = self.step.book.signer.sign(
            UnsignedTransaction(chain_id=chain_id, nonce=nonce, call=call, gas=gas, fees=fees)
        )
        return StoredTransaction(
            hash=signed.hash,
            effect_id="",
            chain_id=chain_id,
            sender=self.step.book.signer.address,
            nonce=nonce,
            raw=signed.raw,
            gas=gas,
            max_fee_per_gas=fees.max_fee_per_gas,
            max_priority_fee_per_gas=fees.max_priority_fee_per_gas,
            signed_at=self.step.venues.now(),
            signed_at_block=head,
        )

    # -- broadcasting ----------------------------------------------------------------------------------

    def _broadcast(self, effect: Effect, transactions: Sequence[StoredTransaction]) -> Effect:
        newest = transactions[-1]
        if effect.status is EffectStatus.INTENDED:
            effect = self.step.lease.sent(effect)
        before = self.step.lease.unresolved_before(newest.chain_id, newest.sender, newest.nonce)
        for stored in (*before, newest):
            self._offer(stored)
        return effect

    def _offer(self, stored: StoredTransaction) -> None:
        """Give stored bytes to the node. Whatever it answers, only the chain decides what became of them."""
        try:
            self.step.venues.chain(self.network).broadcast(stored.raw)
        except (Refused, Unavailable, OutcomeUnknown) as error:
            log.info("the node did not take transaction %s: %s", stored.hash, error)

    def _bump(self, effect: Effect, transactions: Sequence[StoredTransaction]) -> Sequence[StoredTransaction]:
        newest = transactions[-1]
        too_soon = self.step.venues.now() < newest.signed_at + BUMP_AFTER
        if too_soon or len(transactions) > MOST_BUMPS:
            return transactions
        chain = self.step.venues.chain(self.network)
        if chain.nonce(newest.sender) != newest.nonce:
            return transactions  # it waits for a lower nonce, or is mined: a higher fee would not help
        today = chain.fees()
        # Nodes take a replacement from 10 % more on; an eighth more is clearly above.
        fees = Fees(
            max_fee_per_gas=max(today.max_fee_per_gas, newest.max_fee_per_gas * 9 // 8 + 1),
            max_priority_fee_per_gas=max(
                today.max_priority_fee_per_gas, newest.max_priority_fee_per_gas * 9 // 8 + 1
            ),
        )
        call = self._call_of(effect)
        replacement = self._signed(call, newest.nonce, newest.gas, fees, newest.signed_at_block)
        self.step.lease.replace_transaction(effect, replacement)
        self._offer(replacement)
        log.warning("transaction %s is replaced by %s with a higher fee", newest.hash, replacement.hash)
        return (*transactions, replacement)

    @staticmethod
    def _call_of(effect: Effect) -> Call:
        return Call(to=effect.intent["to"], data=bytes.fromhex(effect.intent["data"]))

    # -- resolving -------------------------------------------------------------------------------------

    def _resolve(self, effect: Effect, transactions: Sequence[StoredTransaction]) -> Receipt | Wait | None:
        chain = self.step.venues.chain(self.network)
        newest = transactions[-1]
        trusted = chain.head().number - self.step.venues.confirmations(self.network) + 1
        if trusted < 0 or chain.nonce(newest.sender, block=trusted) <= newest.nonce:
            return None
        for stored in transactions:
            receipt = chain.receipt(stored.hash)
            if receipt is not None:
                return self._settle(effect, receipt) if receipt.block_number <= trusted else None
        # The nonce is spent and none of ours has a receipt. A node that lags would say the same, so the
        # transaction that spent it is looked up before anything is believed.
        spender = chain.find_spender(
            newest.sender, newest.nonce, from_block=transactions[0].signed_at_block, to_block=trusted
        )
        if spender is None or spender in {stored.hash for stored in transactions}:
            return None
        if self._does_the_same(effect, spender):
            receipt = chain.receipt(spender)
            return None if receipt is None else self._settle(effect, receipt)
        why = f"nonce {newest.nonce} was spent by {spender}, which is not ours"
        self.step.lease.not_done(effect, why)
        raise TransactionFailed(f"{effect.name}: {why}")

    def _does_the_same(self, effect: Effect, tx_hash: str) -> bool:
        """Tell whether somebody with our key sent what we meant to, say for a higher fee: it is done then."""
        found = self.step.venues.chain(self.network).transaction(tx_hash)
        if found is None:
            msg = f"the node does not know {tx_hash}, which spent a nonce of ours"
            raise Unavailable(msg)
        return found.call == self._call_of(effect)

    def _settle(self, effect: Effect, receipt: Receipt) -> Receipt:
        if not receipt.status:
            why = f"transaction {receipt.transaction_hash} reverted"
            self.step.lease.not_done(effect, why, gas_paid=receipt.paid)
            msg = f"{effect.name}: transaction {receipt.transaction_hash} reverted"
            raise TransactionFailed(msg)
        self.step.lease.done(effect, receipt.transaction_hash, gas_paid=receipt.paid)
        return receipt

    def _receipt_of(self, effect: Effect, transactions: Sequence[StoredTransaction]) -> Receipt | Wait:
        """Return the receipt of what is done, and bring it back where a reorganisation took it away."""
        chain = self.step.venues.chain(self.network)
        receipt = chain.receipt(effect.reference or "")
        if receipt is not None and receipt.status:
            if effect.gas_paid is None:  # a person adopted it
                self.step.lease.paid(effect, receipt.paid)
            return receipt
        if effect.reference not in {stored.hash for stored in transactions}:
            # Sent by somebody else, and proven once: what became of our own bytes says nothing about it.
            msg = f"the node does not show {effect.name} {effect.reference}, which was mined before"
            raise Unavailable(msg)
        # Either the node lags, or the chain is another than it was. The bytes are still good: at most one
        # transaction can have the nonce, and those before it may be gone too.
        newest = transactions[-1]
        log.warning("%s %s is not on %s any more", effect.name, effect.reference, self.network)
        spent = chain.nonce(newest.sender)
        for stored in self.step.lease.transactions_between(
            newest.chain_id, newest.sender, spent, newest.nonce
        ):
            self._offer(stored)
        return self._resolve(effect, transactions) or self._wait(effect.name, newest)

    def _wait(self, name: str, newest: StoredTransaction) -> Wait:
        settings = self.step.settings
        return Wait(
            NonceSpent(self.network.value, newest.sender, newest.nonce),
            settings.receipt_poll,
            f"{name} to be mined on {self.network}",
            settings.receipt_deadline,
            wake_at=max(newest.signed_at + BUMP_AFTER, self.step.venues.now() + settings.receipt_poll),
        )
