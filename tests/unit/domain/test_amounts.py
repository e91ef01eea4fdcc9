from __future__ import annotations

from decimal import Decimal, Inexact, getcontext, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.amounts import (
    SHARE_DECIMALS,
    TOKEN_DECIMALS,
    USDC_DECIMALS,
    checked,
    exact,
    floor_to,
    from_base_units,
    not_negative,
    parse,
    plain,
    to_base_units,
)

UNITS = st.integers(0, 2**256)
DECIMALS = st.integers(0, 36)
NOT_DECIMALS = [1.5, 1, "1", None, True]


def test_decimals__of_each_thing__are_as_designed() -> None:
    assert (SHARE_DECIMALS, TOKEN_DECIMALS, USDC_DECIMALS) == (9, 18, 6)


def test_from_base_units__most_decimals_there_may_be__is_exact() -> None:
    assert to_base_units(from_base_units(10**128 - 1, 128), 128) == 10**128 - 1


@given(UNITS, DECIMALS)
def test_base_units__there_and_back__are_the_same(units: int, decimals: int) -> None:
    assert to_base_units(from_base_units(units, decimals), decimals) == units


def test_from_base_units__2_to_the_256__keeps_every_digit() -> None:
    amount = from_base_units(2**256, 18)
    assert plain(amount) == "115792089237316195423570985008687907853269984665640564039457.584007913129639936"


@pytest.mark.parametrize(
    ("amount", "decimals", "units"),
    [("31", 9, 31_000_000_000), ("0.000001", 6, 1), ("0", 18, 0), ("1E+3", 0, 1000), ("1.50", 1, 15)],
)
def test_to_base_units__exact_amount__is_converted(amount: str, decimals: int, units: int) -> None:
    assert to_base_units(Decimal(amount), decimals) == units


@pytest.mark.parametrize(("amount", "decimals"), [("0.0000001", 6), ("1.5", 0), ("-1", 6)])
def test_to_base_units__too_fine_or_negative__is_refused(amount: str, decimals: int) -> None:
    with pytest.raises(ValueError, match=r"finer|negative"):
        to_base_units(Decimal(amount), decimals)


@pytest.mark.parametrize("units", [1.0, True, "1", Decimal(1), None])
def test_from_base_units__not_an_int__is_refused(units: Any) -> None:
    with pytest.raises(TypeError, match="int"):
        from_base_units(units, 6)


def test_from_base_units__negative__is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        from_base_units(-1, 6)


@pytest.mark.parametrize("convert", [floor_to, to_base_units])
@pytest.mark.parametrize("decimals", [-1, 129])
def test_decimals__out_of_range__are_refused(convert: Any, decimals: int) -> None:
    with pytest.raises(ValueError, match="decimals must be 0 to 128"):
        convert(Decimal(1), decimals)


@pytest.mark.parametrize("decimals", [6.0, True, "6", None])
def test_decimals__not_an_int__are_refused(decimals: Any) -> None:
    with pytest.raises(TypeError, match="decimals must be an int"):
        floor_to(Decimal(1), decimals)


@pytest.mark.parametrize(
    ("amount", "decimals", "floored"),
    [
        ("1.9999999999", 9, "1.999999999"),
        ("0.0000009", 6, "0"),
        ("1.23", 6, "1.23"),
        ("9.99", 0, "9"),
        ("123456789012345678901234567890.1234567891", 9, "123456789012345678901234567890.123456789"),
    ],
)
def test_floor_to__any_amount__is_rounded_down(amount: str, decimals: int, floored: str) -> None:
    assert floor_to(Decimal(amount), decimals) == Decimal(floored)


def test_floor_to__negative__is_refused() -> None:
    with pytest.raises(ValueError, match=r"must not be negative, not -0\.1"):
        floor_to(Decimal("-0.1"), 6)


@given(st.decimals(0, Decimal(10) ** 60, allow_nan=False, allow_infinity=False), DECIMALS)
def test_floor_to__any_amount__loses_less_than_a_base_unit(amount: Decimal, decimals: int) -> None:
    floored = floor_to(amount, decimals)
    with localcontext(prec=300):
        assert 0 <= amount - floored < Decimal(1).scaleb(-decimals)


@pytest.mark.parametrize("function", [checked, not_negative, plain])
@pytest.mark.parametrize("amount", NOT_DECIMALS)
def test_amount__not_a_decimal__is_refused(function: Any, amount: Any) -> None:
    with pytest.raises(TypeError, match="must be a Decimal"):
        function(amount)


@pytest.mark.parametrize("function", [checked, not_negative, plain])
@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_amount__not_finite__is_refused(function: Any, amount: str) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        function(Decimal(amount))


@pytest.mark.parametrize("amount", ["1E+128", "1E-129", "1E+999999"])
def test_amount__with_too_many_digits__is_refused(amount: str) -> None:
    with pytest.raises(ValueError, match="more than 128 digits"):
        checked(Decimal(amount))


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("1.500", "1.5"),
        ("100", "100"),
        ("1E+10", "10000000000"),
        ("1E-9", "0.000000001"),
        ("0E-18", "0"),
        ("-0", "0"),
        ("-0.00", "0"),
        ("-2.50", "-2.5"),
        ("1234567890.10", "1234567890.1"),
    ],
)
def test_plain__any_amount__has_no_exponent_and_no_trailing_zeros(amount: str, text: str) -> None:
    assert plain(Decimal(amount)) == text


@given(UNITS, DECIMALS)
def test_plain__any_amount__is_parsed_back(units: int, decimals: int) -> None:
    amount = from_base_units(units, decimals)
    assert parse(plain(amount)) == amount


@pytest.mark.parametrize("text", ["", "a", "1,5", "NaN", "inf"])
def test_parse__not_a_number__is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an amount|must be finite"):
        parse(text)


@pytest.mark.parametrize("value", [1, 1.5, None, Decimal(1)])
def test_parse__not_text__is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="must be written as text"):
        parse(value)


def test_exact__a_result_that_must_be_rounded__raises_and_leaves_the_context_as_it_was() -> None:
    before = getcontext().prec
    with exact(), pytest.raises(Inexact):
        Decimal(1) / Decimal(3)
    assert getcontext().prec == before
