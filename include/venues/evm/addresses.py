"""A mistyped address takes the money with it, so each one that goes into a call is checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eth_utils.address import (
    is_checksum_address,
    is_checksum_formatted_address,
    is_hex_address,
    to_checksum_address,
)

if TYPE_CHECKING:
    from include.venues.evm.types import Address


def checked(address: str) -> Address:
    """Give an address its EIP-55 checksum.

    One written in a single case carries no checksum and is taken as it is.

    :raises ValueError: when it is no address, or its checksum is wrong.
    """
    if not is_hex_address(address):
        raise ValueError(f"not an address: {address!r}")
    if is_checksum_formatted_address(address) and not is_checksum_address(address):
        raise ValueError(f"the checksum of this address is wrong: {address}")
    return str(to_checksum_address(address))
