"""The bytes of a CCTP message: what the attestation service reads, fills in, signs and shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from include.sandbox.accounts import Role, account

if TYPE_CHECKING:
    from collections.abc import Iterable

FAST = 1000
STANDARD = 2000
BODY = 148
BURN_LENGTH = 376
"""The length of a burn message without hook data."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it was sent, or as it was attested. All offsets are from its first byte."""

    data: bytes

    @property
    def source_domain(self) -> int:
        """The domain it was sent from."""
        return self._number(4, 4)

    @property
    def destination_domain(self) -> int:
        """The domain it is for."""
        return self._number(8, 4)

    @property
    def nonce(self) -> bytes:
        """Its identity; zero until it is attested."""
        return self.data[12:44]

    @property
    def sender(self) -> bytes:
        """The contract that sent it, as 32 bytes."""
        return self.data[44:76]

    @property
    def min_finality(self) -> int:
        """The finality that its sender asked for."""
        return self._number(140, 4)

    @property
    def is_burn(self) -> bool:
        """Whether it is long enough to be a burn. Fields below `amount` mean nothing otherwise."""
        return len(self.data) >= BURN_LENGTH

    @property
    def amount(self) -> int:
        """The burned amount, in base units."""
        return self._number(216, 32)

    @property
    def max_fee(self) -> int:
        """The highest fee that its sender accepts, in base units."""
        return self._number(280, 32)

    @property
    def fee_executed(self) -> int:
        """The fee taken at the mint, in base units; zero until it is attested."""
        return self._number(312, 32)

    @property
    def expiration_block(self) -> int:
        """The destination block from which it is refused; 0 means never."""
        return self._number(344, 32)

    def filled(self, nonce: bytes, finality: int, fee: int = 0, expiration_block: int = 0) -> Message:
        """Return the message with the fields that the attester adds."""
        data = self.data[:12] + nonce + self.data[44:144] + finality.to_bytes(4, "big") + self.data[BODY:]
        if self.is_burn:
            data = (
                data[:312]
                + fee.to_bytes(32, "big")
                + expiration_block.to_bytes(32, "big")
                + data[BURN_LENGTH:]
            )
        return Message(data)

    def decoded(self) -> dict[str, Any]:
        """Return it as the attestation service shows it: numbers are strings, addresses are lower-case."""
        return {
            "sourceDomain": str(self.source_domain),
            "destinationDomain": str(self.destination_domain),
            "nonce": _hex(self.nonce),
            "sender": _hex(self.sender[12:]),
            "recipient": _hex(self.data[88:108]),
            "destinationCaller": _hex(self.data[108:140]),
            "minFinalityThreshold": str(self.min_finality),
            "finalityThresholdExecuted": str(self._number(144, 4)),
            "messageBody": _hex(self.data[BODY:]),
            "decodedMessageBody": self._decoded_body() if self.is_burn else None,
        }

    def _decoded_body(self) -> dict[str, Any]:
        hook = self.data[BURN_LENGTH:]
        return {
            "burnToken": _hex(self.data[164:184]),
            "mintRecipient": _hex(self.data[196:216]),
            "amount": str(self.amount),
            "messageSender": _hex(self.data[260:280]),
            "maxFee": str(self.max_fee),
            "feeExecuted": str(self.fee_executed),
            "expirationBlock": str(self.expiration_block),
            "hookData": _hex(hook) if hook else None,
        }

    def _number(self, offset: int, length: int) -> int:
        return int.from_bytes(self.data[offset : offset + length], "big")


def sign(data: bytes, signers: Iterable[Role]) -> bytes:
    """Return the signatures of the hash of `data`, 65 bytes each, ordered by the address of the signer."""
    digest = keccak(data)
    ordered = sorted((account(role) for role in signers), key=lambda signer: int(signer.address, 16))
    signatures = b""
    for signer in ordered:
        raw = PrivateKey(bytes(signer.key)).sign_msg_hash(digest).to_bytes()
        # The chain's recovery id starts at 27
        signatures += raw[:64] + bytes([raw[64] + 27])
    return signatures


def public_key(role: Role) -> str:
    """Return a role's uncompressed public key, as hex with its leading 04."""
    return "0x04" + PrivateKey(bytes(account(role).key)).public_key.to_bytes().hex()


def _hex(data: bytes) -> str:
    return "0x" + data.hex()
