from __future__ import annotations

import pickle
import traceback

import pytest
from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from eth_utils.crypto import keccak
from hexbytes import HexBytes

from include.venues.evm.signer import LocalSigner, SignedTransaction, Signer
from include.venues.evm.types import Call, Fees, UnsignedTransaction
from tests.unit.venues.evm.fakes import OWNER, TOKEN

# The second of the keys that development nodes hand out; it is public.
KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"


def unsigned(nonce: int = 5) -> UnsignedTransaction:
    fees = Fees(max_fee_per_gas=30, max_priority_fee_per_gas=2)
    return UnsignedTransaction(8453, nonce, Call(TOKEN, b"\x01\x02", value=9), 60_000, fees)


@pytest.mark.parametrize("key", [KEY, KEY[2:], bytes.fromhex(KEY[2:]), f" {KEY}\n"])
def test_local_signer__any_form_of_the_key__its_address(key: str | bytes) -> None:
    signer: Signer = LocalSigner(key)

    assert signer.address == OWNER


def test_sign__covers_every_field_and_recovers_to_the_address() -> None:
    signed = LocalSigner(KEY).sign(unsigned())

    decoded = TypedTransaction.from_bytes(HexBytes(signed.raw)).as_dict()
    assert Account.recover_transaction(signed.raw) == OWNER
    assert signed.hash == "0x" + keccak(signed.raw).hex()
    assert (
        decoded
        | {
            "type": 2,
            "chainId": 8453,
            "nonce": 5,
            "to": bytes.fromhex(TOKEN[2:]),
            "value": 9,
            "data": b"\x01\x02",
            "gas": 60_000,
            "maxFeePerGas": 30,
            "maxPriorityFeePerGas": 2,
        }
        == decoded
    )


def test_sign__twice__the_same_bytes() -> None:
    first: SignedTransaction = LocalSigner(KEY).sign(unsigned())

    assert LocalSigner(KEY).sign(unsigned()) == first
    assert LocalSigner(KEY).sign(unsigned(nonce=6)) != first


def test_local_signer__repr_and_str__hide_the_key() -> None:
    signer = LocalSigner(KEY)

    assert repr(signer) == str(signer) == f"LocalSigner({OWNER})"
    assert KEY[2:] not in f"{signer!r} {[signer]} {signer.__class__.__slots__}"


def test_local_signer__pickled__refused() -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(LocalSigner(KEY))


@pytest.mark.parametrize(
    "key",
    [
        KEY[:-1],
        KEY + "00",
        KEY[:-1] + "g",
        "0x" + "00" * 32,
        "0x" + "ff" * 32,
        "correct horse battery staple",
        b"\x01" * 31,
    ],
)
def test_local_signer__malformed_key__error_holds_nothing_of_it(key: str | bytes) -> None:
    with pytest.raises(ValueError, match="not a private key") as caught:
        LocalSigner(key)

    # Without the source lines, of which this test's own table would be one.
    shown = "".join(traceback.format_exception_only(caught.value))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert str(key) not in shown
    assert KEY[10:40] not in shown
