"""The contracts of CCTP V2: calldata for what we send and read, and the events they emit. Pure, no I/O.

Amounts are base units of the token. Every function that returns a `Call` raises ValueError for an address
that is none. `decode_uint`, `decode_bool`, `decode_address` and `decode_bytes32` turn the answer of a read
into a value, and raise `MalformedAnswer`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from include.venues.cctp.message import ZERO_WORD, address_to_bytes32, bytes32_to_address, checked_address
from include.venues.errors import Unavailable
from include.venues.evm.types import Call

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from include.venues.evm.types import Address, Log, Receipt

# Why a contract refused, in its own words. A signature is checked before the nonce, so NONCE_ALREADY_USED is
# proof that a validly signed message with this nonce was delivered before: not a failure.
NONCE_ALREADY_USED: Final = "Nonce already used"
MESSAGE_EXPIRED: Final = "Message expired and must be re-signed"
INVALID_ATTESTATION_LENGTH: Final = "Invalid attestation length"
INVALID_SIGNATURE: Final = "Invalid signature: not attester"
INVALID_SIGNATURE_ORDER: Final = "Invalid signature order or dupe"
INVALID_DESTINATION_DOMAIN: Final = "Invalid destination domain"
INVALID_CALLER: Final = "Invalid caller for message"
INVALID_MESSAGE_VERSION: Final = "Invalid message version"
FEE_EXCEEDS_MAX_FEE: Final = "Fee exceeds max fee"
FEE_EXCEEDS_AMOUNT: Final = "Fee equals or exceeds amount"
MINT_TOKEN_NOT_SUPPORTED: Final = "Mint token not supported"  # noqa: S105 - not a password
REMOTE_MESSENGER_UNSUPPORTED: Final = "Remote TokenMessenger unsupported"
AMOUNT_ZERO: Final = "Amount must be nonzero"
MAX_FEE_TOO_HIGH: Final = "Max fee must be less than amount"
MAX_FEE_TOO_LOW: Final = "Insufficient max fee"
NO_MESSENGER_FOR_DOMAIN: Final = "No TokenMessenger for domain"
BURN_TOKEN_NOT_SUPPORTED: Final = "Burn token not supported"  # noqa: S105 - not a password
BURN_LIMIT_EXCEEDED: Final = "Burn amount exceeds per tx limit"
PAUSED: Final = "Pausable: paused"
DENYLISTED: Final = "Denylistable: account is on denylist"

MESSAGE_SENT_TOPIC: Final = keccak(text="MessageSent(bytes)")
MESSAGE_RECEIVED_TOPIC: Final = keccak(text="MessageReceived(address,uint32,bytes32,bytes32,uint32,bytes)")
DEPOSIT_FOR_BURN_TOPIC: Final = keccak(
    text="DepositForBurn(address,uint256,address,bytes32,uint32,bytes32,bytes32,uint256,uint32,bytes)"
)
MINT_AND_WITHDRAW_TOPIC: Final = keccak(text="MintAndWithdraw(address,uint256,address,uint256)")


class MalformedAnswer(Unavailable):
    """An answer or event does not have the form that CCTP V2 gives it: the wrong contract, or a poor node."""


@dataclass(frozen=True, slots=True)
class DepositForBurn:
    """A burn on its source chain. `amount` is before any fee; fields of 32 bytes are as in the message."""

    burn_token: Address
    amount: int
    depositor: Address
    mint_recipient: bytes
    destination_domain: int
    destination_token_messenger: bytes
    destination_caller: bytes
    max_fee: int
    min_finality_threshold: int
    hook_data: bytes


@dataclass(frozen=True, slots=True)
class MintAndWithdraw:
    """A mint on its destination chain. `amount` is what the recipient got, net of `fee`."""

    recipient: Address
    amount: int
    token: Address
    fee: int


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A delivery, by whomever. `body` is the attested message from its byte 148 on."""

    caller: Address
    source_domain: int
    nonce: bytes
    sender: bytes
    finality_threshold_executed: int
    body: bytes


