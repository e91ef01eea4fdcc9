from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest
from eth_abi.packed import encode_packed
from eth_account import Account
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from include.venues.cctp.message import (
    BurnMessage,
    MalformedMessage,
    address_to_bytes32,
    bytes32_to_address,
    normalise,
    normalise_body,
    public_key_to_address,
    recover_attesters,
)
from tests.unit.venues.cctp.samples import (
    ATTESTED,
    MAKER,
    SENT,
    USDC_BASE,
    burn_messages,
    genuine_attestation,
    genuine_message,
    genuine_row,
)

GENUINE_ATTESTERS = [
    "0x49fD63506E0D88E07511aD95bAe7B2A31aF98b28",
    "0x8867a67cDa4BC788C6E819BaeaEc60b867865287",
]
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@given(burn_messages)
def test_encode_and_decode__any_message__are_inverse(message: BurnMessage) -> None:
    encoded = message.encode()

    assert len(encoded) == 376 + len(message.hook_data)
    assert BurnMessage.decode(encoded) == message


@given(st.binary(min_size=376, max_size=600))
def test_decode_and_encode__any_bytes_long_enough__are_inverse(data: bytes) -> None:
    assert BurnMessage.decode(data).encode() == data


@pytest.mark.parametrize("length", range(376))
def test_decode__every_shorter_length__is_refused(length: int) -> None:
    with pytest.raises(MalformedMessage, match=f"after {length} bytes"):
        BurnMessage.decode(ATTESTED.encode()[:length])


@pytest.mark.parametrize(
    ("length", "field", "offset"),
    [
        (0, "version", 0),
        (43, "nonce", 12),
        (147, "finality_threshold_executed", 144),
        (375, "expiration_block", 344),
    ],
)
def test_decode__truncated__names_field_and_offset(length: int, field: str, offset: int) -> None:
    with pytest.raises(MalformedMessage, match=f"{field} is at {offset} "):
        BurnMessage.decode(bytes(length))


def test_encode__sample__equals_the_packed_encoding_of_solidity() -> None:
    header = ["uint32", "uint32", "uint32", *["bytes32"] * 4, "uint32", "uint32"]
    body = ["uint32", "bytes32", "bytes32", "uint256", "bytes32", "uint256", "uint256", "uint256", "bytes"]
    message = replace(ATTESTED, hook_data=b"hook")
    values = [getattr(message, field.name) for field in fields(message)]

    assert message.encode() == encode_packed(header + body, values)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"version": 2**32}, "version at 0"),
        ({"amount": -1}, "amount at 216"),
        ({"fee_executed": 2**256}, "fee_executed at 312"),
        ({"nonce": bytes(31)}, "nonce at 12"),
        ({"sender": bytes(20)}, "sender at 44"),
    ],
)
def test_encode__value_that_does_not_fit__names_the_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(MalformedMessage, match=field):
        replace(ATTESTED, **changes).encode()


def test_decode__genuine_message__agrees_with_circles_own_decoding() -> None:
    header = genuine_row()["decodedMessage"]
    body = header["decodedMessageBody"]

    message = BurnMessage.decode(genuine_message())

    assert (message.version, message.body_version) == (1, 1)
    assert message.source_domain == int(header["sourceDomain"])
    assert message.destination_domain == int(header["destinationDomain"])
    assert message.nonce == bytes.fromhex(header["nonce"][2:])
    assert bytes32_to_address(message.sender).lower() == header["sender"]
    assert bytes32_to_address(message.recipient).lower() == header["recipient"]
    assert f"0x{message.destination_caller.hex()}" == header["destinationCaller"]
    assert message.min_finality_threshold == int(header["minFinalityThreshold"])
    assert message.finality_threshold_executed == int(header["finalityThresholdExecuted"])
    assert f"0x{genuine_message()[148:].hex()}" == header["messageBody"]
    assert bytes32_to_address(message.burn_token).lower() == body["burnToken"]
    assert bytes32_to_address(message.mint_recipient).lower() == body["mintRecipient"]
    assert message.amount == int(body["amount"])
    assert bytes32_to_address(message.message_sender).lower() == body["messageSender"]
    assert message.max_fee == int(body["maxFee"])
    assert message.fee_executed == int(body["feeExecuted"])
    assert message.expiration_block == int(body["expirationBlock"])
    assert message.hook_data == b""
    assert message.encode() == genuine_message()


def test_normalise__attested_message__equals_what_the_source_emitted() -> None:
    assert normalise(ATTESTED.encode()) == SENT.encode()
    assert normalise(SENT.encode()) == SENT.encode()


