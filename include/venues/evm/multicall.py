"""Many reads in one `eth_call`, by the Multicall3 contract that is at the same address on every chain.

The contract's one function is written and read by hand here, as thousands of reads go through it at once; the
tests hold it against a general ABI codec.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from eth_abi.abi import encode as abi_encode

from include.venues.evm.addresses import checked
from include.venues.evm.types import Address, Call

if TYPE_CHECKING:
    from collections.abc import Sequence

MULTICALL3: Address = "0xcA11bde05977b3631167028862bE2a173976CA11"

_AGGREGATE3 = bytes.fromhex("82ad56cb")  # aggregate3((address,bool,bytes)[])
_ETH_BALANCE = bytes.fromhex("4d2301cc")  # getEthBalance(address)
# What is asked besides, after the calls: gas that runs out is then missing here.
_SEAL: Final = tuple(
    bytes.fromhex(selector)
    for selector in (
        "3408e470",  # getChainId()
        "42cbb15c",  # getBlockNumber()
        "0f28c97d",  # getCurrentBlockTimestamp()
        "27e86d6e",  # getLastBlockHash()
        "72425d9d",  # getCurrentBlockDifficulty(), which is the block's randomness since there are no miners
    )
)
_WORD: Final = 32
_YES: Final = (1).to_bytes(_WORD, "big")
_ENTRY_HEAD: Final = (3 * _WORD).to_bytes(_WORD, "big")


class BadAnswer(ValueError):
    """This is not what Multicall3 answers to these calls."""


class Unsealed(BadAnswer):
    """Multicall3 did not get as far as to say which block it is: the gas did not suffice."""


@dataclass(frozen=True, slots=True)
class Seal:
    """What tells one block from another: reads with equal seals are of the same block of the same chain.

    A block's own hash cannot be read in it. Its parent's, its time and its randomness stand for it.

    :param timestamp: in seconds since 1970.
    """

    chain_id: int
    number: int
    timestamp: int
    parent: int
    randomness: int


@dataclass(frozen=True, slots=True)
class Read:
    """The answers to many calls, and the block they are of. An answer of None means that this call failed."""

    seal: Seal
    results: tuple[bytes | None, ...]


def eth_balance_call(owner: Address) -> Call:
    """Build the read of an account's ether, in wei, so that it can ride with the others."""
    return Call(MULTICALL3, _ETH_BALANCE + abi_encode(["address"], [checked(owner)]))


def encode(calls: Sequence[Call]) -> Call:
    """Put the calls, and the questions which block this is, into one call.

    :raises ValueError: for a call that carries ether, which a read cannot.
    """
    if any(call.value for call in calls):
        raise ValueError("a call in a multicall cannot carry ether")
    entries = [_entry(call.to, call.data) for call in calls]
    entries += [_entry(MULTICALL3, selector) for selector in _SEAL]
    offsets, place = [], len(entries) * _WORD
    for entry in entries:
        offsets.append(_word(place))
        place += len(entry)
    head = (_AGGREGATE3, _word(_WORD), _word(len(entries)))
    return Call(MULTICALL3, b"".join((*head, *offsets, *entries)))


def _entry(to: Address, data: bytes) -> bytes:
    """Write one `(address,bool,bytes)`, of which the middle allows it to fail."""
    target = bytes.fromhex(to[2:]).rjust(_WORD, b"\0")
    return b"".join((target, _YES, _ENTRY_HEAD, _word(len(data)), data, bytes(-len(data) % _WORD)))


def decode(answer: bytes, count: int) -> Read:
    """Take the answer apart.

    :param count: how many calls were asked, without those added here.
    :raises BadAnswer: when this is not an answer to that many calls.
    """
    array = _number(answer, 0)
    found, base = _number(answer, array), array + _WORD
    if found != count + len(_SEAL):
        raise BadAnswer(f"{found} answers to {count + len(_SEAL)} calls")
    results = tuple(_result(answer, base + _number(answer, base + _WORD * place)) for place in range(found))
    seal = [int.from_bytes(one, "big") for one in results[count:] if one is not None and len(one) == _WORD]
    if len(seal) != len(_SEAL):
        raise Unsealed("Multicall3 did not say which block it is")
    return Read(Seal(*seal), results[:count])


def _result(answer: bytes, at: int) -> bytes | None:
    """Read one `(bool,bytes)`; None where the call failed."""
    success, where = _number(answer, at), at + _number(answer, at + _WORD)
    start = where + _WORD
    end = start + _number(answer, where)
    if end > len(answer) or success > 1:
        raise BadAnswer("not an answer of Multicall3")
    return answer[start:end] if success else None


def _number(answer: bytes, at: int) -> int:
    word = answer[at : at + _WORD]
    if len(word) != _WORD:
        raise BadAnswer("not an answer of Multicall3")
    return int.from_bytes(word, "big")


def _word(number: int) -> bytes:
    return number.to_bytes(_WORD, "big")
