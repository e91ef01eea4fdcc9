"""The kinds of value a setting can have, each refusing what it cannot be.

An error here never repeats the value when the value may carry a secret.
"""

from __future__ import annotations

import json
import re
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final, TypeAlias
from urllib.parse import urlsplit

from eth_utils.address import is_checksum_address, to_checksum_address
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from include.domain.inventory import SYMBOL

_HEX_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_HEX_WORD: Final = re.compile(r"0x[0-9a-fA-F]{64}")
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)?")
_SHORTEST_TOKEN: Final = 16
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _address(value: str) -> str:
    """Return the address in EIP-55 form; one in a single case carries no checksum and is taken as it is."""
    if not _HEX_ADDRESS.fullmatch(value):
        raise ValueError("is not an address (0x and 40 hex digits)")
    digits = value[2:]
    if not digits.strip("0"):
        raise ValueError("is the zero address")
    single_case = digits in (digits.lower(), digits.upper())
    if not single_case and not is_checksum_address(value):
        raise ValueError("has a wrong EIP-55 checksum: a digit is mistyped, or its case was changed")
    return to_checksum_address(value)


def _vault_id(value: str) -> str:
    if not _HEX_WORD.fullmatch(value):
        raise ValueError("is not a vault id (0x and 64 hex digits)")
    if not value[2:].strip("0"):
        raise ValueError("is the zero vault id, which names no vault")
    return value.lower()


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    for place, value in enumerate(values):
        if value in values[:place]:
            raise ValueError(f"names {value} twice")
    return values


def _symbol(value: str) -> str:
    symbol = value.strip().upper()
    if not SYMBOL.fullmatch(symbol):
        raise ValueError("is not an asset symbol such as AAPL or BRK.B")
    return symbol


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(str(value).strip().lower())
    if match is None or isinstance(value, bool):
        raise ValueError("is not a duration: give seconds (60) or a number with s, m, h or d (30m)")
    try:
        return timedelta(seconds=float(Decimal(match[1]) * _UNITS[match[2] or "s"]))
    except OverflowError:
        raise ValueError("is too long a duration") from None


def _url(value: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(value.get_secret_value())
        _ = parts.port
    except ValueError:
        raise ValueError("is not a URL") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("is not an http or https URL with a host")
    return value


def _web_url(value: str) -> str:
    return _url(SecretStr(value.strip())).get_secret_value().rstrip("/")


def _token(value: SecretStr) -> SecretStr:
    token = value.get_secret_value()
    if len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError(f"is not a token of {_SHORTEST_TOKEN} printable characters or more, without spaces")
    return value


def read_json(text: str, **how: Any) -> object:
    """Read JSON text, and say where it is none.

    :param how: passed on to `json.loads`.
    """
    try:
        return json.loads(text, **how)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON ({error.msg} at character {error.pos + 1})") from None


def _listed(value: object) -> object:
    """Read a list given as text: as JSON, or with spaces between."""
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return value.split()
    return read_json(value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise ValueError(f"names {key} twice")
        table[key] = value
    return table


def _table(value: object) -> object:
    """Read a table given as JSON text, and refuse one that names an asset twice, whatever the case."""
    if isinstance(value, str):
        value = read_json(value, object_pairs_hook=_unique, parse_float=Decimal)
    if isinstance(value, dict):
        seen: dict[str, str] = {}
        for key in value:
            name = str(key).strip().upper()
            if name in seen:
                raise ValueError(f"names {name} twice, as {seen[name]} and {key}")
            seen[name] = str(key)
    return value


def _decimal(value: object) -> object:
    """Keep a number as it was written: `0.1` given as text or as a float means one tenth."""
    if isinstance(value, bool):
        raise ValueError("is not a number")
    if isinstance(value, str | float):
        try:
            return Decimal(str(value).strip())
        except InvalidOperation:
            raise ValueError("is not a number") from None
    return value


Address: TypeAlias = Annotated[str, AfterValidator(_address)]
VaultId: TypeAlias = Annotated[str, AfterValidator(_vault_id)]
VaultIds: TypeAlias = Annotated[tuple[VaultId, ...], AfterValidator(_distinct)]
Symbol: TypeAlias = Annotated[str, AfterValidator(_symbol)]
Duration: TypeAlias = Annotated[timedelta, BeforeValidator(_duration)]
Poll: TypeAlias = Annotated[Duration, Field(ge=timedelta(milliseconds=100))]
Expiry: TypeAlias = Annotated[Duration, Field(ge=timedelta(seconds=10), le=timedelta(days=7))]
Url: TypeAlias = Annotated[SecretStr, AfterValidator(_url)]
Urls: TypeAlias = Annotated[tuple[Url, ...], BeforeValidator(_listed)]
WebUrl: TypeAlias = Annotated[str, AfterValidator(_web_url)]
"""An address that is no secret: it is shown in messages."""
Token: TypeAlias = Annotated[SecretStr, AfterValidator(_token)]
Number: TypeAlias = Annotated[Decimal, BeforeValidator(_decimal), Field(decimal_places=18, lt=10**15)]
Ratio: TypeAlias = Annotated[Number, Field(ge=0, le=1)]
NonNegative: TypeAlias = Annotated[Number, Field(ge=0)]
Positive: TypeAlias = Annotated[Number, Field(gt=0)]
Table = BeforeValidator(_table)
