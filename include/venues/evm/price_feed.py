"""A price feed with Chainlink's AggregatorV3 interface, as data: a call to build, an answer to read.

The answer is an integer; the feed's `decimals` (read with `erc20.decimals`) say where its point is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from eth_abi.abi import decode as abi_decode
from eth_abi.exceptions import DecodingError

from include.venues.errors import Unavailable
from include.venues.evm.addresses import checked
from include.venues.evm.types import Call

if TYPE_CHECKING:
    from include.venues.evm.types import Address

_LATEST_ROUND_DATA: Final = bytes.fromhex("feaf968c")  # latestRoundData()
# The year 9999, after which a datetime has no more room
_LAST_MOMENT: Final = 253_402_300_799


@dataclass(frozen=True, slots=True)
class Price:
    """What one unit costs, exactly as the feed says it, and when the feed learnt that."""

    value: Decimal
    updated_at: datetime


def latest_round_data(feed: Address) -> Call:
    """Ask for the newest price and its time."""
    return Call(checked(feed), _LATEST_ROUND_DATA)


def decode_latest_round_data(answer: bytes, decimals: int) -> Price:
    """Read the answer of `latest_round_data`.

    :param decimals: the feed's own, not a token's.
    :raises Unavailable: it is no answer of a feed, or the feed has no price: zero, negative or of no time.
    """
    try:
        _, value, _, updated_at, _ = abi_decode(["uint80", "int256", "uint256", "uint256", "uint80"], answer)
    except DecodingError as problem:
        raise Unavailable(f"not an answer of a price feed: {problem}") from problem
    if value <= 0 or not 0 < updated_at <= _LAST_MOMENT:
        raise Unavailable(f"the price feed has no price: {value} at {updated_at}")
    digits = tuple(int(digit) for digit in str(value))
    return Price(Decimal((0, digits, -decimals)), datetime.fromtimestamp(updated_at, tz=UTC))
