from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from eth_account import Account
from eth_account.typed_transactions.typed_transaction import TypedTransaction
from hexbytes import HexBytes
from hypothesis import given, settings
from hypothesis import strategies as st

from include.venues.errors import Refused
from include.venues.evm.signatures import (
    CURVE_ORDER,
    SignatureMismatch,
    address_of,
    assemble,
    from_der,
    signing_hash,
    verified,
)
from include.venues.evm.signer import LocalSigner, fields
from include.venues.evm.types import Call, Fees, UnsignedTransaction
from tests.unit.venues.evm.fakes import OTHER, OWNER, TOKEN

# The second and the third of the keys that development nodes hand out; they are public.
KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
OTHER_KEY = "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"

TX = UnsignedTransaction(8453, 5, Call(TOKEN, b"\x01\x02", value=9), 60_000, Fees(30, 2))
TRANSACTIONS = st.builds(
    UnsignedTransaction,
    chain_id=st.sampled_from([1, 8453]),
    nonce=st.integers(0, 2**40),
    call=st.builds(Call, to=st.just(TOKEN), data=st.binary(max_size=70), value=st.integers(0, 2**200)),
    gas=st.integers(1, 2**40),
    fees=st.builds(Fees, st.integers(1, 2**60), st.integers(0, 2**60)),
)


def parts(raw: bytes) -> tuple[int, int, int]:
    """Return parity, r and s of a signed transaction."""
    found = TypedTransaction.from_bytes(HexBytes(raw)).as_dict()
    return found["v"], found["r"], found["s"]


def der_key(public: Any) -> bytes:
    encoded: bytes = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


@settings(max_examples=25, deadline=None)  # finding out whose signature it is takes a while in pure Python
@given(TRANSACTIONS)
def test_assemble__the_signature_of_any_transaction__gives_what_the_local_signer_gives(
    tx: UnsignedTransaction,
) -> None:
    signed = LocalSigner(KEY).sign(tx)
    _, r, s = parts(signed.raw)

    assert assemble(tx, r, s, OWNER) == signed
    assert assemble(tx, r, CURVE_ORDER - s, OWNER) == signed
    assert verified(tx, signed.raw, OWNER) == signed


def test_assemble__signature_of_another_key__refused() -> None:
    _, r, s = parts(LocalSigner(OTHER_KEY).sign(TX).raw)

    with pytest.raises(SignatureMismatch, match=f"not one of this transaction by {OWNER}"):
        assemble(TX, r, s, OWNER)
    assert issubclass(SignatureMismatch, Refused)


def test_assemble__signature_of_another_transaction__refused() -> None:
    _, r, s = parts(LocalSigner(KEY).sign(replace(TX, nonce=6)).raw)

    with pytest.raises(SignatureMismatch, match="not one of this transaction"):
        assemble(TX, r, s, OWNER)


@pytest.mark.parametrize(
    ("r", "s"), [(0, 1), (1, 0), (CURVE_ORDER, 1), (1, CURVE_ORDER), (-1, 1), (2**300, 2**300)]
)
def test_assemble__numbers_that_are_no_signature__refused(r: int, s: int) -> None:
    with pytest.raises(SignatureMismatch, match="outside the curve"):
        assemble(TX, r, s, OWNER)


def test_assemble__r_of_no_point__refused() -> None:
    # There is no point with x = 5 on the curve.
    with pytest.raises(SignatureMismatch, match="not one of this transaction"):
        assemble(TX, 5, 1, OWNER)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"to": OTHER}, f"to was changed: asked for {TOKEN.lower()}, got {OTHER.lower()}"),
        ({"value": 10}, "value was changed: asked for 9, got 10"),
        ({"data": b"\x01\x03"}, "data was changed: asked for 0x0102, got 0x0103"),
        ({"data": b"\x07" * 500}, "data was changed: .*0x0707.*[.][.][.]$"),
        ({"nonce": 6}, "nonce was changed: asked for 5, got 6"),
        ({"gas": 60_001}, "gas was changed"),
        ({"chainId": 1}, "chainId was changed: asked for 8453, got 1"),
        ({"maxFeePerGas": 31}, "maxFeePerGas was changed"),
        ({"maxPriorityFeePerGas": 3}, "maxPriorityFeePerGas was changed"),
        ({"accessList": [{"address": OTHER, "storageKeys": ["0x" + "00" * 32]}]}, "accessList was changed"),
    ],
)
def test_verified__our_key_but_one_field_changed__refused_by_name(changes: dict[str, Any], says: str) -> None:
    raw = bytes(Account.from_key(KEY).sign_transaction(fields(TX) | changes).raw_transaction)

    with pytest.raises(SignatureMismatch, match=says):
        verified(TX, raw, OWNER)


