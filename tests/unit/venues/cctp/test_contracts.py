from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from include.venues.cctp import contracts
from include.venues.cctp.contracts import (
    DepositForBurn,
    MalformedAnswer,
    MessageReceived,
    MintAndWithdraw,
)
from include.venues.cctp.message import BurnMessage, address_to_bytes32
from tests.unit.venues.cctp.samples import (
    ATTESTED,
    MAKER,
    MESSENGER,
    MINTER,
    NONCE,
    SENT,
    STRANGER,
    TRANSMITTER,
    USDC_BASE,
    USDC_ETHEREUM,
    log,
    receipt,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.venues.evm.types import Call, Log

BURN: dict[str, Any] = {
    "amount": 1_000_000_000,
    "destination_domain": 6,
    "mint_recipient": MAKER,
    "burn_token": USDC_ETHEREUM,
    "max_fee": 130_000,
    "min_finality_threshold": 1000,
}


def selector(signature: str) -> bytes:
    return keccak(text=signature)[:4]


def word(value: int | str) -> bytes:
    return value.to_bytes(32, "big") if isinstance(value, int) else address_to_bytes32(value)


def test_deposit_for_burn__fields__are_encoded_in_order_with_no_destination_caller() -> None:
    call = contracts.deposit_for_burn(MESSENGER, **BURN)

    assert (call.to, call.value) == (MESSENGER, 0)
    assert call.data[:4].hex() == "8e0250ee"
    assert call.data[4:] == b"".join(
        [word(1_000_000_000), word(6), word(MAKER), word(USDC_ETHEREUM), bytes(32), word(130_000), word(1000)]
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 0},
        {"amount": -1},
        {"max_fee": -1},
        {"max_fee": 1_000_000_000},
        {"max_fee": 1_000_000_001},
        {"mint_recipient": "0x" + "00" * 20},
        {"mint_recipient": MAKER[:-1]},
        {"burn_token": "USDC"},
    ],
)
def test_deposit_for_burn__what_the_contract_would_refuse__is_refused_here(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"amount|fee|address"):
        contracts.deposit_for_burn(MESSENGER, **BURN | changes)


def test_deposit_for_burn__standard_transfer__may_have_no_fee() -> None:
    call = contracts.deposit_for_burn(MESSENGER, **BURN | {"max_fee": 0, "min_finality_threshold": 2000})

    assert call.data[-64:] == word(0) + word(2000)


def test_receive_message__bytes__are_encoded() -> None:
    message, attestation = ATTESTED.encode(), bytes(range(65)) * 2

    call = contracts.receive_message(TRANSMITTER, message, attestation)

    assert call.to == TRANSMITTER
    assert call.data[:4].hex() == "57ecfd28"
    assert call.data[4:] == encode(["bytes", "bytes"], [message, attestation])


@pytest.mark.parametrize(
    ("call", "to", "signature", "arguments"),
    [
        (contracts.used_nonces(TRANSMITTER, NONCE), TRANSMITTER, "usedNonces(bytes32)", NONCE),
        (contracts.local_domain(TRANSMITTER), TRANSMITTER, "localDomain()", b""),
        (contracts.version(TRANSMITTER), TRANSMITTER, "version()", b""),
        (contracts.remote_token_messenger(MESSENGER, 6), MESSENGER, "remoteTokenMessengers(uint32)", word(6)),
        (
            contracts.get_local_token(MINTER, 6, USDC_BASE),
            MINTER,
            "getLocalToken(uint32,bytes32)",
            word(6) + word(USDC_BASE),
        ),
        (
            contracts.burn_limit(MINTER, USDC_ETHEREUM),
            MINTER,
            "burnLimitsPerMessage(address)",
            word(USDC_ETHEREUM),
        ),
        (contracts.paused(TRANSMITTER), TRANSMITTER, "paused()", b""),
        (contracts.is_denylisted(MESSENGER, MAKER), MESSENGER, "isDenylisted(address)", word(MAKER)),
        (contracts.get_min_fee_amount(MESSENGER, 7), MESSENGER, "getMinFeeAmount(uint256)", word(7)),
    ],
    ids=lambda value: value if isinstance(value, str) and "(" in value else "",
)
def test_reads__each__has_its_selector_and_arguments(
    call: Call, to: str, signature: str, arguments: bytes
) -> None:
    assert call.to == to
    assert call.data == selector(signature) + arguments


