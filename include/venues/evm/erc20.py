"""The ERC-20 interface, as data: calls to build, answers and events to read. Amounts are in base units.

Every address is checked: one that is none, or has a wrong checksum, is a ValueError.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode
from eth_abi.exceptions import DecodingError
from eth_utils.address import to_checksum_address

from include.venues.errors import Unavailable
from include.venues.evm.addresses import checked, word
from include.venues.evm.types import Address, Call

if TYPE_CHECKING:
    from include.venues.evm.types import Receipt

MAX_UINT256 = 2**256 - 1

_TRANSFER = bytes.fromhex("a9059cbb")  # transfer(address,uint256)
_APPROVE = bytes.fromhex("095ea7b3")  # approve(address,uint256)
_BALANCE_OF = bytes.fromhex("70a08231")  # balanceOf(address)
_ALLOWANCE = bytes.fromhex("dd62ed3e")  # allowance(address,address)
_DECIMALS = bytes.fromhex("313ce567")  # decimals()
_SYMBOL = bytes.fromhex("95d89b41")  # symbol()

TRANSFER_TOPIC = bytes.fromhex("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef")
"""The first topic of `Transfer(address,address,uint256)`."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """One movement of a token. `amount` is in base units; minting and burning use the zero address."""

    sender: Address
    recipient: Address
    amount: int


def transfer(token: Address, to: Address, amount: int) -> Call:
    """Build a transfer of the sender's own tokens.

    :param amount: in base units.
    """
    return Call(checked(token), _TRANSFER + abi_encode(["address", "uint256"], [checked(to), amount]))


def approve(token: Address, spender: Address, amount: int) -> Call:
    """Build the permission for `spender` to take up to `amount` base units."""
    return Call(checked(token), _APPROVE + abi_encode(["address", "uint256"], [checked(spender), amount]))


def balance_of(token: Address, owner: Address) -> Call:
    """Build the read of a balance, in base units."""
    return Call(checked(token), _BALANCE_OF + word(owner))


def allowance(token: Address, owner: Address, spender: Address) -> Call:
    """Build the read of how many base units `spender` may still take from `owner`."""
    return Call(
        checked(token), _ALLOWANCE + abi_encode(["address", "address"], [checked(owner), checked(spender)])
    )


def decimals(token: Address) -> Call:
    """Build the read of the number of decimals."""
    return Call(checked(token), _DECIMALS)


def symbol(token: Address) -> Call:
    """Build the read of the symbol."""
    return Call(checked(token), _SYMBOL)


def decode_uint(data: bytes) -> int:
    """Read one unsigned integer.

    :raises Unavailable: for any other answer. An address without code answers every call with nothing, and
        nothing is not zero.
    """
    if len(data) != 32:
        raise Unavailable(f"expected one number, got {len(data)} bytes: is there a contract at this address?")
    return int.from_bytes(data, "big")


def decode_string(data: bytes) -> str:
    """Read one string; old tokens give their symbol as 32 bytes padded with zeros.

    :raises Unavailable: for any other answer.
    """
    try:
        text = data.rstrip(b"\0").decode() if len(data) == 32 else abi_decode(["string"], data)[0]
    except (DecodingError, OverflowError, ValueError):
        text = None
    if text is None:
        raise Unavailable(f"expected a text, got {len(data)} bytes: is there a contract at this address?")
    return str(text)


def transfers(receipt: Receipt, token: Address) -> list[Transfer]:
    """List the movements of a token in a receipt, in their order.

    A reverted transaction has none, and events of other contracts that look alike are not counted.
    """
    return [
        Transfer(_address(log.topics[1]), _address(log.topics[2]), int.from_bytes(log.data, "big"))
        for log in receipt.logs
        if log.address.lower() == token.lower()
        and len(log.topics) == 3
        and log.topics[0] == TRANSFER_TOPIC
        and len(log.data) == 32
    ]


def _address(topic: bytes) -> Address:
    return str(to_checksum_address(topic[-20:]))