def deposit_for_burn(
    messenger: Address,
    *,
    amount: int,
    destination_domain: int,
    mint_recipient: Address,
    burn_token: Address,
    max_fee: int,
    min_finality_threshold: int,
) -> Call:
    """Burn tokens of the caller, to be minted on another chain. The messenger must have been approved before.

    Anyone may deliver the message: a destination caller whose key is lost would lock the money for good.
    :param min_finality_threshold: 1000 for a fast transfer, 2000 for a standard one.
    :raises ValueError: when the contract would refuse these amounts or this recipient.
    """
    if amount <= 0:
        raise ValueError(f"the amount must be above zero, not {amount}")
    if not 0 <= max_fee < amount:
        raise ValueError(f"the maximum fee must be below the amount {amount} and not below zero: {max_fee}")
    recipient = address_to_bytes32(mint_recipient)
    if recipient == ZERO_WORD:
        raise ValueError("the mint recipient is the zero address")
    return _call(
        messenger,
        "depositForBurn",
        ("uint256", "uint32", "bytes32", "address", "bytes32", "uint256", "uint32"),
        (
            amount,
            destination_domain,
            recipient,
            checked_address(burn_token),
            ZERO_WORD,
            max_fee,
            min_finality_threshold,
        ),
    )


def receive_message(transmitter: Address, message: bytes, attestation: bytes) -> Call:
    """Deliver an attested message. Safe to repeat: a nonce is accepted once."""
    return _call(transmitter, "receiveMessage", ("bytes", "bytes"), (message, attestation))


def used_nonces(transmitter: Address, nonce: bytes) -> Call:
    """Ask the destination whether a message was delivered: a uint, 1 when it was. Only this decides that.

    :raises ValueError: for a nonce that is not 32 bytes, or zero, the placeholder of an unattested message.
    """
    return _call(transmitter, "usedNonces", ("bytes32",), (_nonce(nonce),))


def local_domain(transmitter: Address) -> Call:
    """Ask for the CCTP domain of the transmitter's chain: a uint."""
    return _call(transmitter, "localDomain")


def version(transmitter: Address) -> Call:
    """Ask for the message version of the transmitter: a uint, 1 for CCTP V2."""
    return _call(transmitter, "version")


def remote_token_messenger(messenger: Address, domain: int) -> Call:
    """Ask for the token messenger that is registered for another domain: bytes32, zero for none."""
    return _call(messenger, "remoteTokenMessengers", ("uint32",), (domain,))


def get_local_token(minter: Address, domain: int, token: Address) -> Call:
    """Ask which token is minted here for a token burnt on another domain: an address, zero for none."""
    return _call(minter, "getLocalToken", ("uint32", "bytes32"), (domain, address_to_bytes32(token)))


def burn_limit(minter: Address, token: Address) -> Call:
    """Ask how much of a token one message may burn: a uint, 0 when the token is not supported."""
    return _call(minter, "burnLimitsPerMessage", ("address",), (checked_address(token),))


def paused(contract: Address) -> Call:
    """Ask a transmitter or a minter whether it is paused: a bool."""
    return _call(contract, "paused")


def is_denylisted(messenger: Address, account: Address) -> Call:
    """Ask whether the messenger refuses burns of an account: a bool."""
    return _call(messenger, "isDenylisted", ("address",), (checked_address(account),))


def is_blacklisted(usdc: Address, account: Address) -> Call:
    """Ask USDC whether it refuses transfers of an account: a bool."""
    return _call(usdc, "isBlacklisted", ("address",), (checked_address(account),))


def get_min_fee_amount(messenger: Address, amount: int) -> Call:
    """Ask for the least `max_fee` that a burn of this amount must allow: a uint.

    A messenger of the first V2 release does not have this function: it reverts without data, which means 0.
    """
    return _call(messenger, "getMinFeeAmount", ("uint256",), (amount,))


def decode_uint(answer: bytes) -> int:
    """Read the answer of a call that returns one unsigned integer."""
    return int.from_bytes(decode_bytes32(answer), "big")


def decode_bool(answer: bytes) -> bool:
    """Read the answer of a call that returns one bool."""
    value = decode_uint(answer)
    if value > 1:
        raise MalformedAnswer(f"not a bool: {value}")
    return value == 1


def decode_address(answer: bytes) -> Address:
    """Read the answer of a call that returns one address, padded to 32 bytes or as bytes32."""
    try:
        return bytes32_to_address(decode_bytes32(answer))
    except ValueError as error:
        raise MalformedAnswer(str(error)) from error


