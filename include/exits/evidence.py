"""What the world says about an effect, before a person's word on it is taken."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from include.book import Network
from include.domain.operation import Leg, OperationKind
from include.exits.refusal import Refusal
from include.exits.situation import REQUESTS, is_transaction
from include.ledger.records import EffectStatus
from include.legs.bridge import BURN
from include.legs.convert import ORDER, asked_at
from include.legs.convert import unlike as unlike_order
from include.legs.likeness import differences, too_old
from include.legs.mint import LOOKUP_LAG
from include.legs.mint import REQUEST as MINT_REQUEST
from include.legs.withdraw import REQUEST as WITHDRAWAL_REQUEST
from include.legs.withdraw import unlike as unlike_withdrawal
from include.venues.alpaca.models import Order, TokenizationRequest
from include.venues.cctp import contracts

if TYPE_CHECKING:
    from include.book import Venues
    from include.ledger.lease import Lease
    from include.ledger.records import Effect, Operation
    from include.venues.alpaca.models import CryptoTransfer

DECIDED_WHEN_MINED = (Leg.VAULT_WITHDRAW, Leg.VAULT_DEPOSIT, Leg.WRAP, Leg.UNWRAP)
"""Legs whose transactions nobody has to answer."""
HASH = re.compile(r"0x[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Asks both venues about the effects of one operation. Every method may raise `Refusal` or `VenueError`.

    :param lease: the operation's, held by whoever asks, so that nothing changes meanwhile.
    """

    venues: Venues
    lease: Lease
    operation: Operation

    # -- it happened -----------------------------------------------------------------------------------

    def of_reference(self, effect: Effect, reference: str) -> str:
        """Require that an effect happened under a reference, and return it as the venue writes it.

        :raises Refusal: with everything that differs.
        """
        if is_transaction(effect):
            return self._of_hash(effect, reference.lower())
        if effect.name == WITHDRAWAL_REQUEST:
            transfer = self.venues.alpaca.transfer(reference)
            found = None if transfer is None else (transfer.id, unlike_withdrawal(effect, transfer))
        elif effect.name == MINT_REQUEST:
            request = self.venues.alpaca.tokenization_request(reference)
            found = None if request is None else (request.id, self._unlike_mint(effect, request))
        elif effect.name == ORDER:
            order = self.venues.alpaca.order(reference)
            found = None if order is None else (order.id, unlike_order(effect, order))
        else:
            raise Refusal(f"{effect.name} moves no money: there is nothing to adopt")
        if found is None:
            raise Refusal(f"Alpaca knows no {reference}")
        known_as, differs = found
        if differs:
            raise Refusal(f"{known_as} is not this {effect.name}: {'; '.join(differs)}")
        self._require_free(known_as)
        return known_as

    def _of_hash(self, effect: Effect, tx_hash: str) -> str:
        if HASH.fullmatch(tx_hash) is None:
            raise Refusal(f"{tx_hash} is no hash of a transaction")
        network = Network(effect.intent["network"])
        chain = self.venues.chain(network)
        found, receipt = chain.transaction(tx_hash), chain.receipt(tx_hash)
        if found is None or receipt is None:
            raise Refusal(f"{network} knows no mined transaction {tx_hash}")
        signed = self.lease.transactions(effect)[-1]
        data = bytes.fromhex(effect.intent["data"])
        differs = [
            text
            for wrong, text in (
                (found.sender != signed.sender, f"it was sent by {found.sender}, not by {signed.sender}"),
                (
                    found.call is None or found.call.to != effect.intent["to"],
                    f"it calls {found.call.to if found.call else 'nothing'}, not {effect.intent['to']}",
                ),
                (found.call is None or found.call.data != data, "its calldata is another"),
                (not receipt.status, "it reverted"),
            )
            if wrong
        ]
        # Another nonce leaves our own bytes alive: they could be mined later, and move the money again.
        if found.nonce != signed.nonce and effect.status is not EffectStatus.NOT_DONE:
            differs.append(
                f"its nonce is {found.nonce}, and what was signed with {signed.nonce} may still be mined"
            )
        if differs:
            raise Refusal(f"{tx_hash} is not this {effect.name}: {'; '.join(differs)}")
        depth = chain.head().number - receipt.block_number + 1
        wanted = self.venues.confirmations(network)
        if depth < wanted:
            raise Refusal(f"{tx_hash} is {depth} blocks deep and has to be {wanted}: try again later")
        self._require_free(tx_hash)
        return tx_hash

    def _require_free(self, reference: str) -> None:
        if self.lease.reference_taken(reference):
            raise Refusal(f"{reference} already stands for an effect in the ledger")

    # -- it did not happen -----------------------------------------------------------------------------

    def of_absence(self, effect: Effect) -> str:
        """Require that a request never happened, and return how that is known.

        :raises Refusal: naming what fits, or what to wait for.
        """
        if is_transaction(effect):
            raise Refusal(f"{effect.name} is signed: {self._alive(effect)}")
        if effect.name not in REQUESTS:
            raise Refusal(f"{effect.name} moves no money: there is nothing to state")
        if effect.status is EffectStatus.INTENDED:
            raise Refusal(f"{effect.name} was not sent yet")
        if effect.status.is_resolved:
            known = (
                f"happened as {effect.reference}" if effect.status is EffectStatus.DONE else "did not happen"
            )
            raise Refusal(f"it is known that {effect.name} {known}")
        self._require_age(effect)
        fitting = self._fitting(effect)
        if fitting:
            raise Refusal(f"Alpaca lists what fits {effect.name}: adopt {' or '.join(fitting)}")
        return f"Alpaca listed nothing that fits it at {self.venues.now():%Y-%m-%d %H:%M:%S} UTC"

    def _fitting(self, effect: Effect) -> list[str]:
        if effect.name == WITHDRAWAL_REQUEST:
            found = [
                transfer.id
                for transfer in self.venues.alpaca.transfers()
                if not unlike_withdrawal(effect, transfer)
            ]
        elif effect.name == ORDER:
            ordered = self.venues.alpaca.order_by_client_id(effect.intent["client_order_id"])
            # Alpaca takes an id once: where another order has it, ours was never taken.
            found = [] if ordered is None or unlike_order(effect, ordered) else [ordered.id]
        else:
            labelled = self.venues.alpaca.tokenization_request_by_client_id(self.operation.id)
            if labelled is not None:
                return [labelled.id]
            found = [
                request.id
                for request in self.venues.alpaca.tokenization_requests(symbol=effect.intent["symbol"])
                if not self._unlike_mint(effect, request)
            ]
        return [reference for reference in found if not self.lease.reference_taken(reference)]

    def _alive(self, effect: Effect) -> str:
        signed = self.lease.transactions(effect)[-1]
        return (
            f"transaction {signed.hash} on {effect.intent['network']} may be mined until its nonce "
            f"{signed.nonce} is spent. Its leg notices when that happens: wait for it, or spend the nonce "
            f"with another transaction of {signed.sender}"
        )

    # -- the whole operation ---------------------------------------------------------------------------

    def of_end(self, effects: list[Effect]) -> None:
        """Require that nothing of the operation can still move by itself.

        :raises Refusal: naming what can, and what to do about it.
        """
        for effect in effects:
            # An order takes nothing out of Alpaca, and still trades by itself.
            matters = effect.irreversible or effect.name == ORDER
            if not matters or effect.status is EffectStatus.NOT_DONE:
                continue
            if effect.status is EffectStatus.DONE:
                self._require_decided(effect)
            elif is_transaction(effect):
                raise Refusal(f"{effect.name} is signed and not resolved: {self._alive(effect)}")
            elif effect.status is not EffectStatus.INTENDED:
                self.of_absence(effect)

    def _require_decided(self, effect: Effect) -> None:
        """Require that nobody has still to decide about what they were asked or sent."""
        if effect.leg in DECIDED_WHEN_MINED:
            return
        if effect.leg == Leg.BRIDGE:
            if effect.name == BURN:
                self._require_delivered(effect)
            return
        reference = effect.reference or ""
        row = self._row_of(effect, reference)
        if row is None:
            self._require_age(effect)
        elif _is_undecided(row):
            raise Refusal(f"Alpaca has not decided about {effect.name} {reference} yet: wait, or ask Alpaca")

    def _row_of(self, effect: Effect, reference: str) -> CryptoTransfer | TokenizationRequest | Order | None:
        """Return what Alpaca lists for an effect that is done; a transaction is listed by its hash."""
        alpaca = self.venues.alpaca
        if effect.name == WITHDRAWAL_REQUEST:
            return alpaca.transfer(reference)
        if effect.name == MINT_REQUEST:
            return alpaca.tokenization_request(reference)
        if effect.name == ORDER:
            return alpaca.order(reference)
        rows: list[CryptoTransfer] | list[TokenizationRequest]
        if effect.leg == Leg.REDEEM:
            rows = alpaca.tokenization_requests(type="redeem", symbol=self.operation.asset)
        else:
            rows = [row for row in alpaca.transfers() if row.is_incoming]
        return next((row for row in rows if row.tx_hash == reference), None)

    def _require_age(self, effect: Effect) -> None:
        sent_at = effect.sent_at or effect.intended_at
        if effect.name == ORDER:
            sent_at = asked_at(effect, self.lease.leg(Leg.CONVERT).notes)
        until = sent_at + LOOKUP_LAG
        if self.venues.now() < until:
            raise Refusal(
                f"{effect.name} was sent a moment ago, and Alpaca may not list it yet: "
                f"try again at {until:%H:%M:%S} UTC"
            )

    def _require_delivered(self, burn: Effect) -> None:
        """Require that what was burnt is delivered: until then it is on its way, and not lost.

        Where the leg asks for a person before it has an attestation that it trusts, they may say what became
        of the money.
        """
        leg = self.lease.leg(Leg.BRIDGE)
        if leg.is_done:
            return
        kept = leg.notes.get("attestation")
        if kept is None:
            if leg.attention is None:
                raise Refusal(f"the USDC burnt in {burn.reference} waits for Circle's attestation")
            return
        to_base = self.operation.kind is OperationKind.USDC_ALPACA_TO_BASE
        destination = Network.BASE if to_base else Network.ETHEREUM
        transmitter = self.venues.facts(destination).message_transmitter
        used = contracts.used_nonces(transmitter, bytes.fromhex(kept["nonce"]))
        if contracts.decode_uint(self.venues.chain(destination).call(used)) == 0:
            raise Refusal(
                f"the USDC burnt in {burn.reference} is attested and not delivered on {destination} yet: "
                "the next push delivers it"
            )

    # -- what makes a row of Alpaca another one --------------------------------------------------------

    def _unlike_mint(self, effect: Effect, request: TokenizationRequest) -> list[str]:
        intent = effect.intent
        differs = differences(
            ("symbol", request.symbol, intent["symbol"]),
            ("quantity", request.quantity, Decimal(intent["quantity"])),
            ("wallet", request.wallet, intent["wallet"]),
            ("issuer", request.issuer.lower(), intent["issuer"].lower()),
            ("network", request.network.lower(), intent["network"].lower()),
        )
        if request.type not in (None, "mint"):
            differs.append(f"it is a {request.type}")
        if request.client_request_id not in (None, self.operation.id):
            differs.append(f"it is labelled {request.client_request_id}")
        return differs + too_old(effect, request.created_at)


def _is_undecided(row: CryptoTransfer | TokenizationRequest | Order) -> bool:
    if isinstance(row, Order):
        return row.is_open
    if isinstance(row, TokenizationRequest):
        return row.is_pending
    return not (row.is_complete or row.is_failed)
