"""The OrderBook's interface: selectors and topics from the written-out signatures, and what is no answer."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from include.venues.errors import Unavailable
from include.venues.evm.types import Call, Log, Receipt
from include.venues.raindex import orderbook
from include.venues.raindex.float import encode as float_of
from include.venues.raindex.orderbook import MalformedAnswer, VaultDeposit, VaultWithdrawal

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.venues.raindex.orderbook import Version

BOOK = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
OWNER = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"
TOKEN = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"
VAULT = "0x" + "00" * 31 + "fa"
TASKS = "((address,address,bytes),(address,bytes32[],bytes)[])[]"
DEPOSIT = keccak(text="DepositV2(address,address,bytes32,uint256)")
WITHDRAW = keccak(text="WithdrawV2(address,address,bytes32,bytes32,bytes32,uint256)")


def expected(name: str, amount: bytes) -> Call:
    selector = keccak(text=f"{name}(address,bytes32,bytes32,{TASKS})")[:4]
    # Four words, the last of which says where the tasks are, and a fifth that says there are none
    words = [bytes(12) + bytes.fromhex(TOKEN[2:]), bytes.fromhex(VAULT[2:]), amount]
    tail = [(0x80).to_bytes(32, "big"), bytes(32)]
    return Call(BOOK, selector + b"".join([*words, *tail]))


@pytest.mark.parametrize(("version", "name"), [("v6", "deposit4"), ("v5", "deposit3")])
def test_deposit__of_each_version__is_the_written_out_call(version: Version, name: str) -> None:
    call = orderbook.deposit(
        BOOK, token=TOKEN, vault_id=VAULT, amount=250_000_000, decimals=6, version=version
    )

    assert call == expected(name, (1).to_bytes(4, "big") + (25).to_bytes(28, "big"))


@pytest.mark.parametrize(("version", "name"), [("v6", "withdraw4"), ("v5", "withdraw3")])
def test_withdraw__of_each_version__is_the_written_out_call(version: Version, name: str) -> None:
    call = orderbook.withdraw(BOOK, token=TOKEN, vault_id=VAULT, target=1, decimals=6, version=version)

    assert call == expected(name, bytes.fromhex("fffffffa") + (1).to_bytes(28, "big"))


def test_calls__without_a_version__are_those_of_v6() -> None:
    put = orderbook.deposit(BOOK, token=TOKEN, vault_id=VAULT, amount=5, decimals=6)
    get = orderbook.withdraw(BOOK, token=TOKEN, vault_id=VAULT, target=5, decimals=6)

    assert put == orderbook.deposit(BOOK, token=TOKEN, vault_id=VAULT, amount=5, decimals=6, version="v6")
    assert get == orderbook.withdraw(BOOK, token=TOKEN, vault_id=VAULT, target=5, decimals=6, version="v6")


def test_vault_balance__asks_for_owner_token_and_vault() -> None:
    call = orderbook.vault_balance(BOOK.lower(), owner=OWNER, token=TOKEN, vault_id=VAULT)

    selector = keccak(text="vaultBalance2(address,address,bytes32)")[:4]
    values = [OWNER, TOKEN, bytes.fromhex(VAULT[2:])]
    assert call == Call(BOOK, selector + encode(["address", "address", "bytes32"], values))


@pytest.mark.parametrize("amount", [0, -1, 2**256])
def test_moves__of_no_amount__are_refused(amount: int) -> None:
    with pytest.raises(ValueError, match="amount"):
        orderbook.deposit(BOOK, token=TOKEN, vault_id=VAULT, amount=amount, decimals=6)
    with pytest.raises(ValueError, match="amount"):
        orderbook.withdraw(BOOK, token=TOKEN, vault_id=VAULT, target=amount, decimals=6)


@pytest.mark.parametrize("vault", ["", "0x", "fa", VAULT[:-1], VAULT + "0", "0x" + "0" * 64, "0x" + "g" * 64])
def test_calls__with_what_is_no_vault__are_refused(vault: str) -> None:
    calls: list[Callable[[], Any]] = [
        lambda: orderbook.deposit(BOOK, token=TOKEN, vault_id=vault, amount=1, decimals=6),
        lambda: orderbook.withdraw(BOOK, token=TOKEN, vault_id=vault, target=1, decimals=6),
        lambda: orderbook.vault_balance(BOOK, owner=OWNER, token=TOKEN, vault_id=vault),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="vault"):
            call()


@pytest.mark.parametrize("address", ["", "0x1234", BOOK.replace("C5", "c5")])
def test_calls__with_what_is_no_address__are_refused(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        orderbook.deposit(address, token=TOKEN, vault_id=VAULT, amount=1, decimals=6)
    with pytest.raises(ValueError, match="address"):
        orderbook.withdraw(BOOK, token=address, vault_id=VAULT, target=1, decimals=6)
    with pytest.raises(ValueError, match="address"):
        orderbook.vault_balance(BOOK, owner=address, token=TOKEN, vault_id=VAULT)


def test_decode_vault_balance__a_fraction_of_a_base_unit__is_left_out() -> None:
    word = (-8).to_bytes(4, "big", signed=True) + (1_999_999).to_bytes(28, "big")

    assert orderbook.decode_vault_balance(word, 6) == 19_999


@pytest.mark.parametrize("answer", [b"", bytes(31), bytes(64), b"\x00" * 4 + b"\xff" * 28])
def test_decode_vault_balance__what_is_none__is_unavailable_and_not_zero(answer: bytes) -> None:
    with pytest.raises(MalformedAnswer, match="not a vault balance") as caught:
        orderbook.decode_vault_balance(answer, 6)
    assert isinstance(caught.value, Unavailable)


def receipt(*logs: Log) -> Receipt:
    return Receipt("0x" + "11" * 32, 1, "0x" + "22" * 32, True, 21_000, 1, logs)


def deposit_log(amount: int, index: int, address: str = BOOK) -> Log:
    types = ["address", "address", "bytes32", "uint256"]
    data = encode(types, [OWNER, TOKEN, bytes.fromhex(VAULT[2:]), amount])
    return Log(address, (DEPOSIT,), data, index)


def withdraw_log(target: int, amount: int, index: int) -> Log:
    types = ["address", "address", "bytes32", "bytes32", "bytes32", "uint256"]
    vault = bytes.fromhex(VAULT[2:])
    values = [OWNER, TOKEN, vault, float_of(target, 6), float_of(amount, 6), amount]
    return Log(BOOK, (WITHDRAW,), encode(types, values), index)


def test_deposits__among_other_events__are_in_order_with_base_units() -> None:
    found = orderbook.deposits(
        receipt(deposit_log(7, 2), withdraw_log(5, 3, 1), deposit_log(5, 0), deposit_log(9, 3, OWNER)),
        BOOK.lower(),
    )

    assert found == [VaultDeposit(OWNER, TOKEN, VAULT, 5), VaultDeposit(OWNER, TOKEN, VAULT, 7)]


def test_withdrawals__that_paid_less_than_asked__say_what_moved() -> None:
    found = orderbook.withdrawals(receipt(deposit_log(7, 0), withdraw_log(5_000_000, 3, 1)), BOOK)

    assert found == [VaultWithdrawal(OWNER, TOKEN, VAULT, target=Decimal(5), amount=3)]


def test_events__of_another_form__are_malformed() -> None:
    with pytest.raises(MalformedAnswer, match="log 4 is not"):
        orderbook.deposits(receipt(Log(BOOK, (DEPOSIT,), bytes(33), 4)), BOOK)
    with pytest.raises(MalformedAnswer, match="log 4 is not"):
        orderbook.withdrawals(receipt(Log(BOOK, (WITHDRAW,), bytes(33), 4)), BOOK)


def test_modules__imported__do_not_bring_web3() -> None:
    heavy = "{'web3', 'eth_account'} & set(sys.modules)"
    code = f"import sys, include.venues.raindex.orderbook; sys.exit(' '.join({heavy}) or 0)"

    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
