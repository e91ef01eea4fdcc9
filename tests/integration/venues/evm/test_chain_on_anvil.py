from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from include.venues.errors import Unavailable
from include.venues.evm import erc20
from include.venues.evm.chain import Chain, eth_balance_call
from include.venues.evm.errors import (
    InsufficientFunds,
    NonceTooLow,
    ReplacementUnderpriced,
    Reverted,
    Underpriced,
    WrongChain,
)
from include.venues.evm.types import Call
from tests.integration.venues.evm.conftest import GWEI, STRANGER, Wallet, mined

if TYPE_CHECKING:
    from include.sandbox.anvil import AnvilProcess
    from include.sandbox.chains import Deployment

# Runtime code that reverts with whatever it is called with, so that every kind of revert data can be had.
ECHO_REVERT = "0x365f5f37365ffd"
ECHO = "0x00000000000000000000000000000000000EC401"


# The chain itself


def test_verify_chain_id__base_and_a_wrong_one(base_chain: AnvilProcess) -> None:
    Chain(base_chain.url, chain_id=8453, name="base").verify_chain_id()

    with pytest.raises(WrongChain, match="is chain 8453, expected 1"):
        Chain(base_chain.url, chain_id=1, name="ethereum").verify_chain_id()


def test_node_that_is_not_there__read__unavailable() -> None:
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1 gave no answer to eth_chainId: ConnectionError"):
        Chain("http://127.0.0.1:1", chain_id=1, name="ethereum").verify_chain_id()


# A transaction from end to end


def test_transfer__estimated_signed_broadcast__receipt_shows_what_moved(
    base: Chain, wallet: Wallet, deployment: Deployment
) -> None:
    usdc = deployment.base.usdc
    call = erc20.transfer(usdc, STRANGER, 250_000_000)
    before = base.multicall([erc20.balance_of(usdc, STRANGER), erc20.balance_of(usdc, wallet.address)])

    gas = base.estimate_gas(call, sender=wallet.address)
    fees = base.fees()
    signed = wallet.sign(base.nonce(wallet.address), call=call, gas=gas, max_fee=fees.max_fee_per_gas)
    receipt = mined(base, signed)

    assert receipt.status
    assert receipt.gas_used <= gas
    assert erc20.transfers(receipt, usdc) == [erc20.Transfer(wallet.address, STRANGER, 250_000_000)]
    assert base.is_canonical(receipt.block_number, receipt.block_hash)
    (event,) = base.logs(
        address=usdc,
        topics=[erc20.TRANSFER_TOPIC, bytes(12) + bytes.fromhex(wallet.address[2:])],
        from_block=before.block_number,
        to_block=base.head().number,
    )
    assert (event.transaction_hash, event.block_number) == (signed.hash, receipt.block_number)
    assert (event.topics, event.data) == (receipt.logs[0].topics, receipt.logs[0].data)
    spent = 10**18 - receipt.gas_used * receipt.effective_gas_price
    assert base.balance(wallet.address) == spent
    assert base.nonce(wallet.address) == 1
    # The same question about the block before has the answer of before.
    old = base.call(erc20.balance_of(usdc, wallet.address), block=before.block_number)
    assert erc20.decode_uint(old) == 1_000_000_000
    assert base.nonce(wallet.address, block=before.block_number) == 0


def test_transfer__reverts_on_chain__receipt_says_so(
    base: Chain, wallet: Wallet, deployment: Deployment
) -> None:
    call = erc20.transfer(deployment.base.usdc, STRANGER, 2_000_000_000)

    receipt = mined(base, wallet.sign(0, call=call))

    assert not receipt.status
    assert erc20.transfers(receipt, deployment.base.usdc) == []


def test_receipt__waits_in_the_pool__none_until_mined(
    base: Chain, wallet: Wallet, mined_by_hand: AnvilProcess
) -> None:
    sent = base.broadcast(wallet.sign(0).raw)

    assert base.receipt(sent) is None
    assert base.nonce(wallet.address) == 0
    assert base.nonce(wallet.address, pending=True) == 1

    mined_by_hand.mine()

    receipt = base.receipt(sent)
    assert receipt is not None
    assert receipt.block_number == base.head().number


