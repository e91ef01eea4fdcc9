from __future__ import annotations

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from include.venues.errors import Unavailable
from include.venues.evm import erc4626
from include.venues.evm.erc4626 import Unwrapped, Wrapped
from include.venues.evm.types import Call, Log, Receipt
from tests.unit.venues.evm.fakes import OTHER, OWNER, block_hash, transaction_hash
from tests.unit.venues.evm.fakes import TOKEN as WRAPPER


def data(signature: str, *arguments: object) -> bytes:
    types = signature[signature.index("(") + 1 : -1]
    return keccak(text=signature)[:4] + encode(types.split(",") if types else [], arguments)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (erc4626.asset(WRAPPER), data("asset()")),
        (erc4626.total_assets(WRAPPER), data("totalAssets()")),
        (erc4626.convert_to_assets(WRAPPER, 7), data("convertToAssets(uint256)", 7)),
        (erc4626.convert_to_shares(WRAPPER, 7), data("convertToShares(uint256)", 7)),
        (erc4626.preview_deposit(WRAPPER, 7), data("previewDeposit(uint256)", 7)),
        (erc4626.preview_withdraw(WRAPPER, 7), data("previewWithdraw(uint256)", 7)),
        (erc4626.preview_redeem(WRAPPER, 7), data("previewRedeem(uint256)", 7)),
        (erc4626.max_deposit(WRAPPER, OWNER), data("maxDeposit(address)", OWNER)),
        (erc4626.max_redeem(WRAPPER, OWNER), data("maxRedeem(address)", OWNER)),
        (erc4626.deposit(WRAPPER, 7, OWNER), data("deposit(uint256,address)", 7, OWNER)),
        (
            erc4626.redeem(WRAPPER, 7, OTHER, OWNER),
            data("redeem(uint256,address,address)", 7, OTHER, OWNER),
        ),
    ],
)
def test_call__as_the_standard_encodes_it(call: Call, expected: bytes) -> None:
    assert call == Call(WRAPPER, expected)


@pytest.mark.parametrize("amount", [0, -1, 2**256])
def test_moves__of_no_amount__are_refused(amount: int) -> None:
    with pytest.raises(ValueError, match="amount"):
        erc4626.deposit(WRAPPER, amount, OWNER)
    with pytest.raises(ValueError, match="amount"):
        erc4626.redeem(WRAPPER, amount, OWNER, OWNER)


def test_conversions__of_nothing__may_be_asked_but_not_of_less() -> None:
    assert erc4626.convert_to_assets(WRAPPER, 0).data == data("convertToAssets(uint256)", 0)
    with pytest.raises(ValueError, match="amount"):
        erc4626.convert_to_assets(WRAPPER, -1)


@pytest.mark.parametrize("address", ["", "0x1234", OTHER.replace("C4", "c4")])
def test_moves__to_what_is_no_address__are_refused(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        erc4626.deposit(WRAPPER, 1, address)
    with pytest.raises(ValueError, match="address"):
        erc4626.redeem(WRAPPER, 1, OWNER, address)
    with pytest.raises(ValueError, match="address"):
        erc4626.asset(address)


def test_decode_asset__a_word__is_the_address() -> None:
    assert erc4626.decode_asset(encode(["address"], [OTHER])) == OTHER


@pytest.mark.parametrize("answer", [b"", bytes(31), bytes(32), b"\x01" * 32, bytes(64)])
def test_decode_asset__anything_else__is_unavailable(answer: bytes) -> None:
    with pytest.raises(Unavailable, match="expected an address"):
        erc4626.decode_asset(answer)


def receipt(*logs: Log) -> Receipt:
    return Receipt(transaction_hash(1), 1, block_hash(1), True, 21_000, 1, logs)


def log(signature: str, people: list[str], assets: int, shares: int, index: int, by: str = WRAPPER) -> Log:
    topics = (keccak(text=signature), *(encode(["address"], [one]) for one in people))
    return Log(by, topics, encode(["uint256", "uint256"], [assets, shares]), index)


DEPOSIT = "Deposit(address,address,uint256,uint256)"
WITHDRAW = "Withdraw(address,address,address,uint256,uint256)"


def test_events__several__are_told_apart_and_in_order() -> None:
    found = receipt(
        log(DEPOSIT, [OWNER, OTHER], 21, 20, 3),
        log(WITHDRAW, [OWNER, OTHER, OWNER], 10, 9, 2),
        log(DEPOSIT, [OTHER, OWNER], 5, 4, 1),
        log(DEPOSIT, [OWNER, OWNER], 1, 1, 0, by=OTHER),
    )

    assert erc4626.wraps(found, WRAPPER.lower()) == [
        Wrapped(OTHER, OWNER, assets=5, shares=4),
        Wrapped(OWNER, OTHER, assets=21, shares=20),
    ]
    assert erc4626.unwraps(found, WRAPPER) == [Unwrapped(OWNER, OTHER, OWNER, assets=10, shares=9)]


def test_events__of_another_form__are_unavailable() -> None:
    deposit = log(DEPOSIT, [OWNER], 1, 1, 0)
    short = Log(WRAPPER, log(WITHDRAW, [OWNER, OWNER, OWNER], 1, 1, 0).topics, bytes(32), 5)

    with pytest.raises(Unavailable, match="log 0"):
        erc4626.wraps(receipt(deposit), WRAPPER)
    with pytest.raises(Unavailable, match="log 5"):
        erc4626.unwraps(receipt(short), WRAPPER)
