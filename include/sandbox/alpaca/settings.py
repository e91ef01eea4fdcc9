"""What can be set about the simulated broker while it runs."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Latencies(BaseModel):
    """Seconds that each step takes."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    answer: float = Field(default=0.0, ge=0)  # added to every HTTP answer
    mint_journal: float = Field(default=0.3, ge=0)  # accepted -> shares journaled to the issuer
    mint_token: float = Field(default=0.5, ge=0)  # journaled -> the issuer sends the mint
    redemption_seen: float = Field(default=0.5, ge=0)  # mined transfer -> the row is listed
    redemption_credit: float = Field(default=0.5, ge=0)  # listed -> shares credited
    withdrawal_processing: float = Field(default=0.3, ge=0)  # accepted -> ready to be sent
    withdrawal_broadcast: float = Field(default=0.5, ge=0)  # ready -> USDC sent on Ethereum
    deposit_credit: float = Field(default=0.5, ge=0)  # confirmed -> credited
    whitelist_approval: float = Field(default=1.0, ge=0)  # 24 hours at the real one
    order_visible: float = Field(default=0.0, ge=0)  # accepted -> found by lookups
    order_fill: float = Field(default=0.3, ge=0)  # accepted -> filled
    order_booking: float = Field(default=0.0, ge=0)  # filled -> in cash and position
    order_cancel: float = Field(default=0.1, ge=0)  # cancellation accepted -> cancelled


class Rules(BaseModel):
    """What the broker charges, demands and answers where its documentation leaves a choice."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    withdrawal_fee: Decimal = Field(default=Decimal("0.25"), ge=0)  # USDC, taken out of the amount
    network_fee_shown: str = "1.2"  # in the answer to the POST only; later reads show 0
    minimum_withdrawal: Decimal = Field(default=Decimal(0), ge=0)
    tokenization_fee: str | None = None  # shown in the `fees` of finished requests; never debited
    deposit_confirmations: int = Field(default=1, ge=1)
    requests_per_minute: int = Field(default=6000, ge=1)
    token_lifetime: int = Field(default=899, ge=1)  # seconds an OAuth2 token is good for
    usdc_price: Decimal = Field(default=Decimal(1), gt=0)  # dollars, between bid and ask
    slippage_bps: Decimal = Field(default=Decimal(17), ge=0, lt=10_000)  # from that price to a fill's
    conversion_fee_bps: Decimal = Field(default=Decimal(0), ge=0, lt=10_000)  # of what a fill brings in
    minimum_order: Decimal = Field(default=Decimal(10), ge=0)  # dollars, for buying only
    partial_fill: Decimal | None = Field(default=None, gt=0, lt=1)  # what of each order is filled, if set
    insufficient_dollars: Literal["buying_power", "balance"] = "buying_power"  # the words for it
    account_blocked: bool = False  # what the account says of itself; requests are taken all the same
    insufficient_status: Literal[400, 403, 422] = 400
    replay: Literal["original", "current"] = "original"  # what a replayed mint shows
    mint_answers_id: bool = False  # answer the mint with `id`, as older versions did
    leak_filters: bool = False  # ignore the `status` filter of the request list
    malformed_rows: bool = False  # put a broken row among the good ones of the request list
    offset_timestamps: bool = False  # write created_at with -04:00 instead of Z