def test_receipt__never_sent__none(base: Chain, wallet: Wallet) -> None:
    assert base.receipt(wallet.sign(0).hash) is None


# What the node says to a broadcast


def test_broadcast__same_bytes_again__success_while_pending(
    base: Chain, wallet: Wallet, mined_by_hand: AnvilProcess
) -> None:
    signed = wallet.sign(0)

    assert base.broadcast(signed.raw) == signed.hash
    assert base.broadcast(signed.raw) == signed.hash

    mined_by_hand.mine()
    assert base.nonce(wallet.address) == 1


def test_broadcast__nonce_spent__nonce_too_low_even_by_itself(base: Chain, wallet: Wallet) -> None:
    first = wallet.sign(0)
    mined(base, first)

    for later in (first, wallet.sign(0, tip=2 * GWEI)):
        with pytest.raises(NonceTooLow):
            base.broadcast(later.raw)


def test_broadcast__another_with_the_nonce_pays_more__replacement_underpriced(
    base: Chain, wallet: Wallet, mined_by_hand: AnvilProcess
) -> None:
    base.broadcast(wallet.sign(0).raw)

    with pytest.raises(ReplacementUnderpriced):
        base.broadcast(wallet.sign(0, call=Call(STRANGER, b"", value=2)).raw)


def test_broadcast__below_the_base_fee__underpriced(base: Chain, wallet: Wallet) -> None:
    with pytest.raises(Underpriced):
        base.broadcast(wallet.sign(0, max_fee=1, tip=1).raw)


def test_broadcast__no_ether__insufficient_funds(base: Chain) -> None:
    with pytest.raises(InsufficientFunds):
        base.broadcast(Wallet(base).sign(0).raw)


# Reverts


def test_revert__fiat_token__its_own_words(base: Chain, wallet: Wallet, deployment: Deployment) -> None:
    too_much = erc20.transfer(deployment.base.usdc, STRANGER, 2_000_000_000)

    with pytest.raises(Reverted) as simulated:
        base.call(too_much, sender=wallet.address)
    with pytest.raises(Reverted) as estimated:
        base.estimate_gas(too_much, sender=wallet.address)

    assert simulated.value.reason == estimated.value.reason == "ERC20: transfer amount exceeds balance"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("4e487b71" + "11".rjust(64, "0"), "panic 0x11: arithmetic overflow or underflow"),
        ("d93c0665", "EnforcedPause()"),
        ("deadbeef", "0xdeadbeef"),
        ("", "no reason given"),
    ],
)
def test_revert__any_kind__in_words(base: Chain, base_chain: AnvilProcess, data: str, reason: str) -> None:
    base_chain.rpc.request("anvil_setCode", ECHO, ECHO_REVERT)
    call = Call(ECHO, bytes.fromhex(data))

    with pytest.raises(Reverted) as simulated:
        base.call(call)
    with pytest.raises(Reverted) as estimated:
        base.estimate_gas(call, sender=STRANGER)

    assert (simulated.value.reason, simulated.value.data.hex()) == (reason, data)
    assert estimated.value.reason == reason


def test_estimate__more_ether_than_there_is__insufficient_funds(base: Chain, wallet: Wallet) -> None:
    with pytest.raises(InsufficientFunds):
        base.estimate_gas(Call(ECHO, b"\x01", value=2 * 10**18), sender=wallet.address)


# Many reads at once


def test_multicall__balances_gas_and_a_failure__one_block_pinned_or_newest(
    base: Chain, base_chain: AnvilProcess, wallet: Wallet, deployment: Deployment
) -> None:
    usdc, aapl = deployment.base.usdc, deployment.stocks["AAPL"]
    base_chain.rpc.request("anvil_setCode", ECHO, ECHO_REVERT)
    calls = [
        erc20.balance_of(usdc, wallet.address),
        eth_balance_call(wallet.address),
        Call(ECHO, b"\x01"),
        erc20.decimals(aapl),
        erc20.symbol(usdc),
    ]
    pinned = base.head()
    mined(base, wallet.sign(0, call=erc20.transfer(usdc, STRANGER, 1)))

    newest, then = base.multicall(calls), base.multicall(calls, block=pinned.number)

    assert (then.block_number, then.timestamp) == (pinned.number, pinned.timestamp)
    assert newest.block_number == base.head().number == pinned.number + 1
    assert [result and erc20.decode_uint(result) for result in then.results[:4]] == [10**9, 10**18, None, 18]
    assert newest.results[0] == (10**9 - 1).to_bytes(32, "big")
    assert newest.results[4] is not None
    assert erc20.decode_string(newest.results[4]) == "USDC"


