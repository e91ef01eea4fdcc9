"""The few shapes in which the EVM client takes and gives data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Address: TypeAlias = str
"""An EIP-55 checksummed address, `0x` and 40 hex digits."""
Hash: TypeAlias = str
"""A 32-byte hash as lower-case hex with `0x`."""


@dataclass(frozen=True, slots=True)
class Call:
    """A contract call, to be read, simulated or sent. `value` is in wei."""

    to: Address
    data: bytes
    value: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """A block header. `timestamp` is in seconds since 1970."""

    number: int
    hash: Hash
    timestamp: int


@dataclass(frozen=True, slots=True)
class Contents:
    """A block with the hash of the one before it, and the hashes of its transactions."""

    block: Block
    parent: Hash
    transactions: tuple[Hash, ...]


@dataclass(frozen=True, slots=True)
class Log:
    """One event of a receipt."""

    address: Address
    topics: tuple[bytes, ...]
    data: bytes
    index: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """A mined transaction. `effective_gas_price` is in wei; a `status` of False means it reverted.

    `l1_fee` is what a rollup charges, in wei, for keeping the transaction on the chain below it.
    """

    transaction_hash: Hash
    block_number: int
    block_hash: Hash
    status: bool
    gas_used: int
    effective_gas_price: int
    logs: tuple[Log, ...]
    l1_fee: int = 0

    @property
    def paid(self) -> int:
        """What the sender paid for it, in wei, without the value it carried."""
        return self.gas_used * self.effective_gas_price + self.l1_fee


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction as the node knows it. `call` is None where it creates a contract.

    `block_number` is None while it is not mined.
    """

    hash: Hash
    sender: Address
    nonce: int
    call: Call | None
    block_number: int | None


@dataclass(frozen=True, slots=True)
class Fees:
    """EIP-1559 fees, in wei per gas."""

    max_fee_per_gas: int
    max_priority_fee_per_gas: int


@dataclass(frozen=True, slots=True)
class UnsignedTransaction:
    """Everything that a signature of an EIP-1559 transaction covers. Amounts are in wei."""

    chain_id: int
    nonce: int
    call: Call
    gas: int
    fees: Fees


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """The bytes to broadcast, and the hash by which the chain will know them."""

    raw: bytes
    hash: Hash


@dataclass(frozen=True, slots=True)
class LoggedEvent(Log):
    """One event found by a search of the chain, with the transaction and the block that hold it."""

    transaction_hash: Hash
    block_number: int


@dataclass(frozen=True, slots=True)
class MulticallResult:
    """The answers to many calls, all read in one block. An answer of None means that this call failed.

    `timestamp` is the block's, in seconds since 1970.
    """

    block_number: int
    timestamp: int
    results: tuple[bytes | None, ...]
