"""Amounts of money: exact decimals, and the integers that chains count in.

Nothing here rounds except `floor_to`, which says so. Arithmetic on amounts is done inside `exact()`, where a
result that would have to be rounded raises instead.
"""

from __future__ import annotations

from decimal import (
    ROUND_FLOOR,
    Clamped,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    Underflow,
    localcontext,
)
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

USDC = "USDC"
SHARE_DECIMALS = 9
TOKEN_DECIMALS = 18
USDC_DECIMALS = 6

# The digits an amount may have on either side of its point. 2**256 has 78. Balances and ratios are held to
# less, so that what is computed from them is an amount again; all of it fits the context below unrounded.
MAX_DIGITS = 128
BALANCE_DIGITS = 96
RATIO_DIGITS = 30
EXACT: Final = Context(
    prec=1024,
    rounding=ROUND_FLOOR,
    traps=[Clamped, DivisionByZero, Inexact, InvalidOperation, Overflow, Underflow],
)
"""What `exact()` opens. For one step its own methods, as `EXACT.add`, take an eighth of the time."""

_FLOORING: Final = EXACT.copy()
_FLOORING.traps[Inexact] = False


def exact() -> AbstractContextManager[Context]:
    """Open a decimal context in which sums, differences and products of amounts are exact or raise."""
    return localcontext(EXACT)


def checked(amount: Decimal, what: str = "amount", *, digits: int = MAX_DIGITS) -> Decimal:
    """Return the amount if it is one: a finite `Decimal` of a sane size; it may be negative.

    :param what: what to call it in an error.
    :param digits: how many digits it may have on either side of its point.
    :raises TypeError: for anything but a `Decimal`; a float has lost digits already.
    :raises ValueError: for NaN, an infinity, or too many digits.
    """
    if not isinstance(amount, Decimal):
        raise TypeError(f"{what} must be a Decimal, not {type(amount).__name__}")
    # Most amounts are short, and writing one is quicker than taking it apart.
    if amount.is_finite() and len(text := str(amount)) <= digits and "E" not in text:
        return amount
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError(f"{what} must be finite, not {amount}")
    if exponent < -digits or amount.adjusted() >= digits:
        raise ValueError(f"{what} has more than {digits} digits on a side of its point")
    return amount


def not_negative(amount: Decimal, what: str = "amount", *, digits: int = MAX_DIGITS) -> Decimal:
    """Return the amount if it passes `checked` and is zero or more.

    :raises ValueError: if it is negative.
    """
    if checked(amount, what, digits=digits) < 0:
        raise ValueError(f"{what} must not be negative, not {plain(amount)}")
    return amount


def floor_to(amount: Decimal, decimals: int) -> Decimal:
    """Round an amount down to a number of decimals. The one place where an amount loses digits.

    :raises ValueError: if the amount is negative.
    """
    not_negative(amount)
    return amount.quantize(_unit(decimals), context=_FLOORING)


def to_base_units(amount: Decimal, decimals: int) -> int:
    """Return the amount as a whole number of base units, `amount * 10**decimals`, exactly.

    :raises ValueError: if the amount is negative or finer than one base unit.
    """
    not_negative(amount)
    if floor_to(amount, decimals) != amount:
        raise ValueError(f"{plain(amount)} is finer than {decimals} decimals")
    return int(EXACT.scaleb(amount, decimals))


def from_base_units(units: int, decimals: int) -> Decimal:
    """Return a whole number of base units as an amount, `units / 10**decimals`, exactly.

    :raises TypeError: if `units` is not an int.
    :raises ValueError: if `units` is negative.
    """
    if not isinstance(units, int) or isinstance(units, bool):
        raise TypeError(f"base units must be an int, not {type(units).__name__}")
    unit = _unit(decimals)
    return EXACT.multiply(not_negative(Decimal(units), "base units"), unit)


def plain(amount: Decimal) -> str:
    """Write an amount out: no exponent, no trailing zeros, no minus before a zero. `parse` reads it back."""
    text = str(checked(amount))
    if "E" in text:
        text = f"{amount:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("0", "-0") else text


def parse(text: str) -> Decimal:
    """Read an amount written in decimal digits.

    :raises TypeError: if it is not text; a JSON number would have passed through a float.
    :raises ValueError: if it is not a finite number.
    """
    if not isinstance(text, str):
        raise TypeError(f"an amount must be written as text, not {type(text).__name__}")
    try:
        with exact():
            return checked(Decimal(text))
    except InvalidOperation:
        raise ValueError(f"{text!r} is not an amount") from None


@lru_cache(typed=True)
def _unit(decimals: int) -> Decimal:
    if not isinstance(decimals, int) or isinstance(decimals, bool):
        raise TypeError(f"decimals must be an int, not {type(decimals).__name__}")
    if not 0 <= decimals <= MAX_DIGITS:
        raise ValueError(f"decimals must be 0 to {MAX_DIGITS}, not {decimals}")
    return Decimal((0, (1,), -decimals))
