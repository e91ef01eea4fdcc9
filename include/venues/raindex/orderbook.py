"""Vaults in Rain's OrderBook: calls to build, answers and events to read. Pure, no I/O.

A vault is a balance inside the contract, of one owner, one token and one id of 32 bytes. Active orders move
it at any time. Amounts are base units of the token; the contract itself counts in floats (see `float.py`).

Every function that returns a `Call` raises ValueError for an address, vault id or amount that is none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from include.venues.errors import Unavailable
from include.venues.evm.addresses import checked, word
from include.venues.evm.types import Address, Call
from include.venues.raindex import float as rain_float

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from decimal import Decimal

    from include.venues.evm.types import Log, Receipt

Version: TypeAlias = Literal["v6", "v5"]
"""Which release of the contract is spoken to. They differ in the names of two functions only."""
VaultId: TypeAlias = str
"""A vault's id: `0x` and 64 hex digits, lower case where this module gives it."""

_TASKS: Final = "((address,address,bytes),(address,bytes32[],bytes)[])[]"
_DEPOSIT: Final[dict[Version, str]] = {"v6": "deposit4", "v5": "deposit3"}
_WITHDRAW: Final[dict[Version, str]] = {"v6": "withdraw4", "v5": "withdraw3"}

DEPOSIT_TOPIC: Final = keccak(text="DepositV2(address,address,bytes32,uint256)")
WITHDRAW_TOPIC: Final = keccak(text="WithdrawV2(address,address,bytes32,bytes32,bytes32,uint256)")

_VAULT_BALANCE: Final = keccak(text="vaultBalance2(address,address,bytes32)")[:4]
_VAULT_ID: Final = re.compile(r"0x[0-9a-fA-F]{64}")


class MalformedAnswer(Unavailable):
    """An answer or event is not what the OrderBook would give: the wrong contract, or a poor node."""


@dataclass(frozen=True, slots=True)
class VaultDeposit:
    """What went into a vault. `amount` is in base units."""

    owner: Address
    token: Address
    vault_id: VaultId
    amount: int


@dataclass(frozen=True, slots=True)
class VaultWithdrawal:
    """What came out of a vault. `amount` is what really moved, in base units: it may be less than the target.

    :ivar target: what was asked for, in whole tokens.
    """

    owner: Address
    token: Address
    vault_id: VaultId
    target: Decimal
    amount: int


def deposit(
    orderbook: Address,
    *,
    token: Address,
    vault_id: VaultId,
    amount: int,
    decimals: int,
    version: Version = "v6",
) -> Call:
    """Move the sender's own tokens into a vault of the sender. The OrderBook must have an allowance for them.

    :param amount: in base units, above zero.
    :param decimals: of the token.
    """
    return _move(orderbook, _DEPOSIT[version], token, vault_id, _amount(amount, decimals))


def withdraw(
    orderbook: Address,
    *,
    token: Address,
    vault_id: VaultId,
    target: int,
    decimals: int,
    version: Version = "v6",
) -> Call:
    """Move tokens out of a vault of the sender to the sender.

    The contract pays less where the vault holds less: what was paid is in `withdrawals` of the receipt, and
    nowhere else.

    :param target: the most that may move, in base units, above zero.
    :param decimals: of the token.
    """
    return _move(orderbook, _WITHDRAW[version], token, vault_id, _amount(target, decimals))


def vault_balance(orderbook: Address, *, owner: Address, token: Address, vault_id: VaultId) -> Call:
    """Ask what a vault holds; `decode_vault_balance` reads the answer. The same in both versions."""
    # Asked of every vault in each look, and so written by hand.
    data = b"".join((_VAULT_BALANCE, word(owner), word(token), _vault_id(vault_id)))
    return Call(checked(orderbook), data)


def decode_vault_balance(answer: bytes, decimals: int) -> int:
    """Read the answer of `vault_balance` as whole base units; a fraction of one cannot be withdrawn.

    :param decimals: of the token.
    :raises MalformedAnswer: it is no balance. An address without code answers with nothing: that is not zero.
    """
    try:
        return rain_float.floored_units(answer, decimals)
    except rain_float.BadFloat as problem:
        raise MalformedAnswer(
            f"not a vault balance: {problem}; is there an OrderBook at this address?"
        ) from problem


def deposits(receipt: Receipt, orderbook: Address) -> list[VaultDeposit]:
    """List what a transaction moved into vaults, whoever's they are, in the order of the logs."""
    types = ("address", "address", "bytes32", "uint256")
    return [
        VaultDeposit(checked(owner), checked(token), "0x" + vault.hex(), amount)
        for owner, token, vault, amount in _events(receipt, orderbook, DEPOSIT_TOPIC, types)
    ]


def withdrawals(receipt: Receipt, orderbook: Address) -> list[VaultWithdrawal]:
    """List what a transaction moved out of vaults, whoever's they are, in the order of the logs."""
    types = ("address", "address", "bytes32", "bytes32", "bytes32", "uint256")
    return [
        VaultWithdrawal(checked(owner), checked(token), "0x" + vault.hex(), rain_float.decode(target), amount)
        for owner, token, vault, target, _, amount in _events(receipt, orderbook, WITHDRAW_TOPIC, types)
    ]


def _amount(units: int, decimals: int) -> bytes:
    if units <= 0:
        raise ValueError(f"the amount must be above zero, not {units}")
    return rain_float.encode(units, decimals)


def _move(orderbook: Address, name: str, token: Address, vault_id: VaultId, amount: bytes) -> Call:
    types = ("address", "bytes32", "bytes32", _TASKS)
    no_tasks: list[object] = []
    values = (checked(token), _vault_id(vault_id), amount, no_tasks)
    return _call(orderbook, f"{name}({','.join(types)})", types, values)


def _call(to: Address, signature: str, types: Sequence[str], values: Sequence[object]) -> Call:
    return Call(checked(to), keccak(text=signature)[:4] + abi_encode(types, values))


def _vault_id(text: VaultId) -> bytes:
    if not _VAULT_ID.fullmatch(text):
        raise ValueError(f"not the id of a vault (0x and 64 hex digits): {text!r}")
    vault_id = bytes.fromhex(text[2:])
    if not any(vault_id):
        # For V6 it stands for the owner's wallet: nothing can be put there, and its balance is an allowance
        raise ValueError("the vault id zero is no vault")
    return vault_id


def _events(
    receipt: Receipt, orderbook: Address, topic: bytes, types: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    for log in sorted(receipt.logs, key=_index):
        # Nothing is indexed in these events: the only topic says which one it is
        if checked(log.address) != checked(orderbook) or log.topics != (topic,):
            continue
        try:
            yield abi_decode(types, log.data)
        except DecodingError as problem:
            raise MalformedAnswer(f"log {log.index} is not ({', '.join(types)}): {problem}") from problem


def _index(log: Log) -> int:
    return log.index
