"""A burn is seen, signed and minted on the other chain; and every way in which that does not go smoothly."""

from __future__ import annotations

from typing import Any

import pytest
from eth_utils.crypto import keccak

from include.sandbox.accounts import Role
from include.sandbox.chains import FEE_RECIPIENT, balance
from include.sandbox.jsonrpc import RpcError
from include.sandbox.messages import sign
from tests.integration.sandbox.cctp import MAKER, USDC, Chain, Iris


@pytest.fixture(params=["ethereum-to-base", "base-to-ethereum"])
def route(request: pytest.FixtureRequest, ethereum: Chain, base: Chain) -> tuple[Chain, Chain]:
    return (ethereum, base) if request.param == "ethereum-to-base" else (base, ethereum)


def test_burn__on_each_chain__is_unknown_then_pending_then_complete_then_minted(
    route: tuple[Chain, Chain], iris: Iris
) -> None:
    source, destination = route
    domain = source.contracts.domain
    source.give_usdc(1_000 * USDC)
    burn = source.burn(1_000 * USDC)
    assert iris.get(f"/v2/messages/{domain}", transactionHash=burn).status_code == 404

    iris.pass_time(0)
    pending = iris.entry(domain, burn)
    assert (pending["status"], pending["attestation"], pending["message"], pending["decodedMessage"]) == (
        "pending_confirmations",
        "PENDING",
        "0x",
        None,
    )

    iris.pass_time(1200)
    message, attestation = iris.attested(domain, burn)
    assert len(message) == 376
    assert destination.used(message[12:44]) == 0

    receipt = destination.receive(message, attestation)

    assert destination.usdc() == 1_000 * USDC
    assert source.usdc() == 0
    assert destination.used(message[12:44]) == 1
    assert int(receipt["status"], 16) == 1


def test_fast_burn__fee_within_the_maximum__mints_the_amount_less_the_fee(
    ethereum: Chain, base: Chain, iris: Iris
) -> None:
    amount = 1_000 * USDC + 1
    base.give_usdc(amount)
    burn = base.burn(amount, max_fee=200_000, finality=1000)
    iris.pass_time(0)
    iris.pass_time(8)

    message, attestation = iris.attested(6, burn)
    ethereum.receive(message, attestation)

    # 1.3 bps of 1000.000001 USDC, rounded up
    assert ethereum.usdc() == amount - 130_001
    assert balance(ethereum.url, ethereum.contracts.usdc, FEE_RECIPIENT) == 130_001
    decoded = iris.entry(6, burn)["decodedMessage"]
    assert decoded["finalityThresholdExecuted"] == "1000"
    assert decoded["decodedMessageBody"]["feeExecuted"] == "130001"


def test_complete_entry__every_field__has_circles_names_and_forms(ethereum: Chain, iris: Iris) -> None:
    ethereum.give_usdc(100 * USDC)
    burn = ethereum.burn(100 * USDC, max_fee=20_000, finality=1000)
    iris.pass_time(0)
    iris.pass_time(20)

    entry = iris.entry(0, burn)

    nonce = entry["eventNonce"]
    message = bytes.fromhex(entry["message"][2:])
    expiration = entry["decodedMessage"]["decodedMessageBody"]["expirationBlock"]
    assert int(expiration) > 0
    assert entry == {
        "attestation": entry["attestation"],
        "message": entry["message"],
        "eventNonce": nonce,
        "cctpVersion": 2,
        "status": "complete",
        "delayReason": None,
        "decodedMessage": {
            "sourceDomain": "0",
            "destinationDomain": "6",
            "nonce": nonce,
            "sender": ethereum.contracts.token_messenger.lower(),
            "recipient": ethereum.contracts.token_messenger.lower(),
            "destinationCaller": "0x" + "00" * 32,
            "minFinalityThreshold": "1000",
            "finalityThresholdExecuted": "1000",
            "messageBody": "0x" + message[148:].hex(),
            "decodedMessageBody": {
                "burnToken": ethereum.contracts.usdc.lower(),
                "mintRecipient": MAKER.lower(),
                "amount": "100000000",
                "messageSender": MAKER.lower(),
                "maxFee": "20000",
                "feeExecuted": "10000",
                "expirationBlock": expiration,
                "hookData": None,
            },
        },
    }
    assert iris.get("/v2/messages/0", nonce=nonce).json()["messages"] == [entry]


def test_two_burns_in_a_row__each__has_its_own_nonce(ethereum: Chain, iris: Iris) -> None:
    ethereum.give_usdc(20 * USDC)
    burns = [ethereum.burn(10 * USDC), ethereum.burn(10 * USDC)]

    iris.pass_time(0)

    assert len({iris.entry(0, burn)["eventNonce"] for burn in burns}) == 2


@pytest.fixture
def signed(ethereum: Chain, iris: Iris) -> tuple[bytes, bytes]:
    """A message from Ethereum to Base, and its attestation."""
    ethereum.give_usdc(50 * USDC)
    burn = ethereum.burn(50 * USDC)
    iris.pass_time(0)
    iris.pass_time(900)
    return iris.attested(0, burn)