def test_normalise__hook_data__is_kept() -> None:
    hook = b"\x01\x02\x03"

    assert normalise(replace(ATTESTED, hook_data=hook).encode()) == replace(SENT, hook_data=hook).encode()


@given(burn_messages)
def test_normalise__any_message__zeroes_exactly_what_the_attester_fills(message: BurnMessage) -> None:
    expected = replace(
        message, nonce=bytes(32), finality_threshold_executed=0, fee_executed=0, expiration_block=0
    )

    assert BurnMessage.decode(normalise(message.encode())) == expected


@given(burn_messages)
def test_normalise_body__any_message__is_the_end_of_the_normalised_message(message: BurnMessage) -> None:
    assert normalise_body(message.encode()[148:]) == normalise(message.encode())[148:]


def test_normalise__too_short__is_refused() -> None:
    with pytest.raises(MalformedMessage):
        normalise(SENT.encode()[:-1])
    with pytest.raises(MalformedMessage):
        normalise_body(SENT.encode()[149:])


def test_address_fields__checksummed_address__round_trip() -> None:
    field = address_to_bytes32(USDC_BASE)

    assert field == bytes(12) + bytes.fromhex(USDC_BASE[2:])
    assert bytes32_to_address(field) == USDC_BASE
    assert address_to_bytes32(USDC_BASE.lower()) == field


@pytest.mark.parametrize(
    "bad", ["", "0x", "0x1234", USDC_BASE.replace("D", "d"), USDC_BASE + "00", USDC_BASE[2:], "AAPL"]
)
def test_address_to_bytes32__not_an_address_or_wrong_checksum__is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="not an address"):
        address_to_bytes32(bad)


@pytest.mark.parametrize("bad", [bytes(31), bytes(33), b"\x01" + bytes(31), bytes(11) + b"\x01" + bytes(20)])
def test_bytes32_to_address__no_evm_address__is_refused(bad: bytes) -> None:
    with pytest.raises(MalformedMessage):
        bytes32_to_address(bad)


def test_recover_attesters__genuine_attestation__gives_two_distinct_ascending_attesters() -> None:
    attesters = recover_attesters(genuine_message(), genuine_attestation())

    assert attesters == GENUINE_ATTESTERS
    assert int(attesters[0], 16) < int(attesters[1], 16)


def test_recover_attesters__one_bit_of_the_message_changed__recovers_others() -> None:
    changed = bytearray(genuine_message())
    changed[247] ^= 1

    assert not set(recover_attesters(bytes(changed), genuine_attestation())) & set(GENUINE_ATTESTERS)


@settings(max_examples=5, deadline=None)
@given(st.binary(min_size=32, max_size=32).filter(lambda key: 0 < int.from_bytes(key, "big") < ORDER))
def test_recover_attesters__any_key__recovers_its_address(key: bytes) -> None:
    message = ATTESTED.encode()
    signature = Account.unsafe_sign_hash(keccak(message), key).signature

    assert recover_attesters(message, bytes(signature)) == [Account.from_key(key).address]


def _with_upper_s(signature: bytes) -> bytes:
    s = ORDER - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([27 + 28 - signature[64]])


@pytest.mark.parametrize(
    "attestation",
    [
        b"",
        genuine_attestation()[:-1],
        genuine_attestation() + b"\x1b",
        genuine_attestation()[:64] + b"\x00",  # v counted from 0, which the contracts refuse
        _with_upper_s(genuine_attestation()[:65]),
        bytes(64) + b"\x1b",
    ],
    ids=["empty", "short", "long", "v from 0", "upper s", "zeros"],
)
def test_recover_attesters__not_what_the_contracts_accept__is_refused(attestation: bytes) -> None:
    with pytest.raises(MalformedMessage):
        recover_attesters(genuine_message(), attestation)


def test_public_key_to_address__key_of_a_signer__is_its_address() -> None:
    key = PrivateKey(keccak(text="a key of this test"))

    assert public_key_to_address(b"\x04" + key.public_key.to_bytes()) == key.public_key.to_checksum_address()


@pytest.mark.parametrize("bad", [b"", b"\x04" + bytes(63), b"\x02" + bytes(64)])
def test_public_key_to_address__compressed_or_cut__is_refused(bad: bytes) -> None:
    with pytest.raises(MalformedMessage):
        public_key_to_address(bad)


def test_samples__maker__is_a_checksummed_address() -> None:
    assert bytes32_to_address(SENT.mint_recipient) == MAKER