def test_verified__our_fields_but_another_key__refused() -> None:
    with pytest.raises(SignatureMismatch, match=f"not one of this transaction by {OWNER}"):
        verified(TX, LocalSigner(OTHER_KEY).sign(TX).raw, OWNER)


def test_verified__parity_or_s_not_as_ethereum_wants_them__refused() -> None:
    parity, r, s = parts(LocalSigner(KEY).sign(TX).raw)

    for v, high in ((1 - parity, s), (1 - parity, CURVE_ORDER - s)):
        raw = bytes(TypedTransaction.from_dict(fields(TX) | {"v": v, "r": r, "s": high}).encode())
        with pytest.raises(SignatureMismatch, match="not written as Ethereum wants"):
            verified(TX, raw, OWNER)


def _legacy() -> bytes:
    old = {name: value for name, value in fields(TX).items() if name != "type" and "Fee" not in name}
    return bytes(Account.from_key(KEY).sign_transaction(old | {"gasPrice": 30}).raw_transaction)


def _access_list_type() -> bytes:
    old = {name: value for name, value in fields(TX).items() if "Fee" not in name}
    changed = old | {"type": 1, "gasPrice": 30, "accessList": []}
    return bytes(Account.from_key(KEY).sign_transaction(changed).raw_transaction)


SIGNED = LocalSigner(KEY).sign(TX).raw


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x02", id="type only"),
        pytest.param(b"\x02\xc0", id="no fields"),
        pytest.param(b"garbage", id="text"),
        pytest.param(SIGNED[:-1], id="cut"),
        pytest.param(SIGNED + b"\x00", id="longer"),
        pytest.param(SIGNED[1:], id="without its type"),
        pytest.param(_legacy(), id="legacy"),
        pytest.param(_access_list_type(), id="type 1"),
    ],
)
def test_verified__not_such_a_transaction__refused(raw: bytes) -> None:
    with pytest.raises(SignatureMismatch):
        verified(TX, raw, OWNER)


@given(st.binary(max_size=300))
def test_verified__any_bytes__refused_and_nothing_else_raised(raw: bytes) -> None:
    with pytest.raises(SignatureMismatch):
        verified(TX, b"\x02" + raw, OWNER)


def test_address_of__public_key_of_a_known_key__its_address() -> None:
    key = ec.derive_private_key(int(KEY, 16), ec.SECP256K1())

    assert address_of(der_key(key.public_key())) == OWNER


def test_address_of__coordinate_that_begins_with_zeros__is_padded() -> None:
    number = next(
        n for n in range(1, 3000)
        if ec.derive_private_key(n, ec.SECP256K1()).public_key().public_numbers().x < 2**248
    )  # fmt: skip
    key = ec.derive_private_key(number, ec.SECP256K1())

    assert address_of(der_key(key.public_key())) == Account.from_key(number.to_bytes(32, "big")).address


@pytest.mark.parametrize(
    "public_key",
    [
        der_key(ec.derive_private_key(7, ec.SECP256R1()).public_key()),
        der_key(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()),
        b"",
        b"garbage",
    ],
)
def test_address_of__no_key_of_the_curve__refused(public_key: bytes) -> None:
    with pytest.raises(ValueError, match=r"no public key in DER|not on the curve secp256k1"):
        address_of(public_key)


def test_from_der__what_was_encoded__comes_back() -> None:
    assert from_der(encode_dss_signature(1, CURVE_ORDER - 1)) == (1, CURVE_ORDER - 1)
    with pytest.raises(ValueError, match="parsing"):
        from_der(b"garbage")


def test_signing_hash__is_what_the_key_signs() -> None:
    parity, r, s = parts(LocalSigner(KEY).sign(TX).raw)

    recovered = Account._recover_hash(signing_hash(TX), vrs=(parity + 27, r, s))
    assert recovered == OWNER
