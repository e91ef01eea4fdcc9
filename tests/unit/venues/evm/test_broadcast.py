from __future__ import annotations

import pytest
from eth_utils.crypto import keccak

from include.venues.errors import OutcomeUnknown, Refused, Unavailable
from include.venues.evm.errors import InsufficientFunds, NonceTooLow, ReplacementUnderpriced, Underpriced
from tests.unit.venues.evm.fakes import FakeNode

RAW = b"\x02signed bytes"
HASH = "0x" + keccak(RAW).hex()
SEND = "eth_sendRawTransaction"


def test_broadcast__accepted__hash_of_the_bytes_after_one_request() -> None:
    node = FakeNode().result(SEND, HASH)

    assert node.chain().broadcast(RAW) == HASH
    assert node.asked == [(SEND, ["0x" + RAW.hex()])]


@pytest.mark.parametrize(
    "text",
    [
        "already known",  # geth, op-geth, reth
        "ALREADY_EXISTS: already known",  # erigon
        "INTERNAL_ERROR: existing tx with same hash",  # erigon, older
        "AlreadyKnown",  # nethermind
        "Known transaction",  # besu
        "known transaction: 0xabc",  # geth, older
        "transaction already imported",  # anvil
        "Transaction with the same hash was already imported.",  # openethereum
    ],
)
def test_broadcast__already_there__success(text: str) -> None:
    assert FakeNode().error(SEND, text).chain().broadcast(RAW) == HASH


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("nonce too low", NonceTooLow),  # geth, reth, erigon, anvil
        ("nonce too low: next nonce 5, tx nonce 4", NonceTooLow),  # geth, newer
        ("INTERNAL_ERROR: nonce too low", NonceTooLow),  # erigon
        ("OldNonce, Current nonce: 5, nonce of rejected tx: 4", NonceTooLow),  # nethermind
        ("Nonce too low", NonceTooLow),  # besu
        ("Transaction nonce is too low. Try incrementing the nonce.", NonceTooLow),  # openethereum
        ("replacement transaction underpriced", ReplacementUnderpriced),  # geth, reth, anvil
        ("INTERNAL_ERROR: could not replace existing tx", ReplacementUnderpriced),  # erigon
        ("ReplacementNotAllowed", ReplacementUnderpriced),  # nethermind
        ("Replacement transaction underpriced", ReplacementUnderpriced),  # besu
        (
            "Transaction gas price 1 is too low. There is another transaction with same nonce in the queue",
            ReplacementUnderpriced,
        ),  # openethereum
        ("transaction underpriced: tip needed 1000000, tip permitted 1", Underpriced),  # geth
        ("max fee per gas less than block base fee", Underpriced),  # geth, reth, anvil
        ("Gas price below current base fee", Underpriced),  # besu
        (
            "insufficient funds for gas * price + value: balance 0, tx cost 7, overshot 7",
            InsufficientFunds,
        ),  # geth
        ("Insufficient funds for gas * price + value", InsufficientFunds),  # anvil
        ("INTERNAL_ERROR: insufficient funds", InsufficientFunds),  # erigon
        ("InsufficientFunds, Account balance: 0, cumulative cost: 7", InsufficientFunds),  # nethermind
        ("Upfront cost exceeds account balance", InsufficientFunds),  # besu
        ("sender doesn't have enough funds to send tx", InsufficientFunds),  # hardhat
        ("lack of funds (0) for max fee (21000)", InsufficientFunds),  # revm
        ("intrinsic gas too low", Refused),
        ("exceeds block gas limit", Refused),
        ("invalid sender", Refused),
        ("invalid chain id for signer: have 1 want 8453", Refused),
        ("tx fee (2.10 ether) exceeds the configured cap (1.00 ether)", Refused),
        ("Failed to decode transaction", Refused),  # anvil
    ],
)
def test_broadcast__node_refuses__certain_error_that_quotes_it(text: str, error: type[Refused]) -> None:
    node = FakeNode().error(SEND, text, code=-32003)

    with pytest.raises(Refused) as caught:
        node.chain().broadcast(RAW)

    assert type(caught.value) is error
    assert text in str(caught.value)
    assert HASH in str(caught.value)
    assert len(node.asked) == 1


def test_broadcast__reason_in_the_data__found() -> None:
    node = FakeNode().error(SEND, "Invalid params", code=-32602, data="nonce too low")

    with pytest.raises(NonceTooLow):
        node.chain().broadcast(RAW)


@pytest.mark.parametrize(
    "answer",
    [
        Unavailable("no answer within 15 s"),
        {"error": {"code": -32603, "message": "Internal error"}},
        {"error": {"code": -32000, "message": "txpool is full"}},
        {"error": {"code": -32010, "message": "FeeTooLow"}},  # nethermind may already hold it
        {"error": {"code": -32000, "message": "request timed out"}},
        {"error": {"code": -32005, "message": "rate limit exceeded"}},
        {"error": "upstream gave up"},
        {"result": None},
        {"result": "0x" + "11" * 32},
        {},
        None,
    ],
)
def test_broadcast__no_proof_either_way__outcome_unknown_after_one_request(answer: object) -> None:
    node = FakeNode().answer(SEND, answer)

    with pytest.raises(OutcomeUnknown, match=HASH):
        node.chain().broadcast(RAW)

    assert len(node.asked) == 1
