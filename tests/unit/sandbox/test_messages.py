from __future__ import annotations

import pytest
from eth_keys.datatypes import PublicKey, Signature
from eth_utils.crypto import keccak

from include.sandbox.accounts import Role, account
from include.sandbox.messages import FAST, STANDARD, Message, public_key, sign

NONCE = keccak(text="nonce")


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def sent(hook: bytes = b"") -> Message:
    """Return a burn of 1,000,000 units as it stands in the source chain's log."""
    header = (1).to_bytes(4, "big") + (0).to_bytes(4, "big") + (6).to_bytes(4, "big") + bytes(32)
    header += word(0xA1) + word(0xA2) + word(0) + FAST.to_bytes(4, "big") + bytes(4)
    body = (1).to_bytes(4, "big") + word(0xB1) + word(0xB2) + word(1_000_000) + word(0xB3) + word(500)
    return Message(header + body + bytes(64) + hook)


@pytest.mark.parametrize("hook", [b"", b"hook data"])
def test_filled__burn__changes_only_what_the_attester_adds(hook: bytes) -> None:
    before = sent(hook)

    after = before.filled(NONCE, FAST, fee=100, expiration_block=77)

    assert len(before.data) == 376 + len(hook)
    assert after.nonce == NONCE
    assert (after.fee_executed, after.expiration_block) == (100, 77)
    assert after.data[144:148] == FAST.to_bytes(4, "big")
    blanked = after.data[:12] + bytes(32) + after.data[44:144] + bytes(4) + after.data[148:312] + bytes(64)
    assert blanked + after.data[376:] == before.data


def test_filled__message_that_is_no_burn__gets_a_header_only() -> None:
    before = Message(sent().data[:148] + b"something else")

    after = before.filled(NONCE, STANDARD)

    assert after.data == before.data[:12] + NONCE + before.data[44:144] + b"\0\0\x07\xd0something else"
    assert after.decoded()["decodedMessageBody"] is None


def test_decoded__burn_with_hook__shows_numbers_as_strings_and_addresses_short() -> None:
    message = sent(b"\x01\x02").filled(NONCE, FAST, fee=100, expiration_block=77)

    assert message.decoded() == {
        "sourceDomain": "0",
        "destinationDomain": "6",
        "nonce": "0x" + NONCE.hex(),
        "sender": "0x" + "00" * 19 + "a1",
        "recipient": "0x" + "00" * 19 + "a2",
        "destinationCaller": "0x" + "00" * 32,
        "minFinalityThreshold": "1000",
        "finalityThresholdExecuted": "1000",
        "messageBody": "0x" + message.data[148:].hex(),
        "decodedMessageBody": {
            "burnToken": "0x" + "00" * 19 + "b1",
            "mintRecipient": "0x" + "00" * 19 + "b2",
            "amount": "1000000",
            "messageSender": "0x" + "00" * 19 + "b3",
            "maxFee": "500",
            "feeExecuted": "100",
            "expirationBlock": "77",
            "hookData": "0x0102",
        },
    }


@pytest.mark.parametrize(
    "roles", [(Role.ATTESTER_1, Role.ATTESTER_2), (Role.ATTESTER_2, Role.ATTESTER_1)], ids=["1-2", "2-1"]
)
def test_sign__two_signers_in_any_order__ascending_addresses_over_the_bare_hash(
    roles: tuple[Role, ...],
) -> None:
    signatures = sign(b"message", roles)

    assert len(signatures) == 130
    signers = []
    for part in (signatures[:65], signatures[65:]):
        assert part[64] in (27, 28)
        signature = Signature(part[:64] + bytes([part[64] - 27]))
        signers.append(signature.recover_public_key_from_msg_hash(keccak(b"message")).to_checksum_address())
    assert signers == sorted((account(role).address for role in roles), key=lambda address: int(address, 16))


def test_public_key__of_a_role__belongs_to_its_address() -> None:
    key = public_key(Role.ATTESTER_1)

    assert len(key) == 2 + 2 * 65
    raw = PublicKey(bytes.fromhex(key.removeprefix("0x04")))
    assert raw.to_checksum_address() == account(Role.ATTESTER_1).address
