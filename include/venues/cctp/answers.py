"""What the attestation service answers, read from its JSON.

The readers raise ValueError for data of another form; the client decides what that means.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, cast

from include.venues.cctp.message import PLAIN_LENGTH, SIGNATURE_LENGTH

CCTP_VERSION: Final = 2
STATUS_COMPLETE: Final = "complete"
_MOST_DIGITS: Final = 30  # before or after the point, of an amount
_NONCE_IN_DECIMAL: Final = re.compile(r"[0-9]{1,78}")


@dataclass(frozen=True, slots=True)
class AttestedMessage:
    """One message of a transaction, as far as the service has it.

    `message` and `attestation` are None while the service waits for confirmations. `event_nonce` is 32 bytes,
    and None where the service gave none or the zero placeholder. `delay_reason` explains why a fast transfer
    became a standard one; it is not an error.
    """

    cctp_version: int | None
    status: str
    delay_reason: str | None
    message: bytes | None
    attestation: bytes | None
    event_nonce: bytes | None

    @property
    def is_ready(self) -> bool:
        """Whether the message is whole and signed. It may have expired all the same."""
        return (
            self.status == STATUS_COMPLETE
            and self.message is not None
            and len(self.message) >= PLAIN_LENGTH
            and self.attestation is not None
            and len(self.attestation) > 0
            and len(self.attestation) % SIGNATURE_LENGTH == 0
        )


@dataclass(frozen=True, slots=True)
class BurnFee:
    """What a transfer at a finality threshold costs, in basis points of the amount, possibly fractional."""

    finality_threshold: int
    basis_points: Decimal


def read_message(row: object) -> AttestedMessage:
    """Read one entry of a transaction's messages."""
    entry = mapping(row)
    status, delay_reason = entry.get("status"), entry.get("delayReason")
    if not isinstance(status, str):
        raise ValueError(f"status is not text: {status!r}")
    return AttestedMessage(
        cctp_version=_version(entry.get("cctpVersion")),
        status=status,
        delay_reason=delay_reason if isinstance(delay_reason, str) and delay_reason else None,
        message=_optional_hex(entry.get("message")),
        attestation=_optional_hex(entry.get("attestation")),
        event_nonce=_event_nonce(entry.get("eventNonce")),
    )


def read_fee(row: object) -> BurnFee:
    """Read one entry of a lane's fees."""
    entry = mapping(row)
    threshold = read_amount(entry.get("finalityThreshold"))
    basis_points = read_amount(entry.get("minimumFee"))
    if threshold != threshold.to_integral_value() or basis_points > 10_000:
        raise ValueError(f"not a fee: {entry!r}")
    return BurnFee(int(threshold), basis_points)


def _event_nonce(value: object) -> bytes | None:
    """Read a nonce in hex (V2) or decimal (V1). Zero is the placeholder before attestation: no nonce."""
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.startswith("0x"):
        nonce = int.from_bytes(_hex(value), "big")
    elif not isinstance(value, bool) and _NONCE_IN_DECIMAL.fullmatch(str(value)):
        nonce = int(str(value))
    else:
        raise ValueError(f"eventNonce is not a nonce: {value!r}")
    if nonce >= 1 << 256:
        raise ValueError(f"eventNonce has more than 32 bytes: {value!r}")
    return nonce.to_bytes(32, "big") if nonce else None


def _version(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or str(value) not in ("1", "2"):
        raise ValueError(f"cctpVersion is not known: {value!r}")
    return int(str(value))


def read_amount(value: object) -> Decimal:
    """Read a number that is written as a JSON number or as text: not negative, and of a believable size."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise ValueError(f"not a number: {value!r}")
    try:
        number = Decimal(value)
    except InvalidOperation as error:
        raise ValueError(f"not a number: {value!r}") from error
    if not number.is_finite() or number < 0 or abs(number.adjusted()) > _MOST_DIGITS:
        raise ValueError(f"not an amount: {value!r}")
    return number


def _optional_hex(value: object) -> bytes | None:
    if value is None or value in ("", "0x", "PENDING"):
        return None
    return _hex(value)


def _hex(value: object) -> bytes:
    if not isinstance(value, str) or not re.fullmatch(r"0x(?:[0-9a-fA-F]{2})*", value):
        shown = value if not isinstance(value, str) else value[:80]
        raise ValueError(f"not bytes in hex: {shown!r}")
    return bytes.fromhex(value[2:])


def read_public_key(row: object) -> bytes | None:
    """Read one entry of the public keys: 65 bytes uncompressed, or None for a key of another CCTP version."""
    entry = mapping(row)
    if _version(entry.get("cctpVersion")) not in (None, CCTP_VERSION):
        return None
    key = _hex(entry.get("publicKey"))
    if len(key) != 65 or key[0] != 4:
        raise ValueError(f"publicKey is not an uncompressed key: {entry.get('publicKey')!r}")
    return key


def mapping(value: object) -> dict[str, object]:
    """Return a JSON object as what it is."""
    if not isinstance(value, dict):
        raise ValueError(f"not an object: {str(value)[:80]!r}")
    return cast("dict[str, object]", value)