def test_multicall__a_thousand_balances__one_answer(
    base: Chain, wallet: Wallet, deployment: Deployment
) -> None:
    calls = [erc20.balance_of(deployment.base.usdc, wallet.address)] * 1000

    assert set(base.multicall(calls).results) == {(10**9).to_bytes(32, "big")}


def test_node_behind_the_block__reads__unavailable(
    base: Chain, wallet: Wallet, deployment: Deployment
) -> None:
    ahead = base.head().number + 5
    balance = erc20.balance_of(deployment.base.usdc, wallet.address)

    assert base.block(ahead) is None
    for read in (
        lambda: base.call(balance, block=ahead),
        lambda: base.multicall([balance], block=ahead),
        lambda: base.nonce(wallet.address, block=ahead),
        lambda: base.logs(address=deployment.base.usdc, topics=[], from_block=1, to_block=ahead),
        lambda: base.find_spender(wallet.address, 0, from_block=1, to_block=ahead),
        lambda: base.is_canonical(ahead, "0x" + "11" * 32),
    ):
        with pytest.raises(Unavailable):
            read()


def test_one_client__many_threads__each_reads_its_own(base: Chain) -> None:
    numbers = list(range(base.head().number + 1)) * 3

    with ThreadPoolExecutor(8) as pool:
        blocks = list(pool.map(base.block, numbers))

    assert [block and block.number for block in blocks] == numbers


# Who spent a nonce, and reorganisations


def test_find_spender__replaced_transaction__the_replacement(
    base: Chain, wallet: Wallet, mined_by_hand: AnvilProcess
) -> None:
    start = base.head().number
    first, replacement = wallet.sign(0), wallet.sign(0, tip=2 * GWEI, max_fee=40 * GWEI)
    mined_by_hand.mine(3)
    base.broadcast(first.raw)
    base.broadcast(replacement.raw)
    base.broadcast(wallet.sign(1).raw)
    mined_by_hand.mine(4)
    end = base.head().number

    assert base.receipt(first.hash) is None
    assert base.find_spender(wallet.address, 0, from_block=start, to_block=end) == replacement.hash
    assert base.find_spender(wallet.address, 0, from_block=end, to_block=end) == replacement.hash
    assert base.find_spender(wallet.address, 0, from_block=start, to_block=start + 3) is None
    assert base.find_spender(wallet.address, 2, from_block=start, to_block=end) is None


def test_reorganisation__block_replaced__receipt_gone_and_block_not_canonical(
    base: Chain, wallet: Wallet, mined_by_hand: AnvilProcess
) -> None:
    sent = base.broadcast(wallet.sign(0).raw)
    mined_by_hand.mine()
    receipt = base.receipt(sent)
    assert receipt is not None

    mined_by_hand.rpc.request("anvil_rollback", 1)

    assert base.receipt(sent) is None
    assert base.nonce(wallet.address) == 0
    with pytest.raises(Unavailable, match="does not know block"):
        base.is_canonical(receipt.block_number, receipt.block_hash)

    # Another transaction takes the nonce in the block that takes the place.
    mined_by_hand.rpc.request("anvil_dropAllTransactions")
    other = base.broadcast(wallet.sign(0, tip=3 * GWEI).raw)
    mined_by_hand.mine()

    assert not base.is_canonical(receipt.block_number, receipt.block_hash)
    assert base.receipt(sent) is None
    assert base.find_spender(wallet.address, 0, from_block=1, to_block=base.head().number) == other
    with pytest.raises(NonceTooLow):
        base.broadcast(wallet.sign(0).raw)
