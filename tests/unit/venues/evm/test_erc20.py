from __future__ import annotations

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from include.venues.errors import Unavailable
from include.venues.evm import erc20
from include.venues.evm.types import Call, Log, Receipt
from tests.unit.venues.evm.fakes import OTHER, OWNER, TOKEN, block_hash, transaction_hash


def data(signature: str, *arguments: object) -> bytes:
    types = signature[signature.index("(") + 1 : -1]
    return keccak(text=signature)[:4] + encode(types.split(",") if types else [], arguments)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (erc20.transfer(TOKEN, OTHER, 7), data("transfer(address,uint256)", OTHER, 7)),
        (erc20.approve(TOKEN, OTHER, erc20.MAX_UINT256), data("approve(address,uint256)", OTHER, 2**256 - 1)),
        (erc20.balance_of(TOKEN, OWNER), data("balanceOf(address)", OWNER)),
        (erc20.allowance(TOKEN, OWNER, OTHER), data("allowance(address,address)", OWNER, OTHER)),
        (erc20.decimals(TOKEN), data("decimals()")),
        (erc20.symbol(TOKEN), data("symbol()")),
    ],
)
def test_call__as_the_standard_encodes_it(call: Call, expected: bytes) -> None:
    assert call == Call(TOKEN, expected)


@pytest.mark.parametrize("amount", [-1, 2**256])
def test_transfer__amount_that_is_none__refused(amount: int) -> None:
    with pytest.raises(Exception, match="cannot be encoded"):
        erc20.transfer(TOKEN, OTHER, amount)


@pytest.mark.parametrize("recipient", ["", "0x1234", OTHER.replace("C4", "c4")])
def test_transfer__not_an_address_or_a_wrong_checksum__refused(recipient: str) -> None:
    with pytest.raises(ValueError, match="address"):
        erc20.transfer(TOKEN, recipient, 1)


def test_transfer__address_in_lower_case__given_its_checksum() -> None:
    assert erc20.transfer(TOKEN.lower(), OTHER.lower(), 1) == erc20.transfer(TOKEN, OTHER, 1)


def test_decode_uint__a_word__its_value() -> None:
    assert erc20.decode_uint((2**255).to_bytes(32, "big")) == 2**255


@pytest.mark.parametrize("answer", [b"", b"\x00" * 31, b"\x00" * 64])
def test_decode_uint__anything_else__unavailable_because_nothing_is_not_zero(answer: bytes) -> None:
    with pytest.raises(Unavailable, match=f"got {len(answer)} bytes"):
        erc20.decode_uint(answer)


@pytest.mark.parametrize("answer", [encode(["string"], ["USDC"]), b"USDC".ljust(32, b"\0")])
def test_decode_string__new_and_old_tokens__the_text(answer: bytes) -> None:
    assert erc20.decode_string(answer) == "USDC"


@pytest.mark.parametrize("answer", [b"", b"\xff" * 32, b"\xff" * 64])
def test_decode_string__anything_else__unavailable(answer: bytes) -> None:
    with pytest.raises(Unavailable, match="expected a text"):
        erc20.decode_string(answer)


def log(address: str, topics: list[bytes], amount: bytes, index: int = 0) -> Log:
    return Log(address, tuple(topics), amount, index)


def receipt(*logs: Log) -> Receipt:
    return Receipt(transaction_hash(1), 1, block_hash(1), True, 21_000, 1, logs)


def movement(sender: str, recipient: str) -> list[bytes]:
    return [
        keccak(text="Transfer(address,address,uint256)"),
        encode(["address"], [sender]),
        encode(["address"], [recipient]),
    ]


def test_transfers__several__in_order_with_checksums() -> None:
    there, back = movement(OWNER, OTHER), movement(OTHER, OWNER)
    found = erc20.transfers(
        receipt(log(TOKEN, there, (5).to_bytes(32, "big")), log(TOKEN, back, (3).to_bytes(32, "big"), 1)),
        TOKEN.lower(),
    )

    assert found == [erc20.Transfer(OWNER, OTHER, 5), erc20.Transfer(OTHER, OWNER, 3)]


def test_transfers__look_alikes__not_counted() -> None:
    there, word = movement(OWNER, OTHER), (5).to_bytes(32, "big")
    approval = [keccak(text="Approval(address,address,uint256)"), *there[1:]]
    nft = [*there, word]

    found = erc20.transfers(
        receipt(
            log(OTHER, there, word), log(TOKEN, approval, word), log(TOKEN, nft, b""), log(TOKEN, [], word)
        ),
        TOKEN,
    )

    assert found == []
