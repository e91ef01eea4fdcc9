"""The bytes of a CCTP V2 burn message: a header of 148 bytes, then the body of the burn.

The source chain emits the message with four fields left zero; the attester fills them in and signs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from eth_utils.address import is_checksum_address, is_checksum_formatted_address, to_checksum_address
from eth_utils.crypto import keccak

HEADER_LENGTH: Final = 148
PLAIN_LENGTH: Final = 376
"""The length of a burn message without hook data, and so the least a message can have."""
SIGNATURE_LENGTH: Final = 65
ZERO_WORD: Final = bytes(32)

# name -> (offset, size), in the order of the bytes; hook_data is whatever follows.
_LAYOUT: Final[dict[str, tuple[int, int]]] = {
    "version": (0, 4),
    "source_domain": (4, 4),
    "destination_domain": (8, 4),
    "nonce": (12, 32),
    "sender": (44, 32),
    "recipient": (76, 32),
    "destination_caller": (108, 32),
    "min_finality_threshold": (140, 4),
    "finality_threshold_executed": (144, 4),
    "body_version": (148, 4),
    "burn_token": (152, 32),
    "mint_recipient": (184, 32),
    "amount": (216, 32),
    "message_sender": (248, 32),
    "max_fee": (280, 32),
    "fee_executed": (312, 32),
    "expiration_block": (344, 32),
}
_FILLED_BY_ATTESTER: Final = ("nonce", "finality_threshold_executed", "fee_executed", "expiration_block")
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
# secp256k1: half the group order. A signature with a larger s is refused on chain.
_HALF_ORDER: Final = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


class MalformedMessage(ValueError):
    """The bytes are not a burn message, or not an attestation. The text names the field and its offset."""


@dataclass(frozen=True, slots=True)
class BurnMessage:
    """A burn message, field by field.

    Amounts are base units of the burnt token. Address fields are 32 bytes, as the message carries them.
    `expiration_block` is a block of the destination chain; 0 means never.
    """

    version: int
    source_domain: int
    destination_domain: int
    nonce: bytes
    sender: bytes
    recipient: bytes
    destination_caller: bytes
    min_finality_threshold: int
    finality_threshold_executed: int
    body_version: int
    burn_token: bytes
    mint_recipient: bytes
    amount: int
    message_sender: bytes
    max_fee: int
    fee_executed: int
    expiration_block: int
    hook_data: bytes

    @classmethod
    def decode(cls, message: bytes) -> BurnMessage:
        """Read a whole message, attested or as the source chain emitted it.

        :raises MalformedMessage: when the bytes end before the last field does.
        """
        _require_whole(message)

        def word(name: str) -> bytes:
            offset, size = _LAYOUT[name]
            return bytes(message[offset : offset + size])

        def uint(name: str) -> int:
            return int.from_bytes(word(name), "big")

        return cls(
            version=uint("version"),
            source_domain=uint("source_domain"),
            destination_domain=uint("destination_domain"),
            nonce=word("nonce"),
            sender=word("sender"),
            recipient=word("recipient"),
            destination_caller=word("destination_caller"),
            min_finality_threshold=uint("min_finality_threshold"),
            finality_threshold_executed=uint("finality_threshold_executed"),
            body_version=uint("body_version"),
            burn_token=word("burn_token"),
            mint_recipient=word("mint_recipient"),
            amount=uint("amount"),
            message_sender=word("message_sender"),
            max_fee=uint("max_fee"),
            fee_executed=uint("fee_executed"),
            expiration_block=uint("expiration_block"),
            hook_data=bytes(message[PLAIN_LENGTH:]),
        )

    def encode(self) -> bytes:
        """Write the message: the exact inverse of `decode`.

        :raises MalformedMessage: when a value does not fit its field.
        """
        parts = [_packed(name, getattr(self, name)) for name in _LAYOUT]
        return b"".join([*parts, self.hook_data])


def normalise(message: bytes) -> bytes:
    """Zero what the attester fills in, so that an attested message equals the one its source chain emitted.

    :raises MalformedMessage: when the bytes are too short to be a burn message.
    """
    _require_whole(message)
    return _zeroed(message, shift=0)


def normalise_body(body: bytes) -> bytes:
    """Do what `normalise` does, for the body that a `MessageReceived` event carries.

    This is how a delivery is recognised when the nonce is not known.
    :raises MalformedMessage: when the bytes are too short to be the body of a burn message.
    """
    if len(body) < PLAIN_LENGTH - HEADER_LENGTH:
        raise MalformedMessage(
            f"a burn body has at least {PLAIN_LENGTH - HEADER_LENGTH} bytes, not {len(body)}"
        )
    return _zeroed(body, shift=HEADER_LENGTH)


def address_to_bytes32(address: str) -> bytes:
    """Left-pad an address to 32 bytes.

    :raises ValueError: when it is not an address, or its checksum is wrong.
    """
    return bytes.fromhex(checked_address(address)[2:]).rjust(32, b"\0")


def checked_address(address: str) -> str:
    """Return an address with its checksum. Letters of one case only are taken as an address without checksum.

    :raises ValueError: when it is not an address, or its checksum is wrong.
    """
    if not _ADDRESS.fullmatch(address):
        raise ValueError(f"not an address: {address!r}")
    if is_checksum_formatted_address(address) and not is_checksum_address(address):
        raise ValueError(f"not an address, its checksum is wrong: {address!r}")
    return to_checksum_address(address)


def bytes32_to_address(value: bytes) -> str:
    """Return the checksummed address of a 32-byte field.

    :raises MalformedMessage: when the upper 12 bytes are not zero: some other chain's address, which the
        contracts would cut down to an address nobody meant.
    """
    if len(value) != 32:
        raise MalformedMessage(f"an address field has 32 bytes, not {len(value)}")
    if any(value[:12]):
        raise MalformedMessage(f"not an EVM address: 0x{value.hex()}")
    return to_checksum_address(value[12:])


def recover_attesters(message: bytes, attestation: bytes) -> list[str]:
    """Return who signed the message, in the order of the attestation.

    The contracts want distinct attesters in ascending order; this function only recovers them.
    :raises MalformedMessage: when the attestation is not one or more signatures as the contracts accept them.
    """
    from eth_keys.datatypes import Signature  # noqa: PLC0415 - heavy, and few callers need it
    from eth_keys.exceptions import BadSignature  # noqa: PLC0415
    from eth_utils.exceptions import ValidationError  # noqa: PLC0415

    if not attestation or len(attestation) % SIGNATURE_LENGTH:
        raise MalformedMessage(f"an attestation is n times {SIGNATURE_LENGTH} bytes, not {len(attestation)}")
    digest = keccak(message)
    attesters: list[str] = []
    for offset in range(0, len(attestation), SIGNATURE_LENGTH):
        r_s, v = attestation[offset : offset + 64], attestation[offset + 64]
        if v not in (27, 28):
            raise MalformedMessage(f"the signature at byte {offset} has v = {v}, not 27 or 28")
        if int.from_bytes(r_s[32:], "big") > _HALF_ORDER:
            raise MalformedMessage(f"the signature at byte {offset} has its s in the upper half")
        try:
            signature = Signature(r_s + bytes([v - 27]))
            attesters.append(signature.recover_public_key_from_msg_hash(digest).to_checksum_address())
        except (BadSignature, ValidationError) as error:
            raise MalformedMessage(f"the signature at byte {offset} recovers to nobody: {error}") from error
    return attesters


def public_key_to_address(public_key: bytes) -> str:
    """Return the address of an uncompressed public key: 65 bytes that begin with 4.

    :raises MalformedMessage: when it has another form.
    """
    if len(public_key) != 65 or public_key[0] != 4:
        raise MalformedMessage("an uncompressed public key is 65 bytes that begin with 4")
    return to_checksum_address(keccak(public_key[1:])[12:])


def _require_whole(message: bytes) -> None:
    for name, (offset, size) in _LAYOUT.items():
        if len(message) < offset + size:
            raise MalformedMessage(
                f"the message ends after {len(message)} bytes, but {name} is at {offset} to {offset + size}"
            )


def _packed(name: str, value: int | bytes) -> bytes:
    offset, size = _LAYOUT[name]
    packed = b""
    if isinstance(value, int):
        try:
            packed = value.to_bytes(size, "big")
        except OverflowError as error:
            raise MalformedMessage(f"{name} at {offset} has {size} bytes, too few for {value}") from error
    else:
        packed = bytes(value)
    if len(packed) != size:
        raise MalformedMessage(f"{name} at {offset} has {size} bytes, not {len(packed)}")
    return packed


def _zeroed(data: bytes, *, shift: int) -> bytes:
    result = bytearray(data)
    for name in _FILLED_BY_ATTESTER:
        offset, size = _LAYOUT[name]
        if offset >= shift:
            result[offset - shift : offset - shift + size] = bytes(size)
    return bytes(result)