def test_receive__second_time__reverts_nonce_already_used(base: Chain, signed: tuple[bytes, bytes]) -> None:
    base.receive(*signed)

    with pytest.raises(RpcError, match="Nonce already used"):
        base.receive(*signed)
    assert base.usdc() == 50 * USDC


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        pytest.param(
            lambda message: sign(message, [Role.STRANGER]), "Invalid signature: not attester", id="stranger"
        ),
        pytest.param(lambda _: b"", "Invalid attestation length", id="empty"),
        pytest.param(
            lambda message: sign(message, [Role.ATTESTER_1, Role.ATTESTER_2]),
            "Invalid attestation length",
            id="too-many",
        ),
        pytest.param(
            lambda message: sign(b"\x19Ethereum Signed Message:\n32" + keccak(message), [Role.ATTESTER_1]),
            "Invalid signature: not attester",
            id="with-prefix",
        ),
    ],
)
def test_receive__wrong_signature__reverts_and_keeps_the_nonce(
    base: Chain, signed: tuple[bytes, bytes], signature: Any, reason: str
) -> None:
    message, _ = signed

    with pytest.raises(RpcError, match=reason):
        base.receive(message, signature(message))

    assert base.used(message[12:44]) == 0


def test_receive__twin_signature_with_high_s__reverts(base: Chain, signed: tuple[bytes, bytes]) -> None:
    message, attestation = signed
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    high = (order - int.from_bytes(attestation[32:64], "big")).to_bytes(32, "big")
    twin = attestation[:32] + high + bytes([55 - attestation[64]])

    with pytest.raises(RpcError, match="invalid signature 's' value"):
        base.receive(message, twin)


def test_receive__wrong_signature_of_a_spent_nonce__is_refused_for_its_signature(
    base: Chain, signed: tuple[bytes, bytes]
) -> None:
    base.receive(*signed)

    with pytest.raises(RpcError, match="Invalid signature: not attester"):
        base.receive(signed[0], sign(signed[0], [Role.STRANGER]))


def test_receive__two_signatures_needed__ascending_order_only(
    base: Chain, signed: tuple[bytes, bytes]
) -> None:
    message, single = signed
    both = sign(message, [Role.ATTESTER_1, Role.ATTESTER_2])
    base.admin(base.contracts.message_transmitter, "setSignatureThreshold(uint256)", 2)

    with pytest.raises(RpcError, match="Invalid attestation length"):
        base.receive(message, single)
    with pytest.raises(RpcError, match="Invalid signature order or dupe"):
        base.receive(message, both[65:] + both[:65])
    with pytest.raises(RpcError, match="Invalid signature order or dupe"):
        base.receive(message, both[:65] * 2)
    base.receive(message, both)

    assert base.usdc() == 50 * USDC


def test_receive__expired__reverts_until_it_is_attested_again(
    ethereum: Chain, base: Chain, iris: Iris
) -> None:
    iris.patch(expiration_blocks={"6": 2})
    ethereum.give_usdc(100 * USDC)
    burn = ethereum.burn(100 * USDC, max_fee=10_000, finality=1000)
    iris.pass_time(0)
    iris.pass_time(20)
    old = iris.attested(0, burn)
    nonce = old[0][12:44]
    base.node.mine(2)

    with pytest.raises(RpcError, match="Message expired and must be re-signed"):
        base.receive(*old)
    assert base.used(nonce) == 0
    asked = iris.post(f"/v2/reattest/0x{nonce.hex()}")
    assert (asked.status_code, asked.json()) == (
        200,
        {"message": "Re-attestation successfully requested for nonce.", "nonce": f"0x{nonce.hex()}"},
    )
    iris.pass_time(60)
    # Not before the source chain is final
    assert iris.attested(0, burn) == old

    iris.pass_time(900)
    new = iris.attested(0, burn)
    base.receive(*new)

    assert new[0][12:44] == nonce
    assert base.usdc() == 100 * USDC - 10_000
    again = iris.post(f"/v2/reattest/0x{nonce.hex()}")
    assert (again.status_code, again.json()) == (
        400,
        {"message": "Cannot re-attest requested message.", "error": "Message is already finalized."},
    )


def test_fast_burn__maximum_fee_too_low__waits_and_is_standard_without_fee(
    ethereum: Chain, base: Chain, iris: Iris
) -> None:
    ethereum.give_usdc(100 * USDC)
    burn = ethereum.burn(100 * USDC, max_fee=9_999, finality=1000)
    iris.pass_time(0)
    iris.pass_time(20)
    delayed = iris.entry(0, burn)
    assert (delayed["status"], delayed["delayReason"]) == ("pending_confirmations", "insufficient_fee")

    iris.pass_time(900)
    base.receive(*iris.attested(0, burn))

    decoded = iris.entry(0, burn)["decodedMessage"]
    assert decoded["finalityThresholdExecuted"] == "2000"
    assert decoded["decodedMessageBody"]["feeExecuted"] == "0"
    assert decoded["decodedMessageBody"]["expirationBlock"] == "0"
    assert base.usdc() == 100 * USDC


def test_fast_burn__allowance_exhausted__waits_for_finality(ethereum: Chain, iris: Iris) -> None:
    iris.patch(fast_allowance="150")
    ethereum.give_usdc(200 * USDC)
    first = ethereum.burn(100 * USDC, max_fee=USDC, finality=1000)
    iris.pass_time(0)
    iris.pass_time(20)
    second = ethereum.burn(100 * USDC, max_fee=USDC, finality=1000)
    iris.pass_time(0)
    iris.pass_time(20)

    assert iris.entry(0, first)["status"] == "complete"
    assert iris.entry(0, second)["delayReason"] == "insufficient_allowance_available"
    assert iris.get("/v2/fastBurn/USDC/allowance").json()["allowance"] == 50

    # What is final no longer takes from the allowance
    iris.pass_time(900)
    assert iris.get("/v2/fastBurn/USDC/allowance").json()["allowance"] == 150
    assert iris.entry(0, second)["status"] == "complete"
