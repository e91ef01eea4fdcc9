"""Whether an attested message is the burn we made, and can still be delivered.

The attestation service is not trusted with the money: nothing it serves is sent before `check_message`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from include.venues.cctp.message import ZERO_WORD, address_to_bytes32

if TYPE_CHECKING:
    from include.venues.cctp.message import BurnMessage

MESSAGE_VERSION: Final = 1
BODY_VERSION: Final = 1
LEAST_FINALITY: Final = 500
"""The receiving messenger accepts no lower executed threshold; 0 is a message that nobody attested."""


class MessageMismatch(ValueError):
    """The message is not the one expected.

    :param field: the first field that differs.
    """

    def __init__(self, field: str, got: object, wanted: object) -> None:
        super().__init__(f"{field}: got {_shown(got)}, wanted {_shown(wanted)}")
        self.field = field
        self.got = got
        self.wanted = wanted


@dataclass(frozen=True, slots=True)
class ExpectedBurn:
    """What we burnt. An address is given as such or as the 32 bytes of the field; amounts are base units.

    `sender` is the token messenger of the source chain, `recipient` that of the destination chain, and
    `message_sender` the account that called `depositForBurn`.
    """

    source_domain: int
    destination_domain: int
    sender: str | bytes
    recipient: str | bytes
    burn_token: str | bytes
    mint_recipient: str | bytes
    amount: int
    message_sender: str | bytes
    max_fee: int


def check_message(message: BurnMessage, expected: ExpectedBurn, nonce: bytes | None) -> None:
    """Refuse an attested message that is not exactly the burn expected.

    :param nonce: the nonce that the attestation service gave beside the message, where it gave one.
    :raises MessageMismatch: with the first field that differs.
    """
    wanted: dict[str, int | bytes] = {
        "version": MESSAGE_VERSION,
        "source_domain": expected.source_domain,
        "destination_domain": expected.destination_domain,
        "sender": _word(expected.sender),
        "recipient": _word(expected.recipient),
        # With a caller set only that caller could deliver: its key lost, the money is lost.
        "destination_caller": ZERO_WORD,
        "body_version": BODY_VERSION,
        "burn_token": _word(expected.burn_token),
        "mint_recipient": _word(expected.mint_recipient),
        "amount": expected.amount,
        "message_sender": _word(expected.message_sender),
        "max_fee": expected.max_fee,
        "hook_data": b"",
    }
    for field, value in wanted.items():
        got = getattr(message, field)
        if got != value:
            raise MessageMismatch(field, got, value)
    _check_filled_in(message, nonce)


def is_expired(message: BurnMessage, destination_head: int, margin: int) -> bool:
    """Say whether the message may be refused as expired if it is sent now. Expiration block 0 never expires.

    :param destination_head: the newest block number of the destination chain.
    :param margin: how many blocks it may take to be mined.
    """
    return message.expiration_block != 0 and message.expiration_block <= destination_head + margin


def _check_filled_in(message: BurnMessage, nonce: bytes | None) -> None:
    if message.nonce == ZERO_WORD:
        raise MessageMismatch("nonce", message.nonce, "a nonce other than zero")
    if nonce is not None and message.nonce != nonce:
        raise MessageMismatch("nonce", message.nonce, nonce)
    if message.finality_threshold_executed < LEAST_FINALITY:
        raise MessageMismatch(
            "finality_threshold_executed", message.finality_threshold_executed, f"at least {LEAST_FINALITY}"
        )
    if message.fee_executed > message.max_fee:
        raise MessageMismatch("fee_executed", message.fee_executed, f"at most max_fee, {message.max_fee}")
    if message.fee_executed >= message.amount:
        raise MessageMismatch("fee_executed", message.fee_executed, f"less than the amount, {message.amount}")


def _word(value: str | bytes) -> bytes:
    if isinstance(value, str):
        return address_to_bytes32(value)
    if len(value) != 32:
        raise ValueError(f"an address field has 32 bytes, not {len(value)}")
    return bytes(value)


def _shown(value: object) -> str:
    return f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
