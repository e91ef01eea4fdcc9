"""Alpaca's orders in memory: takes an id once, and fills, hides and forgets as a test says."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from include.book import Book, Venues
from include.domain.operation import LEGS, Leg, OperationKind, OperationStatus
from include.legs.convert import ORDER, Convert
from include.legs.leg import Closed, Done, Wait, advance
from include.settings import Settings
from include.venues.alpaca.errors import (
    AlpacaOutcomeUnknown,
    AlpacaRefused,
    AlpacaUnavailable,
    DuplicateOrder,
    InsufficientPosition,
    NoQuote,
)
from include.venues.alpaca.models import Account, Order, Position, WhitelistedAddress
from include.venues.alpaca.orders import Cancellation
from include.venues.evm.types import Block
from tests.support.chain import WALLET, PlainSigner
from tests.support.plans import recorded_check

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from include.ledger.ledger import Ledger
    from include.ledger.records import Effect, LegState, Operation
    from include.legs.leg import Outcome
    from include.venues.evm.types import Call
    from tests.support.clock import Clock

REFUSALS = {
    "no quote": NoQuote("no available quote for symbol USDCUSD"),
    "unavailable": AlpacaUnavailable("no connection", retry_after=42),
    "insufficient": InsufficientPosition("insufficient buying power"),
    "refused": AlpacaRefused("trading is suspended", status=403),
}
"""What is answered to an order that is not taken."""
LOST = AlpacaOutcomeUnknown("the connection was lost")
AMOUNT = 4_000_123_456  # 4000.123456 USDC
FINAL = ("filled", "canceled", "expired", "rejected")


@dataclass
class Exchange:
    """The account, its orders, and what happens to the next requests.

    :param answers: to the next orders: a key of `REFUSALS`; `lost` for one that is taken and `never` for one
        that is not, without an answer; `duplicate`; anything else takes it.
    :param blind: how many of the next lookups do not find what is there.
    :param reach: told of every request before it arrives, and of every order after it is taken.
    """

    clock: Clock
    cash: Decimal = Decimal(100_000)
    settled: Decimal | None = Decimal(100_000)
    usdc: Decimal = Decimal(0)
    price: Decimal = Decimal("1.0017")
    answers: deque[str] = field(default_factory=deque)
    blind: int = 0
    books_late: Decimal = Decimal(0)
    orders: list[Order] = field(default_factory=list)
    posted: list[tuple[str, Decimal]] = field(default_factory=list)
    cancels: list[str] = field(default_factory=list)
    cancel_error: Exception | None = None
    cancels_at_once: bool = True
    read_error: Exception | None = None
    is_whitelisted: bool = True
    reach: Callable[[str], None] = lambda _what: None

    # What the leg asks

    def whitelist(self) -> list[WhitelistedAddress]:
        status = "APPROVED" if self.is_whitelisted else "PENDING"
        row = {"id": "w", "address": WALLET, "asset": "USDC", "chain": "ETH", "status": status}
        return [WhitelistedAddress.model_validate(row)]

    def positions(self) -> list[Position]:
        self._asked("positions")
        rows = [("AAPL", "us_equity", Decimal(7)), ("USDCUSD", "crypto", self.usdc)]
        return [
            Position.model_validate(
                {"symbol": symbol, "asset_class": kind, "qty": amount, "qty_available": amount}
            )
            for symbol, kind, amount in rows
            if amount
        ]

    def account(self) -> Account:
        self._asked("account")
        return Account.model_validate(
            {"id": "a", "status": "ACTIVE", "cash": self.cash, "cash_withdrawable": self.settled}
        )

    def buy_usdc(self, notional: Decimal, client_order_id: str) -> Order:
        assert notional == notional.quantize(Decimal("0.01"))
        return self._take("buy", notional, client_order_id, notional=notional)

    def sell_usdc(self, quantity: Decimal, client_order_id: str) -> Order:
        assert quantity == quantity.quantize(Decimal("0.000001"))
        return self._take("sell", quantity, client_order_id, qty=quantity)

    def order(self, order_id: str) -> Order | None:
        self._asked("order")
        return next((one for one in self._seen() if one.id == order_id), None)

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        self._asked("order by our id")
        return next((one for one in self._seen() if one.client_order_id == client_order_id), None)

    def cancel_order(self, order_id: str) -> Cancellation:
        self.reach("cancel")
        self.cancels.append(order_id)
        if self.cancel_error is not None:
            raise self.cancel_error
        [order] = [one for one in self.orders if one.id == order_id]
        if order.status in FINAL or order.status == "pending_cancel":
            return Cancellation.NOT_CANCELABLE
        self.change(status="canceled" if self.cancels_at_once else "pending_cancel")
        return Cancellation.ACCEPTED

    # What a test does

    @property
    def one(self) -> Order:
        """The only order there is."""
        [order] = self.orders
        return order

    def change(self, **values: Any) -> None:
        """Change the only order."""
        order = self.one
        self.orders = [Order.model_validate({**order.model_dump(), **values})]

    def fill(self, quantity: str, status: str = "filled") -> None:
        """Fill the only order up to a quantity of USDC, and book it."""
        order, filled = self.one, Decimal(quantity)
        sign = 1 if order.side == "buy" else -1
        self.usdc += sign * (filled - order.filled_qty) - self.books_late
        self.cash -= sign * ((filled - order.filled_qty) * self.price).quantize(Decimal("0.01"))
        self.settled = self.cash
        self.change(filled_qty=filled, filled_avg_price=self.price if filled else None, status=status)

    def fill_all(self) -> None:
        """Fill the only order as far as its dollars or its USDC go."""
        order = self.one
        whole = order.qty or ((order.notional or 0) / self.price).quantize(Decimal("1e-9"))
        self.fill(str(whole))

    def _take(self, side: str, amount: Decimal, client_order_id: str, **size: Decimal) -> Order:
        self.reach("post")
        self.posted.append((side, amount))
        answer = self.answers.popleft() if self.answers else "taken"
        if answer in REFUSALS:
            raise REFUSALS[answer]
        if answer == "never":
            raise LOST
        if answer == "duplicate" or any(one.client_order_id == client_order_id for one in self.orders):
            raise DuplicateOrder("client_order_id must be unique", status=422)
        order = Order.model_validate(
            {
                "id": f"order-{len(self.orders) + 1}",
                "client_order_id": client_order_id,
                "symbol": "USDCUSD",
                "side": side,
                "status": "pending_new",
                "filled_qty": Decimal(0),
                "created_at": self.clock(),
                **size,
            }
        )
        self.orders.append(order)
        self.reach("taken")
        if answer == "lost":
            raise LOST
        return order

    def _seen(self) -> list[Order]:
        if self.blind:
            self.blind -= 1
            return []
        return self.orders

    def _asked(self, what: str) -> None:
        self.reach(what)
        if self.read_error is not None:
            raise self.read_error


class Chain:
    """A chain on which nothing is in the way of USDC."""

    def __init__(self, gas: int = 10**18) -> None:
        self.gas = gas

    def head(self) -> Block:
        return Block(100, "0x0", 0)

    def balance(self, _address: str) -> int:
        return self.gas

    def call(self, _call: Call) -> bytes:
        return (10**15).to_bytes(32, "big")

    def multicall(self, calls: Sequence[Call]) -> Any:
        @dataclass
        class Answer:
            results: list[bytes]

        return Answer([bytes(32) for _ in calls])


@dataclass
class Desk:
    """A book with orders in memory, and one operation whose next leg is the conversion."""

    book: Book
    exchange: Exchange
    clock: Clock
    operation: Operation

    @property
    def ledger(self) -> Ledger:
        return self.book.ledger

    @property
    def orders(self) -> list[Effect]:
        """The attempts to order, oldest first."""
        found = [one for one in self.ledger.effects(self.operation.id) if one.name == ORDER]
        return sorted(found, key=lambda one: one.attempt)

    @property
    def leg(self) -> LegState:
        return next(leg for leg in self.ledger.legs(self.operation.id) if leg.name is Leg.CONVERT)

    @property
    def status(self) -> OperationStatus:
        return self.ledger.operation(self.operation.id).status

    @property
    def conversion(self) -> dict[str, Any]:
        """What is noted for those who book it."""
        noted: dict[str, Any] = self.leg.notes["conversion"]
        return noted

    def push(self) -> Outcome:
        return advance(self.book, self.operation.id, Convert, "test")

    def waits(self, **passes: float) -> Wait:
        """Push, expect that it waits, and let time pass."""
        outcome = self.push()
        assert isinstance(outcome, Wait), outcome
        self.clock.pass_(**passes)
        return outcome

    def done(self) -> Done:
        outcome = self.push()
        assert isinstance(outcome, Done), outcome
        return outcome

    def cancelled(self) -> str:
        outcome = self.push()
        assert isinstance(outcome, Closed), outcome
        assert outcome.status is self.status is OperationStatus.CANCELLED
        return outcome.outcome


def open_desk(
    ledger: Ledger, clock: Clock, kind: OperationKind, amount: int = AMOUNT, **settings: Any
) -> Desk:
    """Open an operation and bring it to its conversion."""
    taken_at = clock()
    legs = tuple(leg for leg in LEGS[kind] if leg is Leg.CONVERT or leg in kind.legs)
    operation = ledger.claim(
        kind=kind,
        asset="USDC",
        amount=amount,
        decimals=6,
        check_id=recorded_check(ledger, taken_at),
        run_id="run-1",
        taken_at=taken_at,
        legs=legs,
    )
    with ledger.lease(operation.id, "before", timedelta(minutes=1)) as lease:
        for leg in legs[: legs.index(Leg.CONVERT)]:
            lease.done(lease.sent(lease.intend(leg, "payment", {}, irreversible=True)), f"paid-{leg}")
            lease.finish(leg, amount_out=amount)
    exchange, chain, nothing = Exchange(clock), Chain(), None
    doubles: Any = exchange, chain, nothing
    venues = Venues(
        settings=Settings(wallet=WALLET, dollars="usd", **settings),
        alpaca=doubles[0],
        ethereum=doubles[1],
        base=doubles[1],
        attestations=doubles[2],
        now=clock,
    )
    if kind is OperationKind.USDC_BASE_TO_ALPACA:
        exchange.usdc = Decimal(amount).scaleb(-6)
    return Desk(Book(venues, ledger, PlainSigner()), exchange, clock, operation)
