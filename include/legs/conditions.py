"""What a waiting leg waits for.

A condition only looks. It is what a trigger polls, so it is small, can be written as JSON, and is never
believed: a condition that holds makes the leg look again for itself.

`holds` looks for one wait. `told_by` judges what was read for many, which `include.watch` does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from include.book import Network, Venues

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from include.venues.alpaca.models import CryptoTransfer, TokenizationRequest
    from include.venues.cctp.answers import AttestedMessage


class Condition(ABC):
    """Something that will be true of the outside world."""

    name: ClassVar[str]
    _known: ClassVar[dict[str, type[Condition]]] = {}

    def __init_subclass__(cls) -> None:
        Condition._known[cls.name] = cls

    @abstractmethod
    def holds(self, venues: Venues) -> bool:
        """Look once.

        :raises VenueError: when the venue cannot be asked.
        """

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"name": self.name, **asdict(self)}  # type: ignore[call-overload]  # every subclass is a dataclass

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Condition:
        """Read back what `to_dict` wrote."""
        values = dict(data)
        return Condition._known[values.pop("name")](**values)


@dataclass(frozen=True)
class Until(Condition):
    """A moment has come. `moment` is ISO 8601 with a time zone."""

    name: ClassVar[str] = "until"
    moment: str

    @classmethod
    def at(cls, moment: datetime) -> Until:
        """Wait for a moment."""
        return cls(moment.isoformat())

    def holds(self, venues: Venues) -> bool:
        """Compare the clock."""
        return venues.now() >= datetime.fromisoformat(self.moment)


@dataclass(frozen=True)
class NonceSpent(Condition):
    """A transaction with this nonce is mined, and deep enough to be trusted."""

    name: ClassVar[str] = "nonce_spent"
    network: str
    sender: str
    nonce: int

    def holds(self, venues: Venues) -> bool:
        """Ask for the sender's nonce at the block that is deep enough."""
        network = Network(self.network)
        chain = venues.chain(network)
        trusted = chain.head().number - venues.confirmations(network) + 1
        return trusted >= 0 and chain.nonce(self.sender, block=trusted) > self.nonce


@dataclass(frozen=True)
class TransactionTrusted(Condition):
    """Somebody else's transaction is mined, and deep enough to be trusted."""

    name: ClassVar[str] = "transaction_trusted"
    network: str
    transaction_hash: str

    def holds(self, venues: Venues) -> bool:
        """Ask for the receipt and the head."""
        network = Network(self.network)
        chain = venues.chain(network)
        receipt = chain.receipt(self.transaction_hash)
        if receipt is None:
            return False
        return chain.head().number - receipt.block_number + 1 >= venues.confirmations(network)


@dataclass(frozen=True)
class Attested(Condition):
    """Circle has attested a message of a burn."""

    name: ClassVar[str] = "attested"
    source_domain: int
    transaction_hash: str

    def holds(self, venues: Venues) -> bool:
        """Ask the attestation service."""
        return self.told_by(venues.attestations.messages(self.source_domain, self.transaction_hash))

    def told_by(self, messages: Iterable[AttestedMessage]) -> bool:
        """Judge the messages of the burn."""
        return any(message.is_ready for message in messages)


@dataclass(frozen=True)
class Reattested(Condition):
    """Circle has attested a message again, so that it expires later or never.

    `attestation` is the one at hand, as hex.
    """

    name: ClassVar[str] = "reattested"
    source_domain: int
    transaction_hash: str
    attestation: str

    def holds(self, venues: Venues) -> bool:
        """Ask the attestation service whether it answers with other signatures now."""
        return self.told_by(venues.attestations.messages(self.source_domain, self.transaction_hash))

    def told_by(self, messages: Iterable[AttestedMessage]) -> bool:
        """Judge the messages of the burn."""
        return any(
            message.is_ready
            and message.attestation is not None
            and message.attestation.hex() != self.attestation
            for message in messages
        )


@dataclass(frozen=True)
class TokenizationDecided(Condition):
    """Alpaca has completed or rejected a tokenization request."""

    name: ClassVar[str] = "tokenization_decided"
    request_id: str

    @property
    def row(self) -> str:
        """What the request is found by in Alpaca's list."""
        return self.request_id

    def holds(self, venues: Venues) -> bool:
        """Ask Alpaca for the request."""
        request = venues.alpaca.tokenization_request(self.request_id)
        return request is not None and self.told_by(request)

    def told_by(self, request: TokenizationRequest) -> bool:
        """Judge the request."""
        return not request.is_pending


@dataclass(frozen=True)
class RedemptionDecided(Condition):
    """Alpaca has seen the tokens we sent, and credited or rejected them."""

    name: ClassVar[str] = "redemption_decided"
    symbol: str
    transaction_hash: str

    @property
    def row(self) -> str:
        """What the redemption is found by in Alpaca's list."""
        return self.transaction_hash

    def holds(self, venues: Venues) -> bool:
        """Ask Alpaca for the redemptions of the symbol."""
        return any(
            request.tx_hash == self.transaction_hash and self.told_by(request)
            for request in venues.alpaca.tokenization_requests(type="redeem", symbol=self.symbol)
        )

    def told_by(self, request: TokenizationRequest) -> bool:
        """Judge a request that has our transaction."""
        return request.type == "redeem" and not request.is_pending


@dataclass(frozen=True)
class WithdrawalDecided(Condition):
    """Alpaca has sent a withdrawal, or failed to."""

    name: ClassVar[str] = "withdrawal_decided"
    transfer_id: str

    @property
    def row(self) -> str:
        """What the withdrawal is found by in Alpaca's list."""
        return self.transfer_id

    def holds(self, venues: Venues) -> bool:
        """Ask Alpaca for the transfer."""
        transfer = venues.alpaca.transfer(self.transfer_id)
        return transfer is not None and self.told_by(transfer)

    def told_by(self, transfer: CryptoTransfer) -> bool:
        """Judge the transfer."""
        return transfer.is_failed or (transfer.is_complete and transfer.tx_hash is not None)


@dataclass(frozen=True)
class DepositDecided(Condition):
    """Alpaca has credited what we sent to the deposit address, or refused it."""

    name: ClassVar[str] = "deposit_decided"
    transaction_hash: str

    @property
    def row(self) -> str:
        """What the deposit is found by in Alpaca's list."""
        return self.transaction_hash

    def holds(self, venues: Venues) -> bool:
        """Ask Alpaca for its transfers."""
        return any(
            transfer.tx_hash == self.transaction_hash and self.told_by(transfer)
            for transfer in venues.alpaca.transfers()
        )

    def told_by(self, transfer: CryptoTransfer) -> bool:
        """Judge a transfer that has our transaction."""
        return transfer.is_incoming and (transfer.is_complete or transfer.is_failed)


@dataclass(frozen=True)
class OrderDecided(Condition):
    """Nothing more will be filled of an order at Alpaca, or nobody knows what its status means."""

    name: ClassVar[str] = "order_decided"
    order_id: str

    def holds(self, venues: Venues) -> bool:
        """Ask Alpaca for the order."""
        order = venues.alpaca.order(self.order_id)
        return order is not None and not order.is_open
