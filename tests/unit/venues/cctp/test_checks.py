from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from include.venues.cctp.checks import ExpectedBurn, MessageMismatch, check_message, is_expired
from include.venues.cctp.message import BurnMessage, address_to_bytes32
from tests.unit.venues.cctp.samples import (
    ATTESTED,
    MAKER,
    MESSENGER,
    NONCE,
    SENT,
    STRANGER,
    USDC_BASE,
    USDC_ETHEREUM,
    genuine_message,
)

EXPECTED = ExpectedBurn(
    source_domain=0,
    destination_domain=6,
    sender=MESSENGER,
    recipient=MESSENGER,
    burn_token=USDC_ETHEREUM,
    mint_recipient=MAKER,
    amount=1_000_000_000,
    message_sender=MAKER,
    max_fee=130_000,
)
STRANGE = address_to_bytes32(STRANGER)
DIRTY_MAKER = (
    b"\x01" + address_to_bytes32(MAKER)[1:]
)  # the contracts would cut this down to the maker's address


def test_check_message__our_burn__passes() -> None:
    check_message(ATTESTED, EXPECTED, NONCE)
    check_message(ATTESTED, EXPECTED, None)


def test_check_message__standard_transfer_without_fee__passes() -> None:
    standard = replace(ATTESTED, finality_threshold_executed=2000, fee_executed=0, expiration_block=0)

    check_message(standard, EXPECTED, NONCE)


def test_check_message__expectation_given_as_32_bytes__passes() -> None:
    words: dict[str, Any] = {
        name: address_to_bytes32(getattr(EXPECTED, name))
        for name in ("sender", "recipient", "burn_token", "mint_recipient", "message_sender")
    }

    check_message(ATTESTED, replace(EXPECTED, **words), NONCE)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 0),
        ("version", 2),
        ("source_domain", 6),
        ("destination_domain", 0),
        ("nonce", bytes(32)),
        ("nonce", bytes(31) + b"\x01"),
        ("sender", STRANGE),
        ("recipient", STRANGE),
        ("destination_caller", STRANGE),
        ("destination_caller", address_to_bytes32(MAKER)),
        ("finality_threshold_executed", 0),
        ("finality_threshold_executed", 499),
        ("body_version", 0),
        ("burn_token", address_to_bytes32(USDC_BASE)),
        ("mint_recipient", STRANGE),
        ("mint_recipient", DIRTY_MAKER),
        ("amount", 999_999_999),
        ("amount", 1_000_000_001),
        ("message_sender", STRANGE),
        ("max_fee", 129_999),
        ("max_fee", 130_001),
        ("fee_executed", 130_001),
        ("fee_executed", 2**256 - 1),
        ("hook_data", b"\x00"),
    ],
)
def test_check_message__one_field_changed__is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(MessageMismatch, match=f"^{field}: got ") as caught:
        check_message(replace(ATTESTED, **{field: value}), EXPECTED, NONCE)

    assert caught.value.field == field
    assert caught.value.got == value


def test_check_message__fee_takes_the_whole_amount__is_refused() -> None:
    message = replace(ATTESTED, amount=130_000, fee_executed=130_000)

    with pytest.raises(MessageMismatch, match="fee_executed: got 130000, wanted less than the amount"):
        check_message(message, replace(EXPECTED, amount=130_000), NONCE)


def test_check_message__fee_at_its_maximum__passes() -> None:
    check_message(replace(ATTESTED, fee_executed=130_000), EXPECTED, NONCE)


def test_check_message__message_that_nobody_attested__is_refused() -> None:
    with pytest.raises(MessageMismatch, match="nonce"):
        check_message(SENT, EXPECTED, None)


def test_check_message__zero_nonce_on_both_sides__is_refused() -> None:
    with pytest.raises(MessageMismatch, match=r"nonce: got 0x0000.*other than zero"):
        check_message(replace(ATTESTED, nonce=bytes(32)), EXPECTED, bytes(32))


def test_check_message__mismatch__shows_got_and_wanted() -> None:
    with pytest.raises(MessageMismatch, match="amount: got 5, wanted 1000000000"):
        check_message(replace(ATTESTED, amount=5), EXPECTED, NONCE)


def test_check_message__genuine_message__passes_its_own_expectation() -> None:
    message = BurnMessage.decode(genuine_message())
    owner = "0xe6094b4f775f9daa59b4dac2535fc0a48f75fc0c"
    expected = ExpectedBurn(
        source_domain=0,
        destination_domain=1,
        sender="0x8FE6B999Dc680CcFDD5Bf7EB0974218be2542DAA",
        recipient="0x8FE6B999Dc680CcFDD5Bf7EB0974218be2542DAA",
        burn_token="0x1c7D4B196Cb0C7B01d743Fbc6116a902379C7238",
        mint_recipient=owner,
        amount=1_000_000,
        message_sender=owner,
        max_fee=500,
    )

    check_message(message, expected, message.nonce)
    with pytest.raises(MessageMismatch, match="amount"):
        check_message(message, replace(expected, amount=1_000_001), message.nonce)


def test_check_message__expectation_of_wrong_length__is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        check_message(ATTESTED, replace(EXPECTED, sender=bytes(20)), NONCE)


@pytest.mark.parametrize(
    ("expiration_block", "head", "margin", "expired"),
    [
        (0, 10**9, 100, False),  # never
        (9_000, 8_999, 0, False),
        (9_000, 9_000, 0, True),
        (9_000, 9_001, 0, True),
        (9_000, 8_899, 100, False),
        (9_000, 8_900, 100, True),
        (1, 0, 0, False),
    ],
)
def test_is_expired__block_against_head_and_margin(
    expiration_block: int, head: int, margin: int, expired: bool
) -> None:
    assert is_expired(replace(ATTESTED, expiration_block=expiration_block), head, margin) is expired