def test_reads__known_selectors__are_those_of_the_deployed_contracts() -> None:
    assert contracts.used_nonces(TRANSMITTER, NONCE).data[:4].hex() == "feb61724"
    assert contracts.local_domain(TRANSMITTER).data.hex() == "8d3638f4"
    assert contracts.version(TRANSMITTER).data.hex() == "54fd4d50"
    assert contracts.paused(TRANSMITTER).data.hex() == "5c975abb"


def test_calls__lower_case_address__is_checksummed_and_anything_else_refused() -> None:
    assert contracts.paused(TRANSMITTER.lower()).to == TRANSMITTER
    with pytest.raises(ValueError, match="not an address"):
        contracts.paused(TRANSMITTER[:-2])


@pytest.mark.parametrize("nonce", [b"", bytes(32), b"\x01" * 31, b"\x01" * 33])
def test_used_nonces__placeholder_or_wrong_length__is_refused(nonce: bytes) -> None:
    # Nonce zero counts as used on every chain: asked blindly, it would look like a delivery.
    with pytest.raises(ValueError, match="not the nonce"):
        contracts.used_nonces(TRANSMITTER, nonce)
    with pytest.raises(ValueError, match="not the nonce"):
        contracts.message_received_filter(TRANSMITTER, nonce)


def test_decoders__well_formed_answers__give_values() -> None:
    assert contracts.decode_uint(word(2**256 - 1)) == 2**256 - 1
    assert contracts.decode_bool(word(1)) is True
    assert contracts.decode_bool(word(0)) is False
    assert contracts.decode_address(word(USDC_BASE)) == USDC_BASE
    assert contracts.decode_bytes32(NONCE) == NONCE


