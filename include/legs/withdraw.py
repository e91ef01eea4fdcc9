"""USDC at Alpaca becomes USDC in the wallet on Ethereum."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from include.book import Network
from include.domain.amounts import plain
from include.domain.operation import Leg
from include.ledger.records import EffectStatus
from include.legs import allowances, preflight
from include.legs.conditions import TransactionTrusted, WithdrawalDecided
from include.legs.leg import REFUSED_POLL, Done, Step, Wait
from include.legs.likeness import differences, too_old
from include.venues.errors import OutcomeUnknown, Refused, Unavailable
from include.venues.evm import erc20

if TYPE_CHECKING:
    from include.ledger.records import Effect
    from include.venues.alpaca.models import CryptoTransfer

REQUEST = "withdrawal_request"


class WithdrawalFailed(Refused):
    """Alpaca did not send the money, and still has it."""


class Withdraw(Step):
    """Withdraw from Alpaca once, and wait until the money is on Ethereum.

    The request has no key. When its answer is lost, Alpaca's list is searched for the one new transfer that
    fits. Without one, nobody knows: it is never asked for again, and a person decides.
    """

    leg: ClassVar[Leg] = Leg.WITHDRAW

    def advance(self) -> Done | Wait:
        """Do the next thing."""
        effect = self.lease.effect(self.leg, REQUEST)
        if effect is None or effect.status is EffectStatus.NOT_DONE:
            self._require_ready()
            waiting = allowances.ensure_later(self)
            if waiting is not None:
                return waiting
            effect = self._intend()
        if effect.status is EffectStatus.INTENDED:
            effect = self._post(effect)
        if effect.status is not EffectStatus.DONE:
            found = self._search(effect)
            if isinstance(found, Wait):
                return found
            effect = self.lease.done(effect, found.id)
        return self._follow(effect)

    def _require_ready(self) -> None:
        preflight.require_account(self.venues)
        preflight.require_whitelisted(self.venues, self.venues.wallet)
        preflight.require_way(self.venues, self.operation.kind)
        preflight.require_burn_limit(self.venues, Network.ETHEREUM, self.amount)

    def _intend(self) -> Effect:
        intent = {
            "amount": plain(self.quantity),
            "asset": "USDC",
            "address": self.venues.wallet,
            "chain": preflight.USDC_CHAIN,
        }
        return self.lease.intend(self.leg, REQUEST, intent, irreversible=True)

    def _post(self, effect: Effect) -> Effect:
        """Send the request. Only the process that moves the effect to `sent` does, and only once."""
        listed = [transfer.id for transfer in self.venues.alpaca.transfers()]
        effect = self.lease.sent(effect, listed_before=listed, sent_at=self.venues.now().isoformat())
        intent = effect.intent
        try:
            transfer = self.venues.alpaca.withdraw(
                amount=Decimal(intent["amount"]),
                asset=intent["asset"],
                address=intent["address"],
                chain=intent["chain"],
            )
        except (Refused, Unavailable) as error:
            # Both say that certainly nothing happened; a later attempt is a new effect.
            self.lease.not_done(effect, str(error))
            raise
        except OutcomeUnknown as error:
            return self.lease.unknown(effect, str(error))
        return self.lease.done(effect, transfer.id)

    def _search(self, effect: Effect) -> CryptoTransfer | Wait:
        """Find the transfer of a request whose answer was lost."""
        intent = effect.intent
        fitting = [
            transfer
            for transfer in self.venues.alpaca.transfers()
            if not unlike(effect, transfer) and not self.lease.reference_taken(transfer.id)
        ]
        if len(fitting) == 1:
            return fitting[0]
        if effect.status is EffectStatus.SENT:
            self.lease.unknown(effect, "the answer to the withdrawal request was lost")
        found = "none" if not fitting else ", ".join(transfer.id for transfer in fitting)
        return self.pause(
            self.settings.withdrawal_poll,
            "Alpaca to list the withdrawal whose answer was lost",
            self.settings.withdrawal_deadline,
            attention=f"a withdrawal of {intent['amount']} USDC was asked for at {intent['sent_at']} and its "
            f"answer was lost; transfers at Alpaca that fit: {found}",
        )

    def _follow(self, effect: Effect) -> Done | Wait:
        transfer = self.venues.alpaca.transfer(effect.reference or "")
        if transfer is not None and transfer.is_failed:
            return self._failed(effect, transfer)
        if transfer is None or not transfer.is_complete or transfer.tx_hash is None:
            return Wait(
                WithdrawalDecided(effect.reference or ""),
                self.settings.withdrawal_poll,
                f"Alpaca to send the withdrawal {effect.reference}",
                self.settings.withdrawal_deadline,
            )
        return self._arrived(effect, transfer.tx_hash)

    def _failed(self, effect: Effect, transfer: CryptoTransfer) -> Wait:
        if transfer.tx_hash is None:
            why = f"Alpaca failed the withdrawal {transfer.id} without sending anything"
            self.lease.not_done(effect, why)
            raise WithdrawalFailed(why)
        return self.pause(
            REFUSED_POLL,
            f"a person, as withdrawal {transfer.id} failed and has a transaction",
            self.settings.withdrawal_deadline,
            attention=f"withdrawal {transfer.id} is FAILED at Alpaca and has transaction {transfer.tx_hash}",
        )

    def _arrived(self, effect: Effect, tx_hash: str) -> Done | Wait:
        """Book what arrived on chain: fees come out of the amount, and Alpaca's own figures change."""
        trusted = TransactionTrusted(Network.ETHEREUM.value, tx_hash)
        receipt = self.venues.ethereum.receipt(tx_hash)
        if receipt is None or not trusted.holds(self.venues):
            return Wait(
                trusted,
                self.settings.receipt_poll,
                f"the withdrawal's transaction {tx_hash} on Ethereum",
                self.settings.withdrawal_deadline,
            )
        usdc = self.venues.facts(Network.ETHEREUM).usdc
        amounts = [
            transfer.amount
            for transfer in erc20.transfers(receipt, usdc)
            # A payout in bulk can hold a second payment to the same wallet; more than asked is not ours.
            if transfer.recipient == effect.intent["address"] and transfer.amount <= self.amount
        ]
        if not receipt.status or not amounts:
            return self.pause(
                REFUSED_POLL,
                f"a person, as transaction {tx_hash} brought no USDC",
                self.settings.withdrawal_deadline,
                attention=f"withdrawal {effect.reference} names transaction {tx_hash}, which brought no USDC",
            )
        return Done(max(amounts), tx_hash, ethereum_block=receipt.block_number)


def unlike(effect: Effect, transfer: CryptoTransfer) -> list[str]:
    """Return what makes a transfer at Alpaca another one than a withdrawal request asked for."""
    intent = effect.intent
    differs = differences(
        ("amount", transfer.amount, Decimal(intent["amount"])),
        ("asset", transfer.asset, intent["asset"]),
        ("address", (transfer.to_address or "").lower(), intent["address"].lower()),
    )
    if not transfer.is_outgoing:
        differs.append(f"it is {transfer.direction}")
    if transfer.id in intent.get("listed_before", ()):
        differs.append("Alpaca listed it before the withdrawal was asked for")
    return differs + too_old(effect, transfer.created_at)
