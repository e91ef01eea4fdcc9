from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from include.venues.errors import Unavailable
from include.venues.evm.price_feed import Price, decode_latest_round_data, latest_round_data
from include.venues.evm.types import Call
from tests.unit.venues.evm.fakes import TOKEN as FEED

TYPES = ["uint80", "int256", "uint256", "uint256", "uint80"]
MOMENT = 1_780_000_000


def answer(value: int, updated_at: int = MOMENT) -> bytes:
    return encode(TYPES, [5, value, updated_at, updated_at, 5])


def test_latest_round_data__is_the_written_out_call() -> None:
    assert latest_round_data(FEED) == Call(FEED, keccak(text="latestRoundData()")[:4])


def test_decode__a_price__is_exact_and_has_its_time() -> None:
    assert decode_latest_round_data(answer(312_345_678_901), 8) == Price(
        Decimal("3123.45678901"), datetime.fromtimestamp(MOMENT, tz=UTC)
    )


def test_decode__more_digits_than_a_decimal_context_has__loses_none() -> None:
    value = decode_latest_round_data(answer(10**40 + 1), 18).value

    assert value == Decimal("10000000000000000000000.000000000000000001")


@pytest.mark.parametrize(("value", "updated_at"), [(0, MOMENT), (-1, MOMENT), (1, 0), (1, 2**64)])
def test_decode__no_price_or_no_time__is_unavailable(value: int, updated_at: int) -> None:
    with pytest.raises(Unavailable, match="has no price"):
        decode_latest_round_data(answer(value, updated_at), 8)


@pytest.mark.parametrize("given", [b"", bytes(32), b"\xff" * 160])
def test_decode__no_answer_of_a_feed__is_unavailable(given: bytes) -> None:
    with pytest.raises(Unavailable, match="not an answer of a price feed"):
        decode_latest_round_data(given, 8)
