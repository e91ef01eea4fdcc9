from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.venues.alpaca import values
from tests.unit.venues.alpaca.support import WALLET


@settings(deadline=None)
@given(st.integers(1, 10**27 - 1), st.integers(0, 9))
def test_plain__any_amount_that_fits__reads_back_equal_and_has_one_form(units: int, shift: int) -> None:
    amount = Decimal(units).scaleb(-9)
    padded = Decimal(f"{amount:f}" + ("0" * shift if "." in f"{amount:f}" else ""))

    text = values.plain("quantity", amount, decimals=9)

    assert Decimal(text) == amount
    assert "E" not in text.upper()
    assert values.plain("quantity", padded, decimals=9) == text
    assert not ("." in text and text.endswith("0"))


@settings(deadline=None)
@given(st.integers(1, 10**20), st.integers(7, 30))
def test_plain__finer_than_allowed__is_refused(units: int, exponent: int) -> None:
    amount = Decimal(units * 10 + 1).scaleb(-exponent)

    with pytest.raises(ValueError, match=r"^amount "):
        values.plain("amount", amount, decimals=6)


@pytest.mark.parametrize(
    "text",
    [
        "2026-09-25T14:03:11Z",
        "2026-09-25t14:03:11z",
        "2026-09-25T14:03:11.000Z",
        "2026-09-25T14:03:11.000000999Z",
        "2026-09-25T10:03:11-04:00",
        "2026-09-25T10:03:11.0-0400",
        " 2026-09-25 14:03:11+00:00 ",
        "2026-09-25T14:03:11",
    ],
)
def test_moment__known_forms__are_read(text: str) -> None:
    assert values.moment(text) == datetime(2026, 9, 25, 14, 3, 11, tzinfo=UTC)


@pytest.mark.parametrize("value", ["", "soon", None, 1758800000, 1.5, True, "2026-13-01T00:00:00Z"])
def test_moment__other__is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        values.moment(value)


def test_timestamp__any_zone__is_written_in_utc() -> None:
    moment = datetime(2026, 9, 25, 10, 3, 11, 5, tzinfo=timezone(timedelta(hours=-4)))

    assert values.timestamp("after", moment) == "2026-09-25T14:03:11.000005Z"


@pytest.mark.parametrize("value", ["1", "-1.50", 1, Decimal("0.01"), "1e3"])
def test_decimal__numbers__are_read(value: Any) -> None:
    assert values.decimal(value) == Decimal(value)


@pytest.mark.parametrize("value", ["", "x", "NaN", "Infinity", None, True, 1.5, [], Decimal("NaN")])
def test_decimal__other__is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="not a"):
        values.decimal(value)


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("0x" + "AB" * 32, "0x" + "ab" * 32),
        ("AB" * 32, "0x" + "ab" * 32),
        ("0X" + "ab" * 32, "0x" + "ab" * 32),
        ("", None),
        ("  ", None),
        (None, None),
        ("5J7ZxK4QwR3vH2pY1aB6sN8cM9tD0fA2eXyVwUjL3kPq", "5J7ZxK4QwR3vH2pY1aB6sN8cM9tD0fA2eXyVwUjL3kPq"),
    ],
)
def test_tx_hash__any_form__is_normalised(value: Any, read: Any) -> None:
    assert values.tx_hash(value) == read


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (WALLET.lower(), WALLET),
        (WALLET, WALLET),
        ("", None),
        (None, None),
        ("5dXY1aH2tQpV3wXmJg6Z7c8B4nKvF9bA1pQrSt2uVwYxXz", "5dXY1aH2tQpV3wXmJg6Z7c8B4nKvF9bA1pQrSt2uVwYxXz"),
    ],
)
def test_address__any_form__is_normalised(value: Any, read: Any) -> None:
    assert values.address(value) == read
