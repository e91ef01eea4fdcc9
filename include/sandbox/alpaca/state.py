"""Everything the broker remembers, as one document that can be stored, copied and put back."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from include.sandbox.alpaca.journal import Book, Journal

USDC = "USDC"


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
    """All that the broker remembers."""

    cash: Decimal = Decimal(100_000)
    journal: Journal = Journal()
    requests: dict[str, TokenizationRequest] = {}
    replays: dict[str, Replay] = {}
    transfers: dict[str, Transfer] = {}
    whitelist: dict[str, Whitelisted] = {}
    redemptions: dict[str, Incoming] = {}
    deposits: dict[str, Incoming] = {}
    scanned: dict[str, int] = {}  # what is watched for -> last block looked at
    opening: dict[str, dict[str, Decimal]] = {}  # asset -> place -> amount when the world was made
    opening_blocks: dict[str, int] = {}  # chain -> last block before the world's history
    grants: list[str] = []  # transactions in which the sandbox itself gave tokens to the maker

    def held(self, symbol: str) -> Decimal:
        """Return what is promised to accepted mints but not journaled yet."""
        return sum(
            (
                request.qty
                for request in self.requests.values()
                if request.type == "mint" and request.symbol == symbol and request.stage is Stage.ACCEPTED
            ),
            Decimal(0),
        )

    def available(self, asset: str) -> Decimal:
        """Return `qty_available` of a position: nothing held is in it."""
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
