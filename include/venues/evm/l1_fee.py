"""What a rollup of the OP Stack charges for keeping a transaction on the chain below it. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from eth_abi.abi import encode as abi_encode

from include.venues.evm.types import Call

if TYPE_CHECKING:
    from include.venues.evm.types import Address

GAS_PRICE_ORACLE: Final[Address] = "0x420000000000000000000000000000000000000F"
"""The same on every such rollup."""
_UPPER_BOUND: Final = bytes.fromhex("f1c7a58b")  # getL1FeeUpperBound(uint256)


def upper_bound(size: int) -> Call:
    """Ask for the most that a transaction can be charged, in wei. Read the answer with `erc20.decode_uint`.

    :param size: of the transaction, in bytes.
    """
    return Call(GAS_PRICE_ORACLE, _UPPER_BOUND + abi_encode(["uint256"], [size]))
