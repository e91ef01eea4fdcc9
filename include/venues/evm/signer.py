"""What signs transactions: a key in this process here; elsewhere in `kms_signer.py` and `web3signer.py`."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from include.venues.evm.addresses import checked
from include.venues.evm.types import Address, SignedTransaction

if TYPE_CHECKING:
    from include.venues.evm.types import UnsignedTransaction

__all__ = ["LocalSigner", "SignedTransaction", "Signer", "fields"]


_KEY = re.compile(r"(0x)?[0-9a-fA-F]{64}")


class Signer(Protocol):
    """Signs for one address.

    The same transaction signed twice may give different bytes, and so different hashes: some hardware draws a
    random number for each signature. Whoever broadcasts therefore stores the bytes first, and sends those.
    """

    @property
    def address(self) -> Address:
        """The address that the signatures are of."""
        ...

    def sign(self, tx: UnsignedTransaction) -> SignedTransaction:
        """Sign, and send nothing.

        :raises Refused: when it will not be signed, or not what was asked; see `signatures.py`.
        :raises Unavailable: when what signs is elsewhere and did not answer.
        """
        ...


class NotPicklable:
    """What keeps a key, or the way to one. A copy on disk or in a message queue would hold it too."""

    __slots__ = ()

    def __reduce__(self) -> NoReturn:
        raise TypeError("a signer cannot be pickled")


def fields(tx: UnsignedTransaction) -> dict[str, Any]:
    """Name the fields of an EIP-1559 transaction as Ethereum's JSON-RPC names them."""
    return {
        "type": 2,
        "chainId": tx.chain_id,
        "nonce": tx.nonce,
        "to": checked(tx.call.to),
        "value": tx.call.value,
        "data": tx.call.data,
        "gas": tx.gas,
        "maxFeePerGas": tx.fees.max_fee_per_gas,
        "maxPriorityFeePerGas": tx.fees.max_priority_fee_per_gas,
    }


class LocalSigner(NotPicklable):
    """Signs with a private key held in this process.

    :param private_key: 32 bytes, or the same as hex with or without `0x`.
    :raises ValueError: when that is no private key; the text never holds any of it.
    """

    __slots__ = ("_account", "address")

    def __init__(self, private_key: str | bytes) -> None:
        self._account = _account_of(private_key)
        self.address: Address = str(self._account.address)

    def __repr__(self) -> str:
        return f"LocalSigner({self.address})"

    def sign(self, tx: UnsignedTransaction) -> SignedTransaction:
        """Sign an EIP-1559 transaction. Signatures are deterministic: equal input gives equal bytes."""
        signed = self._account.sign_transaction(fields(tx))
        return SignedTransaction(bytes(signed.raw_transaction), f"0x{signed.hash.hex().removeprefix('0x')}")


def _account_of(private_key: str | bytes) -> Any:
    from eth_account import Account  # noqa: PLC0415 - a second to import, needed only where something is signed

    key = private_key.strip() if isinstance(private_key, str) else private_key.hex()
    account = None
    # The library would pad a key that lost a digit, and sign for an address that nobody meant.
    if _KEY.fullmatch(key):
        # Whatever goes wrong, its text may hold the key; so it is dropped, not chained.
        with suppress(Exception):
            account = Account.from_key(key)
    if account is None:
        raise ValueError("not a private key: expected 32 bytes, as hex, within the range of the curve")
    return account
