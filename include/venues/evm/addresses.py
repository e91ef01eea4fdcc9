"""A mistyped address takes the money with it, so each one that goes into a call is checked."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from eth_utils.address import is_checksum_formatted_address, is_hex_address, to_checksum_address

if TYPE_CHECKING:
    from include.venues.evm.types import Address


_REMEMBERED: Final = 16_384
"""More addresses than anybody has assets, so that a checksum is not worked out for every call anew."""


@lru_cache(_REMEMBERED)
def checked(address: str) -> Address:
    """Give an address its EIP-55 checksum.

    One written in a single case carries no checksum and is taken as it is.

    :raises ValueError: when it is no address, or its checksum is wrong.
    """
    if not is_hex_address(address):
        raise ValueError(f"not an address: {address!r}")
    right = str(to_checksum_address(address))
    if is_checksum_formatted_address(address) and address != right:
        raise ValueError(f"the checksum of this address is wrong: {address}")
    return right


@lru_cache(_REMEMBERED)
def word(address: str) -> bytes:
    """Write an address as a contract takes it: 32 bytes.

    :raises ValueError: as `checked` does.
    """
    return bytes.fromhex(checked(address)[2:]).rjust(32, b"\0")
