"""Everything the broker remembers, as one document that can be stored, copied and put back."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from include.sandbox.alpaca.journal import Book, Journal

USDC, USD = "USDC", "USD"
OPENING_CASH = Decimal(100_000)
OPENED_AT = datetime(2026, 1, 2, 15, 0, tzinfo=UTC)
FINAL = frozenset({"filled", "canceled", "expired", "rejected"})


class Stage(StrEnum):
    """How far a piece of work has come. What the API shows as one status can be several stages."""

    ACCEPTED = "accepted"
    JOURNALED = "journaled"  # mint: shares with the issuer; withdrawal: ready to be sent
    SENDING = "sending"  # a transaction is signed and belongs to this work
    DONE = "done"


class Outgoing(BaseModel):
    """A transaction that was signed before it was sent. `raw` is hex; the same bytes are sent each time."""

    raw: str
    hash: str
    nonce: int
    signer: str


class Work(BaseModel):
    """Common to all that the broker does over time.

    :param due: when the next step may be taken.
    :param fate: the fault that was drawn for this piece, if any.
    :param outgoing: the transaction that pays or mints, once it is signed.
    """

    id: str
    created_at: datetime
    updated_at: datetime
    stage: Stage = Stage.ACCEPTED
    due: datetime
    fate: str | None = None
    outgoing: Outgoing | None = None

    def stuck(self) -> bool:
        """Tell whether nothing more happens until the fate is lifted."""
        return self.fate == "stuck"


class TokenizationRequest(Work):
    """A mint or a redemption. `qty` is in shares, at most 9 decimals."""

    type: str
    status: str = "pending"
    symbol: str
    qty: Decimal
    issuer: str
    network: str
    wallet_address: str
    tx_hash: str = ""
    client_request_id: str | None = None
    issuer_request_id: str | None = None
    dust: Decimal = Decimal(0)  # of a redemption: the part of the tokens below the 9th decimal

    def stuck(self) -> bool:
        """Tell whether nothing more happens for now: a mint is stuck before or after its journal."""
        if self.type == "mint" and self.stage is Stage.ACCEPTED:
            return self.fate == "stuck_accepted"
        return super().stuck()


class Transfer(Work):
    """A deposit or withdrawal of USDC. `amount` and `fees` are whole USDC; `fees` are part of `amount`."""

    direction: str
    status: str = "PROCESSING"
    amount: Decimal
    fees: Decimal = Decimal(0)
    from_address: str
    to_address: str
    tx_hash: str | None = None


class Whitelisted(Work):
    """An address to which USDC may be withdrawn."""

    address: str
    asset: str = USDC
    chain: str = "ETH"
    status: str = "PENDING"
    travel_rule_info: dict[str, Any] | None = None


class Fill(BaseModel):
    """A part of an order that was filled.

    :param qty: USDC, at most 9 decimals; before the fee.
    :param dollars: what was paid or got for it, in whole cents; before the fee.
    :param value: what the USDC was worth in the middle between bid and ask.
    :param fee: in what came in: USDC of a purchase, dollars of a sale.
    :param booked: whether cash and position show it.
    """

    at: datetime
    qty: Decimal
    dollars: Decimal
    value: Decimal
    fee: Decimal
    booked: bool = False


class Order(Work):
    """A market order for USDC against dollars, by `notional` (dollars) or `qty` (USDC).

    :param reserved: what it may take at most: dollars of a purchase, USDC of a sale.
    """

    client_order_id: str
    side: str
    time_in_force: str
    qty: Decimal | None = None
    notional: Decimal | None = None
    reserved: Decimal
    status: str = "new"
    fills: list[Fill] = []
    canceled_at: datetime | None = None

    @property
    def takes(self) -> str:
        """Return the asset that it takes out of the account."""
        return USD if self.side == "buy" else USDC

    @property
    def filled_qty(self) -> Decimal:
        """Return the USDC that was bought or sold."""
        return sum((fill.qty for fill in self.fills), Decimal(0))

    @property
    def filled_dollars(self) -> Decimal:
        """Return the dollars that were paid or got."""
        return sum((fill.dollars for fill in self.fills), Decimal(0))

    def unbooked(self) -> list[Fill]:
        """Return the fills that cash and position do not show yet."""
        return [fill for fill in self.fills if not fill.booked]

    def hold(self) -> Decimal:
        """Return what is kept from other uses: what it may still take, and what it took unbooked."""
        taken = {fill.booked: Decimal(0) for fill in self.fills} | {True: Decimal(0), False: Decimal(0)}
        for fill in self.fills:
            taken[fill.booked] += fill.dollars if self.side == "buy" else fill.qty
        return taken[False] if self.status in FINAL else self.reserved - taken[True]

    def stuck(self) -> bool:
        """Tell whether nothing more happens for now."""
        if self.unbooked():
            return False
        waits_at = {
            "stuck": ("new",),
            "fill_anyway": ("new",),
            "slow_cancel": ("new", "pending_cancel"),
            "partial": ("partially_filled",),
        }
        return self.status in waits_at.get(self.fate or "", ())


class Incoming(BaseModel):
    """A token transfer that was found on a chain. `amount` is in base units."""

    key: str  # transaction hash and log index: what makes it one of a kind
    asset: str
    sender: str
    amount: int
    block: int
    transaction_hash: str
    seen_at: datetime
    fate: str | None = None
    handled: bool = False


class Replay(BaseModel):
    """A mint that an Idempotency-Key stands for."""

    body: dict[str, Any]
    request_id: str
    answer: dict[str, Any]


class State(BaseModel):
    """All that the broker remembers. A new account begins with cash, whatever else it is given."""

    journal: Journal = Journal()
    requests: dict[str, TokenizationRequest] = {}
    replays: dict[str, Replay] = {}
    transfers: dict[str, Transfer] = {}
    orders: dict[str, Order] = {}
    whitelist: dict[str, Whitelisted] = {}
    redemptions: dict[str, Incoming] = {}
    deposits: dict[str, Incoming] = {}
    scanned: dict[str, int] = {}  # what is watched for -> last block looked at
    opening: dict[str, dict[str, Decimal]] = {}  # asset -> place -> amount when the world was made
    opening_blocks: dict[str, int] = {}  # chain -> last block before the world's history
    grants: list[str] = []  # transactions in which the sandbox itself gave tokens to the maker

    def model_post_init(self, _context: object) -> None:
        """Put in the opening cash, unless the books know of dollars already."""
        if USD not in self.journal.assets():
            self.journal.move(USD, OPENING_CASH, Book.OPENING, Book.MAKER, memo="opening cash", at=OPENED_AT)

    @property
    def cash(self) -> Decimal:
        """Return all dollars of the account: unsettled ones, and those that open orders hold, are in it."""
        return self.journal.balance(Book.MAKER, USD) + self.journal.balance(Book.UNSETTLED, USD)

    def held(self, asset: str) -> Decimal:
        """Return what is promised to accepted mints but not journaled yet, and what open orders hold."""
        minting = sum(
            (
                request.qty
                for request in self.requests.values()
                if request.type == "mint" and request.symbol == asset and request.stage is Stage.ACCEPTED
            ),
            Decimal(0),
        )
        return minting + self.ordered(asset)

    def ordered(self, asset: str) -> Decimal:
        """Return what orders that are not done hold of USDC or dollars."""
        orders = (order for order in self.orders.values() if order.stage is not Stage.DONE)
        return sum((order.hold() for order in orders if order.takes == asset), Decimal(0))

    def available(self, asset: str) -> Decimal:
        """Return `qty_available` of a position, or the cash that can be withdrawn: nothing held is in it."""
        return self.journal.balance(Book.MAKER, asset) - self.held(asset)

    def position(self, asset: str) -> Decimal:
        """Return `qty` of a position: a withdrawal lowers it only when it is complete."""
        books = (Book.MAKER, Book.WITHDRAWING, Book.WITHHELD)
        return sum((self.journal.balance(book, asset) for book in books), Decimal(0))

    def open_work(self) -> list[Work]:
        """Return everything that is not finished, oldest first."""
        everything: list[Work] = [
            *self.requests.values(),
            *self.transfers.values(),
            *self.whitelist.values(),
            *self.orders.values(),
        ]
        return sorted((w for w in everything if w.stage is not Stage.DONE), key=lambda w: w.created_at)


def new_id() -> str:
    """Return a fresh UUID, as every row of the broker has one."""
    return str(uuid.uuid4())


def plain_number(value: Decimal) -> str:
    """Write a number as the API does: no exponent, no trailing zeros."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def parse_number(value: object) -> Decimal | None:
    """Read a decimal that came as a string, or return None if it is not a finite number."""
    if not isinstance(value, str):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def decimals(value: Decimal) -> int:
    """Return how many decimals a number needs."""
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def floor_to(value: Decimal, places: int) -> Decimal:
    """Round towards zero to a number of decimals."""
    return value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_DOWN)


def utc_now() -> datetime:
    """Return the time of the machine, the default clock."""
    return datetime.now(UTC)
