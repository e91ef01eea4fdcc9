"""The ERC-4626 interface: a token ("shares") that stands for an amount of another ("assets"). No I/O.

The ratio between the two moves, with dividends and splits. Amounts are base units: of the asset where they
are called assets, of the wrapper itself where they are called shares. What a transaction moved is in its
events; every conversion before it is an estimate.

The wrapper is an ERC-20 too: its balances, allowances and decimals are read with `erc20`. Calls that answer
with one number are read with `erc20.decode_uint`, `asset` with `decode_asset`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from eth_abi.abi import encode as abi_encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from include.venues.errors import Unavailable
from include.venues.evm.addresses import checked
from include.venues.evm.types import Address, Call

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from include.venues.evm.types import Log, Receipt

DEPOSIT_TOPIC: Final = keccak(text="Deposit(address,address,uint256,uint256)")
WITHDRAW_TOPIC: Final = keccak(text="Withdraw(address,address,address,uint256,uint256)")


@dataclass(frozen=True, slots=True)
class Wrapped:
    """One deposit: `assets` went in, `shares` were made for `owner`. Both are base units."""

    sender: Address
    owner: Address
    assets: int
    shares: int


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """One redemption: `shares` of `owner` are gone, `receiver` got `assets`. Both are base units."""

    sender: Address
    receiver: Address
    owner: Address
    assets: int
    shares: int


def asset(wrapper: Address) -> Call:
    """Ask which token is inside."""
    return _call(wrapper, "asset()")


def total_assets(wrapper: Address) -> Call:
    """Ask how many assets are inside, for all owners together."""
    return _call(wrapper, "totalAssets()")


def convert_to_assets(wrapper: Address, shares: int) -> Call:
    """Ask what that many shares stand for, in assets, rounded down."""
    # Asked of every wrapper in each look, and so written by hand.
    return Call(checked(wrapper), _selector("convertToAssets(uint256)") + _amount(shares).to_bytes(32, "big"))


def convert_to_shares(wrapper: Address, assets: int) -> Call:
    """Ask how many shares stand for that many assets, rounded down."""
    return _call(wrapper, "convertToShares(uint256)", _amount(assets))


def preview_deposit(wrapper: Address, assets: int) -> Call:
    """Ask how many shares a deposit of that many assets would make now, rounded down."""
    return _call(wrapper, "previewDeposit(uint256)", _amount(assets))


def preview_withdraw(wrapper: Address, assets: int) -> Call:
    """Ask how many shares it takes now to get that many assets out, rounded up."""
    return _call(wrapper, "previewWithdraw(uint256)", _amount(assets))


def preview_redeem(wrapper: Address, shares: int) -> Call:
    """Ask how many assets that many shares would give now, rounded down."""
    return _call(wrapper, "previewRedeem(uint256)", _amount(shares))


def max_deposit(wrapper: Address, receiver: Address) -> Call:
    """Ask how many assets may go in for `receiver` now."""
    return _call(wrapper, "maxDeposit(address)", checked(receiver))


def max_redeem(wrapper: Address, owner: Address) -> Call:
    """Ask how many shares of `owner` may be redeemed now. A redemption above it reverts."""
    return _call(wrapper, "maxRedeem(address)", checked(owner))


def deposit(wrapper: Address, assets: int, receiver: Address) -> Call:
    """Wrap assets of the sender for `receiver`. The wrapper must have an allowance for them.

    :raises ValueError: the amount is not above zero.
    """
    return _call(wrapper, "deposit(uint256,address)", _positive(assets), checked(receiver))


def redeem(wrapper: Address, shares: int, receiver: Address, owner: Address) -> Call:
    """Unwrap shares of `owner`, who is the sender or has allowed it to, and give the assets to `receiver`.

    :raises ValueError: the amount is not above zero.
    """
    return _call(
        wrapper, "redeem(uint256,address,address)", _positive(shares), checked(receiver), checked(owner)
    )


def decode_asset(answer: bytes) -> Address:
    """Read the answer of `asset`.

    :raises Unavailable: for anything but one address.
    """
    if len(answer) != 32 or any(answer[:12]) or not any(answer):
        raise Unavailable(f"expected an address, got 0x{answer.hex()}: is there a wrapper at this address?")
    return _address(answer)


def wraps(receipt: Receipt, wrapper: Address) -> list[Wrapped]:
    """List the deposits into a wrapper in a receipt, in their order."""
    return [
        Wrapped(_address(log.topics[1]), _address(log.topics[2]), *_two_numbers(log.data))
        for log in _logs(receipt, wrapper, DEPOSIT_TOPIC, topics=3)
    ]


def unwraps(receipt: Receipt, wrapper: Address) -> list[Unwrapped]:
    """List the withdrawals from a wrapper in a receipt, in their order."""
    return [
        Unwrapped(
            _address(log.topics[1]), _address(log.topics[2]), _address(log.topics[3]), *_two_numbers(log.data)
        )
        for log in _logs(receipt, wrapper, WITHDRAW_TOPIC, topics=4)
    ]


def _call(wrapper: Address, signature: str, *values: int | Address) -> Call:
    types: Sequence[str] = [kind for kind in signature[signature.index("(") + 1 : -1].split(",") if kind]
    return Call(checked(wrapper), _selector(signature) + abi_encode(types, values))


@cache
def _selector(signature: str) -> bytes:
    return keccak(text=signature)[:4]


def _amount(units: int) -> int:
    if not 0 <= units < 2**256:
        raise ValueError(f"not an amount in base units: {units}")
    return units


def _positive(units: int) -> int:
    if units <= 0:
        raise ValueError(f"the amount must be above zero, not {units}")
    return _amount(units)


def _logs(receipt: Receipt, wrapper: Address, topic: bytes, *, topics: int) -> Iterator[Log]:
    for log in sorted(receipt.logs, key=lambda log: log.index):
        if checked(log.address) != checked(wrapper) or not log.topics or log.topics[0] != topic:
            continue
        if len(log.topics) != topics or len(log.data) != 64:
            raise Unavailable(f"log {log.index} is not an event of an ERC-4626 wrapper")
        yield log


def _two_numbers(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[:32], "big"), int.from_bytes(data[32:], "big")


def _address(word: bytes) -> Address:
    return str(to_checksum_address(word[-20:]))
