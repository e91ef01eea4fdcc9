"""What Alpaca answers, as frozen models.

They require only what a decision needs and ignore what they do not know, since Alpaca adds and removes
fields. Amounts are Decimal in units of the asset; moments carry a time zone.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from include.venues.alpaca import values


class OpenEnum(StrEnum):
    """A set of words that the venue may extend: an unknown one is kept as its text."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str) or not value:
            return None
        for member in cls:
            if member.value.lower() == value.lower():
                return member
        unknown = str.__new__(cls, value)
        unknown._name_ = value
        unknown._value_ = value
        return unknown


class TokenizationType(OpenEnum):
    """The two directions of tokenization."""

    MINT = "mint"
    REDEEM = "redeem"


class TokenizationStatus(OpenEnum):
    """How far a tokenization request has come. The last two are final."""

    PENDING = "pending"
    COMPLETED = "completed"
    REJECTED = "rejected"


class TransferDirection(OpenEnum):
    """Which way a crypto transfer goes, seen from Alpaca."""

    INCOMING = "INCOMING"
    OUTGOING = "OUTGOING"


class TransferStatus(OpenEnum):
    """How far a crypto transfer has come. COMPLETE may precede both the hash and what the chain shows."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETE = "COMPLETE"
    FAILED = "FAILED"


class WhitelistStatus(OpenEnum):
    """Whether withdrawals to an address are allowed. A new address stays PENDING for a day."""

    PENDING = "PENDING"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"


class OrderSide(OpenEnum):
    """Whether an order gives dollars or takes them."""

    BUY = "buy"
    SELL = "sell"


class OrderStatus(OpenEnum):
    """How far an order has come. See `Order.is_open` and `Order.is_final`."""

    ACCEPTED = "accepted"
    ACCEPTED_FOR_BIDDING = "accepted_for_bidding"
    PENDING_NEW = "pending_new"
    HELD = "held"
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    DONE_FOR_DAY = "done_for_day"
    STOPPED = "stopped"
    SUSPENDED = "suspended"
    CALCULATED = "calculated"
    PENDING_CANCEL = "pending_cancel"
    PENDING_REPLACE = "pending_replace"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    REPLACED = "replaced"


_FINAL = frozenset({OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.REJECTED})
# A replaced order goes on as another one, which we never ask for: that is for a person.
_OPEN = frozenset(OrderStatus) - _FINAL - {OrderStatus.REPLACED}
_USDC_SYMBOLS = frozenset({"USDCUSD", "USDC/USD", "USDC"})

Amount = Annotated[Decimal, BeforeValidator(values.decimal)]
MaybeAmount = Annotated[
    Decimal | None,
    BeforeValidator(lambda value: value if value is None else values.decimal(value)),
    BeforeValidator(values.blank_is_none),
]
Moment = Annotated[datetime, BeforeValidator(values.moment)]
MaybeMoment = Annotated[
    datetime | None,
    BeforeValidator(lambda value: value if value is None else values.moment(value)),
    BeforeValidator(values.blank_is_none),
]
Text = Annotated[str, Field(min_length=1)]
MaybeText = Annotated[str | None, BeforeValidator(values.blank_is_none)]
MaybeHash = Annotated[str | None, BeforeValidator(values.tx_hash)]
MaybeAddress = Annotated[str | None, BeforeValidator(values.address)]
Flag = Annotated[bool, BeforeValidator(lambda value: False if value is None else value)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Account(_Model):
    """The trading account. Dollar amounts.

    `cash` includes sales that are not settled yet; `cash_withdrawable` and `non_marginable_buying_power`
    do not.
    """

    id: Text
    status: Text
    crypto_status: MaybeText = None
    currency: MaybeText = None
    cash: Amount
    cash_withdrawable: MaybeAmount = None
    cash_transferable: MaybeAmount = None
    buying_power: MaybeAmount = None
    non_marginable_buying_power: MaybeAmount = None
    equity: MaybeAmount = None
    trading_blocked: Flag = False
    account_blocked: Flag = False
    transfers_blocked: Flag = False
    trade_suspended_by_user: Flag = False

    @property
    def is_active(self) -> bool:
        """Whether the account is open and nothing on it is blocked."""
        blocked = self.trading_blocked or self.account_blocked or self.transfers_blocked
        return self.status == "ACTIVE" and not blocked

    @property
    def settled_cash(self) -> Decimal | None:
        """Dollars that can become USDC: the least that Alpaca says is settled, or None if it does not say.

        It is never above `cash` and never below 0.
        """
        said = [c for c in (self.cash_withdrawable, self.non_marginable_buying_power) if c is not None]
        return max(min(*said, self.cash), Decimal(0)) if said else None


class Position(_Model):
    """What the account holds of one asset. A short position has negative quantities."""

    symbol: Text
    asset_class: Text
    side: MaybeText = None
    quantity: Amount = Field(validation_alias=AliasChoices("qty", "quantity"))
    available: Amount = Field(validation_alias=AliasChoices("qty_available", "available"))

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, data: Any) -> Any:
        """Take all of a position as available where Alpaca does not say, and give a short one its sign."""
        if not isinstance(data, dict):
            return data
        data = dict(data)
        if data.get("qty_available") is None and "available" not in data:
            data["qty_available"] = data.get("qty", data.get("quantity"))
        if data.get("side") == "short":
            for name in ("qty", "qty_available", "quantity", "available"):
                if data.get(name) is not None:
                    data[name] = -abs(values.decimal(data[name]))
        return data

    @property
    def is_usdc(self) -> bool:
        """Whether this is the USDC held, which Alpaca lists under the symbol of its pair with the dollar."""
        return self.asset_class == "crypto" and self.symbol in _USDC_SYMBOLS


class Asset(_Model):
    """A tradable asset."""

    id: Text
    symbol: Text
    asset_class: Text = Field(validation_alias=AliasChoices("class", "asset_class"))
    name: MaybeText = None
    status: Text
    tradable: bool
    fractionable: Flag = False
    attributes: tuple[str, ...] = ()


class TokenizationRequest(_Model):
    """A mint or a redemption, as Alpaca sees it.

    The answer to a mint is leaner than the same request read again: it lacks `type`, `wallet` and `fees`.
    While a request is pending, `tx_hash` and `token_symbol` may be missing.
    """

    id: Text = Field(validation_alias=AliasChoices("tokenization_request_id", "id"))
    type: Annotated[TokenizationType | None, BeforeValidator(values.blank_is_none)] = None
    status: TokenizationStatus
    symbol: Text = Field(validation_alias=AliasChoices("underlying_symbol", "symbol"))
    token_symbol: MaybeText = None
    quantity: Amount = Field(validation_alias=AliasChoices("qty", "quantity"))
    issuer: Text
    network: Text
    wallet: MaybeAddress = Field(default=None, validation_alias=AliasChoices("wallet_address", "wallet"))
    tx_hash: MaybeHash = None
    fees: MaybeAmount = None
    client_request_id: MaybeText = None
    created_at: Moment
    updated_at: MaybeMoment = None

    @property
    def is_pending(self) -> bool:
        """Whether it may still change. An unknown status is neither pending, completed nor rejected."""
        return self.status == TokenizationStatus.PENDING

    @property
    def is_completed(self) -> bool:
        """Whether Alpaca calls it done."""
        return self.status == TokenizationStatus.COMPLETED

    @property
    def is_rejected(self) -> bool:
        """Whether it came to nothing. Alpaca gives no reason."""
        return self.status == TokenizationStatus.REJECTED


class CryptoTransfer(_Model):
    """A deposit (INCOMING) or a withdrawal (OUTGOING) of crypto.

    Fees are taken out of `amount`, and `network_fee` changes from one read to the next: what arrived is
    only on the chain.
    """

    id: Text
    direction: TransferDirection
    status: TransferStatus
    amount: Amount
    asset: Text
    chain: MaybeText = None
    from_address: MaybeAddress = None
    to_address: MaybeAddress = None
    tx_hash: MaybeHash = None
    network_fee: MaybeAmount = None
    fees: MaybeAmount = None
    created_at: Moment

    @property
    def is_incoming(self) -> bool:
        """Whether this is a deposit. An outgoing row can carry the same hash."""
        return self.direction == TransferDirection.INCOMING

    @property
    def is_outgoing(self) -> bool:
        """Whether this is a withdrawal."""
        return self.direction == TransferDirection.OUTGOING

    @property
    def is_complete(self) -> bool:
        """Whether Alpaca calls it done."""
        return self.status == TransferStatus.COMPLETE

    @property
    def is_failed(self) -> bool:
        """Whether Alpaca calls it failed. With a hash beside it, that is contradictory and for a person."""
        return self.status == TransferStatus.FAILED


class Order(_Model):
    """An order, as far as converting dollars and USDC needs it. Quantities are exact, up to 9 decimals.

    An order by `notional` (dollars) has no `qty` until it is filled. `filled_qty` may still grow until the
    order is final, also after its cancellation was accepted.
    """

    id: Text
    client_order_id: Text
    symbol: Text
    side: OrderSide
    status: OrderStatus
    qty: MaybeAmount = None
    notional: MaybeAmount = None
    filled_qty: Amount
    filled_avg_price: MaybeAmount = None
    created_at: Moment

    @property
    def is_open(self) -> bool:
        """Whether it may still be filled. An unknown status is neither open nor final."""
        return self.status in _OPEN

    @property
    def is_final(self) -> bool:
        """Whether `filled_qty` will not change any more: filled, canceled, expired or rejected."""
        return self.status in _FINAL

    @property
    def is_usdc(self) -> bool:
        """Whether it trades USDC against the dollar."""
        return self.symbol in _USDC_SYMBOLS


class WhitelistedAddress(_Model):
    """An address that USDC may be, or will be allowed to be, withdrawn to."""

    id: Text
    address: Annotated[Text, BeforeValidator(values.address)]
    asset: Text
    chain: MaybeText = None
    status: WhitelistStatus
    created_at: MaybeMoment = None

    @property
    def is_approved(self) -> bool:
        """Whether withdrawals to it are accepted now."""
        return self.status == WhitelistStatus.APPROVED