@pytest.mark.parametrize(
    ("decoder", "answer"),
    [
        (contracts.decode_uint, b""),  # what an address without a contract answers
        (contracts.decode_uint, bytes(31)),
        (contracts.decode_uint, bytes(64)),
        (contracts.decode_bool, word(2)),
        (contracts.decode_bool, b""),
        (contracts.decode_address, b"\x01" + bytes(31)),
        (contracts.decode_address, b""),
        (contracts.decode_bytes32, bytes(33)),
    ],
)
def test_decoders__other_answers__are_refused(decoder: Callable[[bytes], object], answer: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        decoder(answer)


def test_topics__message_sent__is_the_known_one() -> None:
    topic = contracts.MESSAGE_SENT_TOPIC.hex()

    assert topic == "8c5261668696ce22758910d05bab8f186d6eb247ceac2af2e82c7dc17669b036"


def message_sent_log(message: bytes, index: int = 0, address: str = TRANSMITTER) -> Log:
    return log(address, (contracts.MESSAGE_SENT_TOPIC,), encode(["bytes"], [message]), index)


def burn_log(index: int = 0, hook_data: bytes = b"", address: str = MESSENGER) -> Log:
    data = encode(
        ["uint256", "bytes32", "uint32", "bytes32", "bytes32", "uint256", "bytes"],
        [1_000_000_000, word(MAKER), 6, word(MESSENGER), bytes(32), 130_000, hook_data],
    )
    topics = (contracts.DEPOSIT_FOR_BURN_TOPIC, word(USDC_ETHEREUM), word(MAKER), word(1000))
    return log(address, topics, data, index)


def mint_log(amount: int, fee: int, index: int = 0, address: str = MESSENGER) -> Log:
    topics = (contracts.MINT_AND_WITHDRAW_TOPIC, word(MAKER), word(USDC_BASE))
    return log(address, topics, encode(["uint256", "uint256"], [amount, fee]), index)


def received_log(message: BurnMessage, index: int = 0, address: str = TRANSMITTER) -> Log:
    encoded = message.encode()
    data = encode(["uint32", "bytes32", "bytes"], [message.source_domain, message.sender, encoded[148:]])
    topics = (
        contracts.MESSAGE_RECEIVED_TOPIC,
        word(STRANGER),
        message.nonce,
        word(message.finality_threshold_executed),
    )
    return log(address, topics, data, index)


def test_messages_sent__among_other_logs__are_ours_in_log_order() -> None:
    second = BurnMessage.decode(SENT.encode() + b"hook").encode()
    logs = (
        message_sent_log(second, index=9),
        burn_log(index=5),
        message_sent_log(SENT.encode(), index=4, address=TRANSMITTER.lower()),
        message_sent_log(b"someone else's", index=2, address=STRANGER),
        log(TRANSMITTER, (), b"", index=1),  # an anonymous event
    )

    assert contracts.messages_sent(receipt(*logs), TRANSMITTER) == [SENT.encode(), second]
    assert contracts.messages_sent(receipt(), TRANSMITTER) == []


def test_burns__event__is_read_whole() -> None:
    assert contracts.burns(receipt(burn_log(hook_data=b"hi"), burn_log(1, address=STRANGER)), MESSENGER) == [
        DepositForBurn(
            burn_token=USDC_ETHEREUM,
            amount=1_000_000_000,
            depositor=MAKER,
            mint_recipient=word(MAKER),
            destination_domain=6,
            destination_token_messenger=word(MESSENGER),
            destination_caller=bytes(32),
            max_fee=130_000,
            min_finality_threshold=1000,
            hook_data=b"hi",
        )
    ]


def test_mints__events__give_the_net_amount_and_the_fee() -> None:
    logs = (mint_log(7, 0, index=3), mint_log(999_900_000, 100_000, index=1), mint_log(1, 1, 2, STRANGER))

    assert contracts.mints(receipt(*logs), MESSENGER) == [
        MintAndWithdraw(recipient=MAKER, amount=999_900_000, token=USDC_BASE, fee=100_000),
        MintAndWithdraw(recipient=MAKER, amount=7, token=USDC_BASE, fee=0),
    ]


def test_received__delivery_by_a_stranger__is_read_whole() -> None:
    logs = [received_log(ATTESTED), received_log(ATTESTED, 1, address=STRANGER), mint_log(1, 1, 2)]

    assert contracts.received(logs, TRANSMITTER) == [
        MessageReceived(
            caller=STRANGER,
            source_domain=0,
            nonce=NONCE,
            sender=word(MESSENGER),
            finality_threshold_executed=1000,
            body=ATTESTED.encode()[148:],
        )
    ]


def test_message_received_filter__nonce__is_the_second_indexed_topic() -> None:
    address, topics = contracts.message_received_filter(TRANSMITTER, NONCE)
    event = received_log(ATTESTED)

    assert address == TRANSMITTER
    assert topics == (contracts.MESSAGE_RECEIVED_TOPIC, None, NONCE)
    assert all(wanted in (None, got) for wanted, got in zip(topics, event.topics, strict=False))


def test_message_received_filter__no_nonce__matches_every_delivery() -> None:
    assert contracts.message_received_filter(TRANSMITTER)[1] == (contracts.MESSAGE_RECEIVED_TOPIC,)


def test_events__topics__follow_from_the_signatures_with_indexed_fields_in_place() -> None:
    # The order of a signature is that of all fields, indexed or not; each is rebuilt here from its own list.
    deposit = (
        "address",
        "uint256",
        "address",
        "bytes32",
        "uint32",
        "bytes32",
        "bytes32",
        "uint256",
        "uint32",
        "bytes",
    )
    mint = ("address", "uint256", "address", "uint256")
    got = ("address", "uint32", "bytes32", "bytes32", "uint32", "bytes")

    assert keccak(text=f"DepositForBurn({','.join(deposit)})") == contracts.DEPOSIT_FOR_BURN_TOPIC
    assert keccak(text=f"MintAndWithdraw({','.join(mint)})") == contracts.MINT_AND_WITHDRAW_TOPIC
    assert keccak(text=f"MessageReceived({','.join(got)})") == contracts.MESSAGE_RECEIVED_TOPIC


def test_events__from_the_right_contract_in_another_form__are_refused() -> None:
    with pytest.raises(MalformedAnswer, match="log 4 has 2 topics"):
        contracts.mints(
            receipt(log(MESSENGER, (contracts.MINT_AND_WITHDRAW_TOPIC, word(MAKER)), bytes(64), 4)), MESSENGER
        )
    with pytest.raises(MalformedAnswer, match="event data"):
        contracts.messages_sent(
            receipt(log(TRANSMITTER, (contracts.MESSAGE_SENT_TOPIC,), encode(["bytes"], [b"x" * 40])[:-1])),
            TRANSMITTER,
        )
