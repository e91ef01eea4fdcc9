"""Values as they travel to and from Alpaca: amounts, addresses, names and times.

What is written (`plain`, `checksummed_only`, ...) is checked strictly and fails with ValueError naming the
field. What is read (`moment`, `tx_hash`, ...) is tolerant of the forms Alpaca is known to use.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from eth_utils.address import is_checksum_address, is_hex_address, to_checksum_address

QUANTITY_DECIMALS = 9
USDC_DECIMALS = 6
CLIENT_REQUEST_ID_LENGTH = 128
# Alpaca still takes 128 but is moving to 36, the length of a UUID.
IDEMPOTENCY_KEY_LENGTH = 36

_LARGEST_EXPONENT = 18  # larger amounts are mistakes, and must not be written out digit by digit
_ZERO_ADDRESS = "0x" + "0" * 40
_HASH = re.compile(r"(?:0[xX])?([0-9a-fA-F]{64})")
_WORD = re.compile(r"[a-z0-9_-]{1,32}")
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9./-]{0,31}")


def utc_now() -> datetime:
    """Return the present moment, with its time zone."""
    return datetime.now(UTC)


def plain(field: str, amount: Decimal, *, decimals: int) -> str:
    """Write a positive amount without exponent or trailing zeros, so that equal amounts are equal text.

    :raises ValueError: not a Decimal, not positive and finite, absurdly large, or finer than `decimals`.
    """
    if not isinstance(amount, Decimal) or not amount.is_finite() or amount <= 0:
        raise ValueError(f"{field} must be a positive Decimal, not {amount!r}")
    if amount.adjusted() > _LARGEST_EXPONENT or amount.adjusted() < -decimals:
        raise ValueError(f"{field} is out of range: {amount!r}")
    text = format(amount, "f")
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    if len(fraction) > decimals:
        raise ValueError(f"{field} is finer than {decimals} decimals: {text}")
    return f"{whole}.{fraction}" if fraction else whole


def checksummed_only(field: str, address: str) -> str:
    """Return an address that is written in its EIP-55 form, and refuse every other form.

    Alpaca compares withdrawal addresses with the whitelist as text, and the checksum catches a mistyped one.
    """
    if not isinstance(address, str) or not is_checksum_address(address) or address == _ZERO_ADDRESS:
        raise ValueError(f"{field} must be an EIP-55 checksummed address, not {address!r}")
    return address


def correlation(field: str, value: str) -> str:
    """Return a client request id: 1 to 128 printable ASCII characters without white space at its ends."""
    if not _printable(value, CLIENT_REQUEST_ID_LENGTH) or value != value.strip():
        raise ValueError(
            f"{field} must be 1 to {CLIENT_REQUEST_ID_LENGTH} printable ASCII characters"
            f" without white space at its ends, not {value!r}"
        )
    return value


def key(field: str, value: str) -> str:
    """Return an idempotency key: 1 to 36 printable ASCII characters without spaces."""
    if not _printable(value, IDEMPOTENCY_KEY_LENGTH) or " " in value:
        raise ValueError(
            f"{field} must be 1 to {IDEMPOTENCY_KEY_LENGTH} printable ASCII characters without spaces,"
            f" not {value!r}"
        )
    return value


def word(field: str, value: str) -> str:
    """Return an issuer or network name, in lower case as Alpaca writes it. Unknown ones are taken."""
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        raise ValueError(f"{field} must be a lower-case name, not {value!r}")
    return value


def symbol(field: str, value: str) -> str:
    """Return the symbol of an asset or chain, in capitals."""
    if not isinstance(value, str) or not _SYMBOL.fullmatch(value):
        raise ValueError(f"{field} must be a symbol in capitals, not {value!r}")
    return value


def timestamp(field: str, value: datetime) -> str:
    """Write a moment as RFC 3339 in UTC.

    :raises ValueError: the moment has no time zone.
    """
    if value.utcoffset() is None:
        raise ValueError(f"{field} must carry a time zone")
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def moment(value: Any) -> datetime:
    """Read an ISO 8601 time: `Z` or an offset, and any fraction (finer than a microsecond is cut off).

    A time without a zone is UTC.
    """
    if isinstance(value, datetime):
        parsed = value
    elif isinstance(value, str):
        parsed = datetime.fromisoformat(value.strip().upper())
    else:
        raise ValueError(f"not a time: {value!r}")
    return parsed.replace(tzinfo=UTC) if parsed.utcoffset() is None else parsed


def decimal(value: Any) -> Decimal:
    """Read a number that came as text or, from a few endpoints, as a JSON number."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError(f"not a number: {value!r}")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise ValueError(f"not a number: {value!r}") from None
    if not number.is_finite():
        raise ValueError(f"not a finite number: {value!r}")
    return number


def blank_is_none(value: Any) -> Any:
    """Read the empty text, which stands for "not yet known", as None."""
    return None if isinstance(value, str) and not value.strip() else value


def tx_hash(value: Any) -> Any:
    """Read a transaction hash: an EVM one as `0x` and lower case, another chain's as it is."""
    value = blank_is_none(value)
    if isinstance(value, str) and (match := _HASH.fullmatch(value.strip())):
        return "0x" + match[1].lower()
    return value


def address(value: Any) -> Any:
    """Read an address: an EVM one in its EIP-55 form, another chain's as it is."""
    value = blank_is_none(value)
    if isinstance(value, str) and is_hex_address(value.strip()):
        return to_checksum_address(value.strip())
    return value


def _printable(value: str, longest: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= longest and value.isascii() and value.isprintable()
