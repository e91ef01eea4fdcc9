"""When a message is attested, and with which finality and fee. Pure: no chain, no clock, no HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from include.sandbox.chains import BASE_DOMAIN, ETHEREUM_DOMAIN
from include.sandbox.messages import FAST, Message

USDC = Decimal(10**6)


_NotNegative = Annotated[float, Field(ge=0)]
_Fee = Annotated[Decimal, Field(ge=0, lt=10_000)]
_Blocks = Annotated[int, Field(gt=0)]


def _both(value: dict[int, Any]) -> dict[int, Any]:
    if value.keys() != {ETHEREUM_DOMAIN, BASE_DOMAIN}:
        msg = f"needs exactly the domains {ETHEREUM_DOMAIN} and {BASE_DOMAIN}"
        raise ValueError(msg)
    return value


_Seconds = Annotated[dict[int, _NotNegative], AfterValidator(_both)]
_Fees = Annotated[dict[int, _Fee], AfterValidator(_both)]
_Lifetimes = Annotated[dict[int, _Blocks], AfterValidator(_both)]


class AttestationSettings(BaseModel):
    """What a person or a test can change while the service runs. Mappings are keyed by domain.

    Latencies are in seconds since the burn was mined.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    index_latency: _NotNegative = 0.0
    """Until then the service does not know the message: 404."""
    fast_latency: _Seconds = {ETHEREUM_DOMAIN: 2.0, BASE_DOMAIN: 1.0}
    """By source: when a fast message is signed."""
    standard_latency: _Seconds = {ETHEREUM_DOMAIN: 10.0, BASE_DOMAIN: 10.0}
    """By source: when its chain is final, for a standard message or one that fell back to standard."""
    reattest_latency: _NotNegative = 1.0
    """After a request to re-attest, and not before the source is final."""
    fast_fee_bps: _Fees = {ETHEREUM_DOMAIN: Decimal(1), BASE_DOMAIN: Decimal("1.3")}
    """By source, in basis points of the amount."""
    fast_allowance: Decimal = Field(default=Decimal(5_000_000), ge=0)
    """USDC that may be on its way, attested before finality, at once."""
    fast_amount_max: Decimal = Field(default=Decimal(10_000_000), ge=0)
    """USDC: a larger burn is never fast."""
    expiration_blocks: _Lifetimes = {ETHEREUM_DOMAIN: 7_200, BASE_DOMAIN: 43_200}
    """By destination: for how many of its blocks a fast attestation is good."""
    paused: bool = False
    """Messages are seen but none is signed."""
    fail_with: int | None = Field(default=None, ge=400, le=599)
    """The HTTP status that every public endpoint answers with."""

    def patched(self, change: dict[str, Any]) -> AttestationSettings:
        """Return the settings with a change; of a mapping, only the named domains change.

        :raises pydantic.ValidationError: the change is not valid
        """
        merged = self.model_dump()
        for name, value in change.items():
            if isinstance(value, dict) and isinstance(merged.get(name), dict):
                # The keys of JSON are strings
                merged[name] = {str(key): old for key, old in merged[name].items()} | value
            else:
                merged[name] = value
        return AttestationSettings.model_validate(merged)


class DelayReason(StrEnum):
    """Why a message that asked for a fast attestation waits for finality."""

    INSUFFICIENT_FEE = "insufficient_fee"
    AMOUNT_ABOVE_MAX = "amount_above_max"
    INSUFFICIENT_ALLOWANCE = "insufficient_allowance_available"


@dataclass(frozen=True, slots=True)
class Terms:
    """How a message is executed. `fee` is in base units."""

    fast: bool
    fee: int = 0
    delay_reason: DelayReason | None = None


def terms(message: Message, settings: AttestationSettings, allowance: Decimal) -> Terms:
    """Decide how a message is executed.

    :param allowance: USDC that may still be attested before finality
    """
    if message.min_finality > FAST:
        return Terms(fast=False)
    if not message.is_burn:
        return Terms(fast=True)
    fee = fast_fee(message.amount, settings.fast_fee_bps[message.source_domain])
    if fee > message.max_fee:
        return Terms(fast=False, delay_reason=DelayReason.INSUFFICIENT_FEE)
    if message.amount > settings.fast_amount_max * USDC:
        return Terms(fast=False, delay_reason=DelayReason.AMOUNT_ABOVE_MAX)
    if message.amount > allowance * USDC:
        return Terms(fast=False, delay_reason=DelayReason.INSUFFICIENT_ALLOWANCE)
    return Terms(fast=True, fee=fee)


def fast_fee(amount: int, bps: Decimal) -> int:
    """Return the fee of a fast transfer, rounded up to a base unit."""
    return int((amount * bps / 10_000).to_integral_value(ROUND_CEILING))
