"""USDC crosses between Ethereum and Base through CCTP V2: burn, attestation, receive."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, ClassVar

from include.book import Network
from include.domain.amounts import from_base_units, plain
from include.domain.cost import Speed
from include.domain.operation import Leg, OperationKind
from include.ledger.records import EffectStatus
from include.legs import allowances, preflight
from include.legs.conditions import Attested, Reattested
from include.legs.leg import REFUSED_POLL, Done, Step, Wait
from include.legs.sender import Sender, TransactionFailed
from include.venues.cctp import contracts
from include.venues.cctp.attestation import fee_for, match
from include.venues.cctp.checks import ExpectedBurn, MessageMismatch, check_message, is_expired
from include.venues.cctp.message import BurnMessage, MalformedMessage
from include.venues.evm.errors import Reverted

if TYPE_CHECKING:
    from include.venues.cctp.attestation import AttestedMessage
    from include.venues.evm.types import Call, Receipt

BURN, REATTEST, RECEIVE = "burn", "reattest", "receive"
FAST, STANDARD = 1000, 2000
RECEIVE_GAS_FLOOR = 300_000
"""A first mint to an empty wallet costs far more than the usual 160,000, and 200,000 have run out."""
EXPIRY_MARGIN_BLOCKS = 30
LOGS_AT_ONCE = 2_000
"""Many nodes refuse to search more blocks at once."""
DELIVERED_POLL = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Attestation:
    """An attested message that passed every check."""

    message: BurnMessage
    raw: bytes
    signatures: bytes


class Bridge(Step):
    """Burn on one chain what arrived there, and receive it on the other.

    A burn is made once. Receiving is safe to repeat, and may be done by anybody: whether it is done is read
    from the destination's used nonces, and what arrived from its mint event.
    """

    leg: ClassVar[Leg] = Leg.BRIDGE

    @property
    def source(self) -> Network:
        """The chain the USDC is burnt on."""
        to_base = self.operation.kind is OperationKind.USDC_ALPACA_TO_BASE
        return Network.ETHEREUM if to_base else Network.BASE

    @property
    def destination(self) -> Network:
        """The chain the USDC is minted on."""
        return Network.BASE if self.source is Network.ETHEREUM else Network.ETHEREUM

    def advance(self) -> Done | Wait:
        """Do the next thing."""
        burnt = self._burn()
        if isinstance(burnt, Wait):
            return burnt
        attestation = self._attestation(burnt)
        if isinstance(attestation, Wait):
            return attestation
        return self._receive(burnt, attestation)

    # -- burn ------------------------------------------------------------------------------------------

    def _burn(self) -> Receipt | Wait:
        sender = Sender(self, self.source)
        if not sender.is_new(BURN):
            return sender.send(BURN, self._burn_call, irreversible=True)
        messenger = allowances.messenger(self, self.source)
        granted = allowances.ensure(
            self, messenger, before=lambda: preflight.require_way(self.venues, self.operation.kind)
        )
        if granted is not None:
            return granted
        # Where to begin to search, should somebody else deliver the message.
        head = self.venues.chain(self.destination).head().number
        return sender.send(BURN, self._burn_call, irreversible=True, intent={"destination_block": head})

    def _burn_call(self) -> Call:
        preflight.require_way(self.venues, self.operation.kind)
        source, destination = self.venues.facts(self.source), self.venues.facts(self.destination)
        preflight.require_burn_limit(self.venues, self.source, self.amount)
        fast = Speed.fixed(self.operation.estimate, self.settings.usdc_speed) is Speed.FAST
        return contracts.deposit_for_burn(
            source.token_messenger,
            amount=self.amount,
            destination_domain=destination.cctp_domain,
            mint_recipient=self.venues.wallet,
            burn_token=source.usdc,
            max_fee=self._max_fee(FAST if fast else STANDARD),
            min_finality_threshold=FAST if fast else STANDARD,
        )

    def _max_fee(self, threshold: int) -> int:
        """Return the most that may be taken: today's fee with headroom. Too little means standard speed."""
        source, destination = self.venues.facts(self.source), self.venues.facts(self.destination)
        rates = self.venues.attestations.fees(source.cctp_domain, destination.cctp_domain)
        basis_points = max(
            (rate.basis_points for rate in rates if rate.finality_threshold == threshold), default=Decimal(0)
        )
        fee = fee_for(self.amount, basis_points)
        with_headroom = (Decimal(fee) * (1 + self.settings.cctp_fee_headroom)).to_integral_value(
            ROUND_CEILING
        )
        return min(max(int(with_headroom), self._least_fee()), self.amount - 1)

    def _least_fee(self) -> int:
        source = self.venues.facts(self.source)
        try:
            answer = self.venues.chain(self.source).call(
                contracts.get_min_fee_amount(source.token_messenger, self.amount)
            )
        except Reverted as reverted:
            if reverted.data:
                raise
            return 0  # the first release of the contract has no least fee
        return contracts.decode_uint(answer) if answer else 0

    # -- attestation -----------------------------------------------------------------------------------

    def _attestation(self, burnt: Receipt) -> Attestation | Wait:
        source = self.venues.facts(self.source)
        sent = contracts.messages_sent(burnt, source.message_transmitter)
        if len(sent) != 1:
            msg = f"transaction {burnt.transaction_hash} has {len(sent)} messages and should have one"
            raise TransactionFailed(msg)
        kept = self.lease.leg(self.leg).notes.get("attestation")
        if kept is not None and kept["burn"] == burnt.transaction_hash:
            raw, signatures = bytes.fromhex(kept["message"]), bytes.fromhex(kept["signatures"])
            return Attestation(BurnMessage.decode(raw), raw, signatures)
        attested = match(
            sent[0], self.venues.attestations.messages(source.cctp_domain, burnt.transaction_hash)
        )
        if attested is None:
            return Wait(
                Attested(source.cctp_domain, burnt.transaction_hash),
                self.settings.attestation_poll,
                f"Circle to attest the burn {burnt.transaction_hash}",
                self.settings.attestation_deadline,
            )
        return self._checked(burnt, sent[0], attested)

    def _checked(self, burnt: Receipt, sent: bytes, attested: AttestedMessage) -> Attestation | Wait:
        raw, signatures = attested.message or b"", attested.attestation or b""
        source, destination = self.venues.facts(self.source), self.venues.facts(self.destination)
        expected = ExpectedBurn(
            source_domain=source.cctp_domain,
            destination_domain=destination.cctp_domain,
            sender=source.token_messenger,
            recipient=destination.token_messenger,
            burn_token=source.usdc,
            mint_recipient=self.venues.wallet,
            amount=self.amount,
            message_sender=self.book.signer.address,
            max_fee=BurnMessage.decode(sent).max_fee,
        )
        try:
            message = BurnMessage.decode(raw)
            check_message(message, expected, attested.event_nonce)
        except (MalformedMessage, MessageMismatch) as mismatch:
            return self.pause(
                REFUSED_POLL,
                "a person, as Circle's message is not our burn",
                self.settings.attestation_deadline,
                attention=f"Circle's message for {burnt.transaction_hash} is not our burn: {mismatch}",
            )
        self.lease.note(
            self.leg,
            attestation={
                "burn": burnt.transaction_hash,
                "message": raw.hex(),
                "signatures": signatures.hex(),
                "nonce": message.nonce.hex(),
            },
        )
        return Attestation(message, raw, signatures)

    # -- receive ---------------------------------------------------------------------------------------

    def _receive(self, burnt: Receipt, attestation: Attestation) -> Done | Wait:
        sender = Sender(self, self.destination)
        # What was signed has to be resolved first; its nonce is spent either way.
        if sender.is_new(RECEIVE):
            if self._is_delivered(attestation):
                return self._delivered_by_another(attestation)
            head = self.venues.chain(self.destination).head().number
            if is_expired(attestation.message, head, EXPIRY_MARGIN_BLOCKS):
                return self._reattest(burnt, attestation)
        transmitter = self.venues.facts(self.destination).message_transmitter
        try:
            receipt = sender.send(
                RECEIVE,
                lambda: contracts.receive_message(transmitter, attestation.raw, attestation.signatures),
                irreversible=True,
                gas_floor=RECEIVE_GAS_FLOOR,
            )
        except (Reverted, TransactionFailed):
            if self._is_delivered(attestation):
                return self._delivered_by_another(attestation)
            # Perhaps it is these signatures that are refused: the next attempt asks Circle for them again.
            self.lease.note(self.leg, attestation=None)
            raise
        return receipt if isinstance(receipt, Wait) else self._done(receipt)

    def _is_delivered(self, attestation: Attestation) -> bool:
        transmitter = self.venues.facts(self.destination).message_transmitter
        answer = self.venues.chain(self.destination).call(
            contracts.used_nonces(transmitter, attestation.message.nonce)
        )
        return contracts.decode_uint(answer) != 0

    def _delivered_by_another(self, attestation: Attestation) -> Done | Wait:
        """Find who delivered the message. Delivered by somebody else is delivered."""
        chain = self.venues.chain(self.destination)
        transmitter = self.venues.facts(self.destination).message_transmitter
        burn = self.lease.effect(self.leg, BURN)
        first = int(burn.intent["destination_block"]) if burn is not None else 0
        trusted = chain.head().number - self.venues.confirmations(self.destination) + 1
        address, topics = contracts.message_received_filter(transmitter, attestation.message.nonce)
        for start in range(first, trusted + 1, LOGS_AT_ONCE):
            end = min(start + LOGS_AT_ONCE - 1, trusted)
            for event in chain.logs(address=address, topics=topics, from_block=start, to_block=end):
                receipt = chain.receipt(event.transaction_hash)
                if receipt is not None:
                    return self._done(receipt)
        return self.pause(
            DELIVERED_POLL,
            f"{self.destination} to show who delivered the message",
            self.settings.receipt_deadline,
        )

    def _done(self, receipt: Receipt) -> Done | Wait:
        destination = self.venues.facts(self.destination)
        minted = [
            mint
            for mint in contracts.mints(receipt, destination.token_messenger)
            if mint.recipient == self.venues.wallet
            and mint.token == destination.usdc
            and mint.amount + mint.fee == self.amount
        ]
        if not minted:
            sent = plain(from_base_units(self.amount, self.operation.decimals))
            return self.pause(
                REFUSED_POLL,
                f"a person, as {receipt.transaction_hash} minted nothing to the wallet",
                self.settings.receipt_deadline,
                attention=f"{sent} USDC were burnt and delivered in {receipt.transaction_hash}, which minted "
                "nothing to the wallet",
            )
        on_base = self.destination is Network.BASE
        return Done(
            minted[0].amount,
            receipt.transaction_hash,
            base_block=receipt.block_number if on_base else None,
            ethereum_block=None if on_base else receipt.block_number,
        )

    def _reattest(self, burnt: Receipt, attestation: Attestation) -> Wait:
        """Ask for fresh signatures. The nonce stays, so the message can be delivered once at most."""
        effect = self.lease.effect(self.leg, REATTEST)
        if effect is None or effect.intent["signatures"] != attestation.signatures.hex():
            effect = self.lease.intend(
                self.leg, REATTEST, {"signatures": attestation.signatures.hex()}, irreversible=False
            )
        if not effect.status.is_resolved:
            if effect.status is EffectStatus.INTENDED:
                effect = self.lease.sent(effect)
            outcome = self.venues.attestations.reattest(attestation.message.nonce)
            self.lease.done(effect, outcome.value)
        domain = self.venues.facts(self.source).cctp_domain
        waiting = Reattested(domain, burnt.transaction_hash, attestation.signatures.hex())
        if waiting.holds(self.venues):
            self.lease.note(self.leg, attestation=None)
            return self.pause(
                timedelta(0), "a look at the fresh attestation", self.settings.attestation_deadline
            )
        return Wait(
            waiting,
            self.settings.attestation_poll,
            "Circle to attest the burn again, as its attestation expired",
            self.settings.attestation_deadline,
        )
