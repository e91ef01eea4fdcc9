"""A real ledger, and venues that say what a test wants."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from include.book import Venues
from include.domain.operation import LEGS, Leg, OperationKind
from include.exits.verbs import Exits
from include.ledger.records import StoredTransaction
from include.settings import Settings
from include.venues.alpaca.models import CryptoTransfer, Order, TokenizationRequest
from include.venues.errors import Unavailable
from include.venues.evm.types import Block, Call, Receipt, Transaction
from tests.support.plans import recorded_check
from tests.unit.ledger.conftest import clock, ledger, ledger_url
from tests.unit.ledger.test_ledger import claim

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from include.ledger.lease import Lease
    from include.ledger.ledger import Ledger
    from include.ledger.records import Effect, Operation
    from tests.support.clock import Clock

__all__ = ["clock", "ledger", "ledger_url"]

WALLET = "0x0Cf5d9eB57d586dD8dd7ae4e77E5DE24bc98129B"
ELSEWHERE = "0x28b5a0e9C621a5BadaA536219b3a228C8168cf5d"
CALL = Call(ELSEWHERE, b"\x01\x02")
HASH, OTHER_HASH = "0x" + "ab" * 32, "0x" + "cd" * 32
DEPTH = 5


@dataclass
class Alpaca:
    """What Alpaca lists."""

    rows: list[CryptoTransfer] = field(default_factory=list)
    requests: list[TokenizationRequest] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    is_down: bool = False

    def order(self, order_id: str) -> Order | None:
        return next((one for one in self.orders if one.id == order_id), None)

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        return next((one for one in self.orders if one.client_order_id == client_order_id), None)

    def transfers(self) -> list[CryptoTransfer]:
        if self.is_down:
            raise Unavailable("no answer")
        return self.rows

    def transfer(self, transfer_id: str) -> CryptoTransfer | None:
        return next((row for row in self.transfers() if row.id == transfer_id), None)

    def tokenization_requests(
        self, *, type: str | None = None, symbol: str | None = None
    ) -> list[TokenizationRequest]:
        return [one for one in self.requests if one.symbol == symbol and type in (None, one.type)]

    def tokenization_request(self, request_id: str) -> TokenizationRequest | None:
        return next((one for one in self.requests if one.id == request_id), None)

    def tokenization_request_by_client_id(self, label: str) -> TokenizationRequest | None:
        return next((one for one in self.requests if one.client_request_id == label), None)


@dataclass
class Base:
    """A chain with the transactions that a test puts on it, by hash with their block."""

    known: dict[str, tuple[Transaction, Receipt]] = field(default_factory=dict)
    number: int = 100
    answer: bytes = bytes(32)

    def put(self, found: Transaction, *, block: int, status: bool = True) -> None:
        receipt = Receipt(found.hash, block, "0x0", status, 50_000, 1, ())
        self.known[found.hash] = (found, receipt)

    def head(self) -> Block:
        return Block(self.number, "0x0", 0)

    def transaction(self, tx_hash: str) -> Transaction | None:
        return self.known[tx_hash][0] if tx_hash in self.known else None

    def receipt(self, tx_hash: str) -> Receipt | None:
        return self.known[tx_hash][1] if tx_hash in self.known else None

    def call(self, _call: Call) -> bytes:
        return self.answer


@dataclass
class Stage:
    """One person, one ledger, and a world that can be arranged."""

    exits: Exits
    ledger: Ledger
    clock: Clock
    alpaca: Alpaca
    base: Base

    def open(self, kind: OperationKind, legs: Sequence[Leg] | None = None) -> Operation:
        asset, amount = ("USDC", 4_000_000_000) if kind.moves_usdc else ("AAPL", 31_000_000_000)
        return claim(self.ledger, self.clock, asset, kind, amount=amount, legs=legs)

    def open_converting(self, kind: OperationKind) -> Operation:
        """Open an operation that turns dollars into USDC, or back."""
        taken_at = self.clock()
        return self.ledger.claim(
            kind=kind,
            asset="USDC",
            amount=4_000_000_000,
            decimals=kind.decimals,
            check_id=recorded_check(self.ledger, taken_at),
            run_id="run-1",
            taken_at=taken_at,
            legs=[leg for leg in LEGS[kind] if leg is Leg.CONVERT or leg in kind.legs],
        )

    def under_lease(self, operation: Operation, act: Callable[[Lease], Any]) -> Any:
        with self.ledger.lease(operation.id, "a leg", timedelta(minutes=1)) as lease:
            return act(lease)

    def withdrawal(self, operation: Operation, status: str = "unknown") -> Effect:
        """Record that a withdrawal was intended, and what became of it as far as is known."""
        intent = {"amount": "4000", "asset": "USDC", "address": WALLET, "chain": "ETH"}
        return self._request(
            operation, Leg.WITHDRAW, "withdrawal_request", intent, status, listed_before=["old"]
        )

    def mint(self, operation: Operation, status: str = "sent") -> Effect:
        intent = {
            "symbol": "AAPL",
            "quantity": "31",
            "issuer": "st0x",
            "network": "base",
            "wallet": WALLET,
            "position": "81",
        }
        return self._request(operation, Leg.MINT, "mint_request", intent, status)

    def order(self, operation: Operation, status: str = "sent") -> Effect:
        """Record that an order for USDC was intended, and what became of it as far as is known."""
        intent = {"side": "buy", "notional": "4000", "client_order_id": operation.id}
        return self._request(operation, Leg.CONVERT, "conversion_order", intent, status, irreversible=False)

    def _request(
        self,
        operation: Operation,
        leg: Leg,
        name: str,
        intent: dict[str, str],
        status: str,
        *,
        irreversible: bool = True,
        **found: Any,
    ) -> Effect:
        def record(lease: Lease) -> Effect:
            effect = lease.intend(leg, name, intent, irreversible=irreversible)
            if status == "intended":
                return effect
            effect = lease.sent(effect, **found)
            moves: dict[str, Callable[[], Effect]] = {
                "sent": lambda: effect,
                "unknown": lambda: lease.unknown(effect, "the answer was lost"),
                "done": lambda: lease.done(effect, f"{name}-1"),
                "not_done": lambda: lease.not_done(effect, "refused"),
            }
            return moves[status]()

        done: Effect = self.under_lease(operation, record)
        return done

    def transaction(
        self, operation: Operation, leg: Leg, name: str, status: str = "sent", *, irreversible: bool = True
    ) -> Effect:
        """Record a signed transaction on Base with nonce 7."""

        def record(lease: Lease) -> Effect:
            stored = StoredTransaction(
                HASH,
                "",
                8453,
                WALLET,
                lease.next_nonce(8453, WALLET) or 7,
                b"\x02",
                1,
                1,
                1,
                self.clock(),
                90,
            )
            intent = {"network": "base", "to": CALL.to, "data": CALL.data.hex()}
            effect = lease.intend_transaction(leg, name, intent, stored, irreversible=irreversible)
            moves: dict[str, Callable[[], Effect]] = {
                "intended": lambda: effect,
                "sent": lambda: lease.sent(effect),
                "done": lambda: lease.done(effect, HASH),
                "not_done": lambda: lease.not_done(effect, "its nonce went to another"),
            }
            return moves[status]()

        done: Effect = self.under_lease(operation, record)
        return done

    def listed(self, transfer_id: str = "transfer-1", **changes: Any) -> CryptoTransfer:
        """Let Alpaca list a transfer that fits `withdrawal`, but for what is given."""
        values = {
            "id": transfer_id,
            "direction": "OUTGOING",
            "status": "PROCESSING",
            "amount": "4000",
            "asset": "USDC",
            "to_address": WALLET,
            "created_at": self.clock().isoformat(),
        }
        row = CryptoTransfer.model_validate(values | changes)
        self.alpaca.rows.append(row)
        return row

    def ordered(self, order_id: str, client_order_id: str, **changes: Any) -> Order:
        """Let Alpaca know an order that fits `order`, but for what is given."""
        values = {
            "id": order_id,
            "client_order_id": client_order_id,
            "symbol": "USDCUSD",
            "side": "buy",
            "status": "new",
            "notional": "4000",
            "filled_qty": "0",
            "created_at": self.clock().isoformat(),
        }
        order = Order.model_validate(values | changes)
        self.alpaca.orders.append(order)
        return order

    def requested(self, request_id: str = "request-1", **changes: Any) -> TokenizationRequest:
        """Let Alpaca list a request that fits `mint`, but for what is given."""
        values = {
            "id": request_id,
            "type": "mint",
            "status": "pending",
            "symbol": "AAPL",
            "quantity": "31",
            "issuer": "St0x",
            "network": "Base",
            "wallet": WALLET,
            "created_at": self.clock().isoformat(),
        }
        request = TokenizationRequest.model_validate(values | changes)
        self.alpaca.requests.append(request)
        return request


@pytest.fixture
def stage(ledger: Ledger, clock: Clock) -> Stage:
    alpaca, base = Alpaca(), Base()
    doubles: Any = alpaca, base
    venues = Venues(
        settings=Settings(base_confirmations=DEPTH, ethereum_confirmations=DEPTH),
        alpaca=doubles[0],
        ethereum=doubles[1],
        base=doubles[1],
        attestations=None,  # type: ignore[arg-type]  # no exit asks Circle
        now=clock,
    )
    return Stage(Exits(venues, ledger, "ada"), ledger, clock, alpaca, base)
