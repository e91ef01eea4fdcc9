"""Rain's decimal float: 32 bytes, in which the OrderBook takes and gives amounts.

The top 4 bytes are a signed exponent, the low 28 bytes a signed coefficient, both in two's complement. The
value is `coefficient * 10**exponent`, in whole tokens. One value has many encodings, so compare values, never
bytes. No binary float is used, and nothing is rounded but by `floored_units`, which says so.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

MAX_UINT256: Final = 2**256 - 1
MAX_COEFFICIENT: Final = 2**223 - 1
MIN_EXPONENT: Final = -(2**31)
MAX_DECIMALS: Final = 255

_EXPONENT_BYTES = 4
_WORD = 32
# No uint256 has more digits than this, and no coefficient more than 68
_DIGITS_OF_UINT256 = 78


class BadFloat(ValueError):
    """This is no amount of the token: not 32 bytes, negative, too large, or finer than its decimals."""


def encode(units: int, decimals: int) -> bytes:
    """Write an amount in the one form this client sends: without trailing zeros, and zero as 32 zero bytes.

    :param units: base units of the token.
    :param decimals: of the token, 0 to 255.
    :raises BadFloat: the amount is negative, above a uint256, or has more digits than a coefficient holds.
    """
    _check_decimals(decimals)
    if not 0 <= units <= MAX_UINT256:
        raise BadFloat(f"not an amount in base units: {units}")
    if units == 0:
        return bytes(_WORD)
    coefficient, exponent = units, -decimals
    while coefficient % 10 == 0:
        coefficient //= 10
        exponent += 1
    if coefficient > MAX_COEFFICIENT:
        raise BadFloat(f"{units} base units have more digits than the coefficient of a float holds")
    return exponent.to_bytes(_EXPONENT_BYTES, "big", signed=True) + coefficient.to_bytes(
        28, "big", signed=True
    )


def decode(word: bytes) -> Decimal:
    """Read any valid encoding as an exact number of whole tokens; it may be negative.

    :raises BadFloat: it is not 32 bytes.
    """
    coefficient, exponent = _parts(word)
    if coefficient == 0:
        return Decimal(0)
    digits = tuple(int(digit) for digit in str(abs(coefficient)))
    return Decimal((int(coefficient < 0), digits, exponent))


def units(word: bytes, decimals: int) -> int:
    """Read any valid encoding as base units of the token, exactly.

    :raises BadFloat: it is negative, above a uint256, or finer than one base unit.
    """
    whole, rest = _split(word, decimals)
    if rest:
        raise BadFloat(f"0x{word.hex()} is finer than {decimals} decimals")
    return whole


def floored_units(word: bytes, decimals: int) -> int:
    """Read any valid encoding as base units of the token, rounded down to a whole one.

    Trades can leave a fraction of a base unit in a vault; no token can be paid out for it.

    :raises BadFloat: it is negative, or above a uint256.
    """
    return _split(word, decimals)[0]


def _split(word: bytes, decimals: int) -> tuple[int, bool]:
    """Return the whole base units, and whether there is a fraction of one besides."""
    _check_decimals(decimals)
    coefficient, exponent = _parts(word)
    if coefficient < 0:
        raise BadFloat(f"0x{word.hex()} is negative")
    shift = exponent + decimals
    if coefficient == 0:
        return 0, False
    if shift >= 0:
        # An exponent may be near 2**31: the power is not computed where the result cannot fit
        value = coefficient * 10**shift if shift <= _DIGITS_OF_UINT256 else MAX_UINT256 + 1
        if value > MAX_UINT256:
            raise BadFloat(f"0x{word.hex()} is more base units than a uint256 holds")
        return value, False
    if -shift > _DIGITS_OF_UINT256:
        return 0, True
    whole, rest = divmod(coefficient, 10**-shift)
    return whole, rest > 0


def _parts(word: bytes) -> tuple[int, int]:
    if len(word) != _WORD:
        raise BadFloat(f"a float is {_WORD} bytes, not {len(word)}")
    exponent = int.from_bytes(word[:_EXPONENT_BYTES], "big", signed=True)
    return int.from_bytes(word[_EXPONENT_BYTES:], "big", signed=True), exponent


def _check_decimals(decimals: int) -> None:
    if not 0 <= decimals <= MAX_DECIMALS:
        raise BadFloat(f"a token has 0 to {MAX_DECIMALS} decimals, not {decimals}")