def decode_bytes32(answer: bytes) -> bytes:
    """Read the answer of a call that returns one 32-byte word."""
    if len(answer) != 32:
        raise MalformedAnswer(f"expected 32 bytes, got {len(answer)}: is this the right contract?")
    return bytes(answer)


def messages_sent(receipt: Receipt, transmitter: Address) -> list[bytes]:
    """Return the messages that a transaction sent, in the order of their logs."""
    messages = []
    for log in _logs(receipt.logs, transmitter, MESSAGE_SENT_TOPIC, topics=1):
        (message,) = _decoded(("bytes",), log.data)
        messages.append(message)
    return messages


def burns(receipt: Receipt, messenger: Address) -> list[DepositForBurn]:
    """Return the burns of a transaction, in the order of their logs."""
    types = ("uint256", "bytes32", "uint32", "bytes32", "bytes32", "uint256", "bytes")
    found = []
    for log in _logs(receipt.logs, messenger, DEPOSIT_FOR_BURN_TOPIC, topics=4):
        amount, recipient, domain, remote, caller, max_fee, hook_data = _decoded(types, log.data)
        found.append(
            DepositForBurn(
                burn_token=decode_address(log.topics[1]),
                amount=amount,
                depositor=decode_address(log.topics[2]),
                mint_recipient=recipient,
                destination_domain=domain,
                destination_token_messenger=remote,
                destination_caller=caller,
                max_fee=max_fee,
                min_finality_threshold=decode_uint(log.topics[3]),
                hook_data=hook_data,
            )
        )
    return found


def mints(receipt: Receipt, messenger: Address) -> list[MintAndWithdraw]:
    """Return the mints of a transaction, in the order of their logs."""
    found = []
    for log in _logs(receipt.logs, messenger, MINT_AND_WITHDRAW_TOPIC, topics=3):
        amount, fee = _decoded(("uint256", "uint256"), log.data)
        found.append(
            MintAndWithdraw(
                recipient=decode_address(log.topics[1]),
                amount=amount,
                token=decode_address(log.topics[2]),
                fee=fee,
            )
        )
    return found


def message_received_filter(
    transmitter: Address, nonce: bytes | None = None
) -> tuple[Address, tuple[bytes | None, ...]]:
    """Return the address and topics with which `eth_getLogs` finds a delivery; None stands for any topic.

    :param nonce: without it, every delivery matches, to be told apart by `message.normalise_body`.
    """
    if nonce is None:
        return checked_address(transmitter), (MESSAGE_RECEIVED_TOPIC,)
    return checked_address(transmitter), (MESSAGE_RECEIVED_TOPIC, None, _nonce(nonce))


def received(logs: Iterable[Log], transmitter: Address) -> list[MessageReceived]:
    """Return the deliveries among these logs, in their order."""
    found = []
    for log in _logs(logs, transmitter, MESSAGE_RECEIVED_TOPIC, topics=4):
        domain, sender, body = _decoded(("uint32", "bytes32", "bytes"), log.data)
        found.append(
            MessageReceived(
                caller=decode_address(log.topics[1]),
                source_domain=domain,
                nonce=decode_bytes32(log.topics[2]),
                sender=sender,
                finality_threshold_executed=decode_uint(log.topics[3]),
                body=body,
            )
        )
    return found


def _call(to: Address, name: str, types: Sequence[str] = (), values: Sequence[object] = ()) -> Call:
    selector = keccak(text=f"{name}({','.join(types)})")[:4]
    return Call(to=checked_address(to), data=selector + encode(types, values))


def _nonce(value: bytes) -> bytes:
    if len(value) != 32 or value == ZERO_WORD:
        raise ValueError(f"not the nonce of an attested message: 0x{value.hex()}")
    return bytes(value)


def _logs(logs: Iterable[Log], contract: Address, topic: bytes, *, topics: int) -> Iterator[Log]:
    wanted = checked_address(contract)
    for log in sorted(logs, key=lambda log: log.index):
        if checked_address(log.address) != wanted or not log.topics or log.topics[0] != topic:
            continue
        if len(log.topics) != topics:
            raise MalformedAnswer(f"log {log.index} has {len(log.topics)} topics, not {topics}")
        yield log


def _decoded(types: Sequence[str], data: bytes) -> tuple[Any, ...]:
    try:
        return decode(types, data)
    except DecodingError as error:
        raise MalformedAnswer(f"event data is not ({', '.join(types)}): {error}") from error
