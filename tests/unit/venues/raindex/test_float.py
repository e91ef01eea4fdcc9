"""Rain floats: exact both ways, whatever form the contract chose."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from include.venues.raindex.float import (
    MAX_COEFFICIENT,
    MAX_UINT256,
    MIN_EXPONENT,
    BadFloat,
    decode,
    encode,
    floored_units,
    units,
)

DECIMALS = st.integers(0, 36)
AMOUNTS = st.integers(0, MAX_COEFFICIENT)


def word(coefficient: int, exponent: int) -> bytes:
    return exponent.to_bytes(4, "big", signed=True) + coefficient.to_bytes(28, "big", signed=True)


@pytest.mark.parametrize(
    ("amount", "decimals", "expected"),
    [
        (0, 6, "00" * 32),
        (250_000_000, 6, "00000001" + "00" * 27 + "19"),  # 25 * 10^1 whole USDC
        (1, 6, "fffffffa" + "00" * 27 + "01"),
        (1, 18, "ffffffee" + "00" * 27 + "01"),
        (10**18, 18, "00000000" + "00" * 27 + "01"),
        (7, 0, "00000000" + "00" * 27 + "07"),
        (123_456_789, 6, "fffffffa" + "00" * 24 + "075bcd15"),
    ],
)
def test_encode__known_amounts__has_no_trailing_zeros(amount: int, decimals: int, expected: str) -> None:
    assert encode(amount, decimals).hex() == expected


@given(AMOUNTS, DECIMALS)
def test_encode__any_amount__comes_back_the_same(amount: int, decimals: int) -> None:
    encoded = encode(amount, decimals)

    assert units(encoded, decimals) == floored_units(encoded, decimals) == amount
    assert decode(encoded) == Decimal((0, tuple(map(int, str(amount))), -decimals))


@given(AMOUNTS, DECIMALS)
def test_encode__any_amount__is_the_shortest_of_its_encodings(amount: int, decimals: int) -> None:
    coefficient = int.from_bytes(encode(amount, decimals)[4:], "big")

    assert coefficient % 10 != 0 or amount == 0


@given(st.integers(1, 10**40), DECIMALS, st.integers(0, 25))
def test_units__same_value_with_more_zeros__is_the_same_amount(
    amount: int, decimals: int, zeros: int
) -> None:
    other = word(amount * 10**zeros, -decimals - zeros)

    assert units(other, decimals) == amount
    assert decode(other) == decode(encode(amount, decimals))


@given(st.integers(-(2**223), MAX_COEFFICIENT), st.integers(-300, 300), DECIMALS)
def test_units__any_encoding__is_the_value_or_refused(coefficient: int, exponent: int, decimals: int) -> None:
    encoded = word(coefficient, exponent)
    shift = exponent + decimals
    value, rest = (coefficient * 10**shift, 0) if shift >= 0 else divmod(coefficient, 10**-shift)

    if coefficient < 0 or value > MAX_UINT256:
        with pytest.raises(BadFloat):
            floored_units(encoded, decimals)
        with pytest.raises(BadFloat):
            units(encoded, decimals)
    elif rest:
        assert floored_units(encoded, decimals) == value
        with pytest.raises(BadFloat, match=f"finer than {decimals} decimals"):
            units(encoded, decimals)
    else:
        assert units(encoded, decimals) == floored_units(encoded, decimals) == value


@given(st.integers(-(2**223), MAX_COEFFICIENT), st.integers(MIN_EXPONENT, 2**31 - 1))
def test_decode__any_encoding__is_exact(coefficient: int, exponent: int) -> None:
    assume(coefficient != 0)

    value = decode(word(coefficient, exponent))

    sign, digits, found = value.as_tuple()
    assert (-1 if sign else 1) * int("".join(map(str, digits))) == coefficient
    assert found == exponent


@pytest.mark.parametrize("exponent", [MIN_EXPONENT, -18, 0, 2**31 - 1])
def test_zero__with_any_exponent__is_zero(exponent: int) -> None:
    assert units(word(0, exponent), 6) == 0
    assert decode(word(0, exponent)) == 0


def test_extremes__of_the_exponent__are_refused_or_floored_at_once() -> None:
    with pytest.raises(BadFloat, match="more base units"):
        units(word(1, 2**31 - 1), 18)
    with pytest.raises(BadFloat, match="finer than"):
        units(word(1, MIN_EXPONENT), 18)
    assert floored_units(word(1, MIN_EXPONENT), 18) == 0


@pytest.mark.parametrize(("amount", "decimals"), [(-1, 6), (MAX_UINT256 + 1, 6), (1, -1), (1, 256)])
def test_encode__what_is_no_amount__is_refused(amount: int, decimals: int) -> None:
    with pytest.raises(BadFloat):
        encode(amount, decimals)


def test_encode__more_digits_than_a_coefficient_holds__is_refused() -> None:
    assert units(encode(MAX_COEFFICIENT, 18), 18) == MAX_COEFFICIENT
    with pytest.raises(BadFloat, match="more digits"):
        encode(MAX_COEFFICIENT + 1 + (MAX_COEFFICIENT + 1) % 10, 18)


def test_encode__large_but_round__fits() -> None:
    assert units(encode(10**76, 18), 18) == 10**76


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_decode__not_32_bytes__is_refused(size: int) -> None:
    with pytest.raises(BadFloat, match=f"not {size}"):
        decode(bytes(size))
