"""Many reads in one `eth_call`, by the Multicall3 contract that is at the same address on every chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode
from eth_abi.exceptions import DecodingError

from include.venues.evm.addresses import checked
from include.venues.evm.types import Address, Call, MulticallResult

if TYPE_CHECKING:
    from collections.abc import Sequence

MULTICALL3: Address = "0xcA11bde05977b3631167028862bE2a173976CA11"

_AGGREGATE3 = bytes.fromhex("82ad56cb")  # aggregate3((address,bool,bytes)[])
_BLOCK_NUMBER = bytes.fromhex("42cbb15c")  # getBlockNumber()
_BLOCK_TIMESTAMP = bytes.fromhex("0f28c97d")  # getCurrentBlockTimestamp()
_ETH_BALANCE = bytes.fromhex("4d2301cc")  # getEthBalance(address)


class BadAnswer(ValueError):
    """This is not what Multicall3 answers to these calls."""


def eth_balance_call(owner: Address) -> Call:
    """Build the read of an account's ether, in wei, so that it can ride with the others."""
    return Call(MULTICALL3, _ETH_BALANCE + abi_encode(["address"], [checked(owner)]))


def encode(calls: Sequence[Call]) -> Call:
    """Put the calls, and the questions which block this is and when, into one call.

    :raises ValueError: for a call that carries ether, which a read cannot.
    """
    if any(call.value for call in calls):
        raise ValueError("a call in a multicall cannot carry ether")
    entries = [(call.to, True, call.data) for call in calls]
    entries += [(MULTICALL3, True, _BLOCK_NUMBER), (MULTICALL3, True, _BLOCK_TIMESTAMP)]
    return Call(MULTICALL3, _AGGREGATE3 + abi_encode(["(address,bool,bytes)[]"], [entries]))


def decode(answer: bytes, count: int) -> MulticallResult:
    """Take the answer apart.

    :param count: how many calls were asked, without the two added here.
    :raises BadAnswer: when this is not an answer to that many calls.
    """
    try:
        (entries,) = abi_decode(["(bool,bytes)[]"], answer)
    except (DecodingError, OverflowError) as problem:
        raise BadAnswer("not an answer of Multicall3") from problem
    results = tuple(bytes(data) if success else None for success, data in entries)
    if len(results) != count + 2:
        raise BadAnswer(f"{len(results)} answers to {count + 2} calls")
    number, timestamp = results[-2:]
    if number is None or timestamp is None or len(number) != 32 or len(timestamp) != 32:
        raise BadAnswer("Multicall3 did not say which block it is")
    return MulticallResult(int.from_bytes(number, "big"), int.from_bytes(timestamp, "big"), results[:-2])
