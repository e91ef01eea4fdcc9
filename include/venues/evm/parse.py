"""Read a node's JSON strictly. Anything amiss is a KeyError, TypeError or ValueError; nothing is guessed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eth_utils.address import to_checksum_address

from include.venues.evm.types import (
    Address,
    Block,
    Call,
    Contents,
    Hash,
    Log,
    LoggedEvent,
    Receipt,
    Transaction,
)

Json = Any
"""A decoded JSON value, not looked at yet."""

MALFORMED = (KeyError, TypeError, ValueError)


def quantity(value: Json) -> int:
    """Read a hex number."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError("not a hex quantity")
    return int(value, 16)


def data(value: Json) -> bytes:
    """Read hex bytes."""
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError("not hex data")
    return bytes.fromhex(value[2:])


def hash_(value: Json) -> Hash:
    """Read a 32-byte hash."""
    raw = data(value)
    if len(raw) != 32:
        raise ValueError("not a hash")
    return f"0x{raw.hex()}"


def address(value: Json) -> Address:
    """Read an address and give it its checksum."""
    if not isinstance(value, str):
        raise TypeError("not an address")
    return str(to_checksum_address(value))


def block(value: Json) -> Block | None:
    """Read a block header; null is None."""
    if value is None:
        return None
    _require_object(value)
    return Block(quantity(value["number"]), hash_(value["hash"]), quantity(value["timestamp"]))


def contents(value: Json) -> Contents | None:
    """Read a block that names its transactions by their hashes; null is None."""
    header = block(value)
    if header is None:
        return None
    transactions = tuple(hash_(entry) for entry in _require_list(value["transactions"]))
    return Contents(header, hash_(value["parentHash"]), transactions)


def receipt(value: Json) -> Receipt | None:
    """Read a receipt; null, or one that is not in a block yet, is None."""
    if value is None:
        return None
    _require_object(value)
    if value["blockHash"] is None or value["blockNumber"] is None:
        return None
    status = quantity(value["status"])
    if status not in {0, 1}:
        raise ValueError("not a status")
    return Receipt(
        transaction_hash=hash_(value["transactionHash"]),
        block_number=quantity(value["blockNumber"]),
        block_hash=hash_(value["blockHash"]),
        status=bool(status),
        gas_used=quantity(value["gasUsed"]),
        effective_gas_price=quantity(value["effectiveGasPrice"]),
        logs=tuple(_log(entry) for entry in _require_list(value["logs"])),
        l1_fee=quantity(value["l1Fee"]) if value.get("l1Fee") is not None else 0,
    )


def transaction(value: Json) -> Transaction | None:
    """Read a transaction; null is None."""
    if value is None:
        return None
    _require_object(value)
    call = None
    if value["to"] is not None:
        call = Call(address(value["to"]), data(value["input"]), quantity(value["value"]))
    block_number = value["blockNumber"]
    return Transaction(
        hash=hash_(value["hash"]),
        sender=address(value["from"]),
        nonce=quantity(value["nonce"]),
        call=call,
        block_number=None if block_number is None else quantity(block_number),
    )


def events(value: Json) -> list[LoggedEvent]:
    """Read the answer to a search for logs, without those that the node takes back."""
    return [_event(entry) for entry in _require_list(value) if not entry.get("removed", False)]


def _log(value: Json) -> Log:
    return Log(
        address=address(value["address"]),
        topics=tuple(data(topic) for topic in value["topics"]),
        data=data(value["data"]),
        index=quantity(value["logIndex"]),
    )


def _event(value: Json) -> LoggedEvent:
    log = _log(value)
    return LoggedEvent(
        address=log.address,
        topics=log.topics,
        data=log.data,
        index=log.index,
        transaction_hash=hash_(value["transactionHash"]),
        block_number=quantity(value["blockNumber"]),
    )


def _require_object(value: Json) -> None:
    if not isinstance(value, Mapping):
        raise TypeError("not an object")


def _require_list(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return value
