"""The client and the sandbox's OrderBook, wrapper and price feed, each asked by the other's rules."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from eth_utils.crypto import keccak

from include.sandbox.accounts import Role, account
from include.sandbox.chains import deploy, mint_stock, mint_usdc, set_eth_price, transact
from include.sandbox.jsonrpc import RpcError, calldata
from include.venues.evm import erc20, erc4626, price_feed
from include.venues.evm.chain import Chain
from include.venues.raindex import float as rain_float
from include.venues.raindex import orderbook
from include.venues.raindex.orderbook import VaultDeposit, VaultWithdrawal

if TYPE_CHECKING:
    from include.sandbox.anvil import AnvilProcess
    from include.sandbox.chains import Deployment
    from include.venues.evm.types import Call, Receipt
    from include.venues.raindex.orderbook import Version

MAKER, STRANGER, TRADER = (account(role).address for role in (Role.MAKER, Role.STRANGER, Role.TRADER))
VAULT, OTHER_VAULT = ("0x" + f"{number:064x}" for number in (0xFA, 0xFB))
SHARE = 10**18
TRADE = "(address,address,bytes32,uint256)"


class Desk:
    """Sends what the client builds, and reads with it."""

    def __init__(self, node: AnvilProcess, deployment: Deployment) -> None:
        self.node = node
        self.chain = Chain(node.url, chain_id=8453, name="Base")
        self.usdc, self.aapl = deployment.base.usdc, deployment.stocks["AAPL"]
        self.wrapper = deployment.wrappers["AAPL"]
        self.book, self.feed = deployment.orderbook, deployment.price_feed

    def send(self, call: Call, role: Role = Role.MAKER) -> Receipt:
        sent = self.node.rpc.send(account(role).address, call.to, "0x" + call.data.hex())
        receipt = self.chain.receipt(sent["transactionHash"])
        assert receipt is not None
        return receipt

    def number(self, call: Call) -> int:
        return erc20.decode_uint(self.chain.call(call))

    def balance(self, token: str, owner: str = MAKER) -> int:
        return self.number(erc20.balance_of(token, owner))

    def in_vault(self, token: str, *, owner: str = MAKER, vault: str = VAULT) -> int:
        answer = self.chain.call(orderbook.vault_balance(self.book, owner=owner, token=token, vault_id=vault))
        return orderbook.decode_vault_balance(answer, 6 if token == self.usdc else 18)

    def put(self, token: str, amount: int, *, vault: str = VAULT, version: Version = "v6") -> Receipt:
        decimals = self.number(erc20.decimals(token))
        self.send(erc20.approve(token, self.book, amount))
        return self.send(
            orderbook.deposit(
                self.book, token=token, vault_id=vault, amount=amount, decimals=decimals, version=version
            )
        )

    def get(self, token: str, target: int, *, vault: str = VAULT, version: Version = "v6") -> Receipt:
        decimals = self.number(erc20.decimals(token))
        return self.send(
            orderbook.withdraw(
                self.book, token=token, vault_id=vault, target=target, decimals=decimals, version=version
            )
        )

    def trade(self, hook: str, token: str, amount: int, *, by: Role = Role.TRADER) -> None:
        args = [MAKER, token, bytes.fromhex(VAULT[2:]), amount]
        transact(self.node.url, by, self.book, hook + TRADE, args)


@pytest.fixture
def desk(ethereum_chain: AnvilProcess, base_chain: AnvilProcess, fresh_chains: Deployment) -> Desk:
    del fresh_chains  # it puts the chains back afterwards
    with_wrapper = deploy(ethereum_chain.url, base_chain.url, ["AAPL", "TSLA"], wrapped=["AAPL"])
    mint_usdc(base_chain.url, MAKER, 1_000_000_000)
    mint_usdc(base_chain.url, TRADER, 1_000_000_000)
    mint_stock(base_chain.url, with_wrapper.stocks["AAPL"], MAKER, 100 * SHARE)
    return Desk(base_chain, with_wrapper)


# Vaults


@pytest.mark.parametrize("version", ["v6", "v5"])
@pytest.mark.parametrize("amount", [1, 250_000_000, 123_456_789])
def test_deposit_and_withdraw__of_each_version__move_exactly_that(
    desk: Desk, version: Version, amount: int
) -> None:
    put = desk.put(desk.usdc, amount, version=version)

    assert orderbook.deposits(put, desk.book) == [VaultDeposit(MAKER, desk.usdc, VAULT, amount)]
    assert desk.in_vault(desk.usdc) == amount
    assert desk.balance(desk.usdc) == 1_000_000_000 - amount

    got = desk.get(desk.usdc, amount, version=version)

    assert orderbook.withdrawals(got, desk.book) == [
        VaultWithdrawal(MAKER, desk.usdc, VAULT, Decimal(amount).scaleb(-6), amount)
    ]
    assert desk.in_vault(desk.usdc) == 0
    assert desk.balance(desk.usdc) == 1_000_000_000


def test_withdraw__more_than_there_is__pays_what_there_is_and_says_so(desk: Desk) -> None:
    desk.put(desk.aapl, 3 * SHARE + 7)

    receipt = desk.get(desk.aapl, 5 * SHARE)

    (found,) = orderbook.withdrawals(receipt, desk.book)
    assert (found.target, found.amount) == (Decimal(5), 3 * SHARE + 7)
    assert desk.balance(desk.aapl) == 100 * SHARE


def test_withdraw__from_an_empty_vault__moves_nothing(desk: Desk) -> None:
    receipt = desk.get(desk.usdc, 5)

    assert [found.amount for found in orderbook.withdrawals(receipt, desk.book)] == [0]
    assert erc20.transfers(receipt, desk.usdc) == []


def test_vaults__of_other_owners_ids_and_tokens__are_apart(desk: Desk) -> None:
    desk.put(desk.usdc, 5)
    desk.put(desk.usdc, 7, vault=OTHER_VAULT)

    assert desk.in_vault(desk.usdc) == 5
    assert desk.in_vault(desk.usdc, vault=OTHER_VAULT) == 7
    assert desk.in_vault(desk.usdc, owner=STRANGER) == 0
    assert desk.in_vault(desk.aapl) == 0


def _raw(name: str, token: str, vault: bytes, amount: bytes) -> str:
    tasks = "((address,address,bytes),(address,bytes32[],bytes)[])[]"
    head = calldata(f"{name}(address,bytes32,bytes32)", [token, vault, amount])
    selector = keccak(text=f"{name}(address,bytes32,bytes32,{tasks})")[:4]
    return "0x" + selector.hex() + head[10:] + f"{0x80:064x}" + "0" * 64


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("deposit4", "ZeroDepositAmount(address,address,bytes32)"),
        ("withdraw4", "ZeroWithdrawTargetAmount(address,address,bytes32)"),
    ],
)
def test_moves__of_zero__revert(desk: Desk, name: str, error: str) -> None:
    data = _raw(name, desk.usdc, bytes(31) + b"\x01", bytes(32))

    with pytest.raises(RpcError) as caught:
        desk.node.rpc.send(MAKER, desk.book, data)

    assert (caught.value.data or "").startswith("0x" + keccak(text=error)[:4].hex())


@pytest.mark.parametrize("name", ["deposit4", "withdraw4", "deposit3", "withdraw3"])
def test_moves__in_the_vault_zero__revert(desk: Desk, name: str) -> None:
    with pytest.raises(RpcError) as caught:
        desk.node.rpc.send(MAKER, desk.book, _raw(name, desk.usdc, bytes(32), rain_float.encode(5, 6)))

    expected = keccak(text="ZeroVaultId(address,address)")[:4].hex()
    assert (caught.value.data or "").startswith("0x" + expected)


def test_deposit__in_another_encoding__is_the_same_amount(desk: Desk) -> None:
    desk.send(erc20.approve(desk.usdc, desk.book, 5_000_000))
    long = (-30).to_bytes(4, "big", signed=True) + (5 * 10**30).to_bytes(28, "big")

    desk.node.rpc.send(MAKER, desk.book, _raw("deposit4", desk.usdc, bytes.fromhex(VAULT[2:]), long))

    assert desk.in_vault(desk.usdc) == 5_000_000


@pytest.mark.parametrize(
    ("exponent", "coefficient"), [(-7, 1), (0, -1), (100, 1), (2**31 - 1, 1), (-(2**31), 1)]
)
def test_deposit__of_what_is_no_amount__reverts(desk: Desk, exponent: int, coefficient: int) -> None:
    desk.send(erc20.approve(desk.usdc, desk.book, erc20.MAX_UINT256))
    amount = exponent.to_bytes(4, "big", signed=True) + coefficient.to_bytes(28, "big", signed=True)

    with pytest.raises(RpcError, match="revert"):
        desk.node.rpc.send(MAKER, desk.book, _raw("deposit4", desk.usdc, bytes.fromhex(VAULT[2:]), amount))


def test_deposit__without_an_allowance__reverts(desk: Desk) -> None:
    call = orderbook.deposit(desk.book, token=desk.aapl, vault_id=VAULT, amount=5, decimals=18)

    with pytest.raises(RpcError, match="exceeds allowance"):
        desk.send(call)


def test_vault_balance__of_the_contract__keeps_zeros_that_the_client_leaves_out(desk: Desk) -> None:
    desk.put(desk.usdc, 250_000_000)

    answer = desk.chain.call(orderbook.vault_balance(desk.book, owner=MAKER, token=desk.usdc, vault_id=VAULT))

    assert answer != rain_float.encode(250_000_000, 6)
    assert rain_float.units(answer, 6) == 250_000_000


def test_token__that_changes_its_decimals__is_refused(desk: Desk) -> None:
    liar = "0x" + "1a" * 20
    # Answers every call with the word in its first slot: decimals, and true to every transfer
    desk.node.rpc.request("anvil_setCode", liar, "0x5f545f5260205ff3")
    _slot(desk, liar, 1)
    vault = bytes.fromhex(VAULT[2:])
    desk.node.rpc.send(MAKER, desk.book, _raw("deposit4", liar, vault, rain_float.encode(5, 1)))
    _slot(desk, liar, 6)

    with pytest.raises(RpcError) as caught:
        desk.node.rpc.send(MAKER, desk.book, _raw("deposit4", liar, vault, rain_float.encode(5, 6)))

    expected = keccak(text="TokenDecimalsChanged(address,uint8,uint8)")[:4].hex()
    assert (caught.value.data or "").startswith("0x" + expected)


def _slot(desk: Desk, contract: str, value: int) -> None:
    desk.node.rpc.request("anvil_setStorageAt", contract, "0x0", f"0x{value:064x}")
    desk.node.rpc.request("evm_mine")


def test_trades__in_a_vault__exchange_with_the_trader_without_the_owners_events(desk: Desk) -> None:
    desk.put(desk.usdc, 10)
    transact(desk.node.url, Role.TRADER, desk.usdc, "approve(address,uint256)", [desk.book, 100])

    desk.trade("take", desk.usdc, 4)
    desk.trade("fill", desk.usdc, 7)
    desk.trade("seed", desk.usdc, 1)

    assert desk.in_vault(desk.usdc) == 14
    assert desk.balance(desk.usdc, TRADER) == 1_000_000_000 + 4 - 8
    with pytest.raises(RpcError, match="the vault holds less"):
        desk.trade("take", desk.usdc, 15)
    for hook in ("take", "fill", "seed"):
        with pytest.raises(RpcError, match="not the sandbox's trader"):
            desk.trade(hook, desk.usdc, 1, by=Role.STRANGER)


# The wrapper


def test_wrapper__empty__stands_one_to_one(desk: Desk) -> None:
    assert erc4626.decode_asset(desk.chain.call(erc4626.asset(desk.wrapper))) == desk.aapl
    assert desk.number(erc20.decimals(desk.wrapper)) == 18
    assert erc20.decode_string(desk.chain.call(erc20.symbol(desk.wrapper))) == "wtAAPL"
    assert desk.number(erc4626.convert_to_assets(desk.wrapper, 7)) == 7


def test_wrap_and_unwrap__around_a_dividend__say_what_moved(desk: Desk) -> None:
    desk.send(erc20.approve(desk.aapl, desk.wrapper, 60 * SHARE))
    first = desk.send(erc4626.deposit(desk.wrapper, 40 * SHARE, MAKER))
    assert erc4626.wraps(first, desk.wrapper) == [
        erc4626.Wrapped(MAKER, MAKER, assets=40 * SHARE, shares=40 * SHARE)
    ]

    mint_stock(desk.node.url, desk.aapl, desk.wrapper, 2 * SHARE)

    expected = desk.number(erc4626.preview_deposit(desk.wrapper, 20 * SHARE))
    (second,) = erc4626.wraps(desk.send(erc4626.deposit(desk.wrapper, 20 * SHARE, MAKER)), desk.wrapper)
    assert second.shares == expected < 20 * SHARE
    held = desk.balance(desk.wrapper)
    assert held == 40 * SHARE + second.shares
    worth = desk.number(erc4626.convert_to_assets(desk.wrapper, held))
    assert worth == desk.number(erc4626.preview_redeem(desk.wrapper, held))
    # The last unit stays with the wrapper, never with who leaves
    assert 62 * SHARE - 3 <= worth <= 62 * SHARE

    (out,) = erc4626.unwraps(desk.send(erc4626.redeem(desk.wrapper, held, MAKER, MAKER)), desk.wrapper)
    assert (out.assets, out.shares) == (worth, held)
    assert desk.balance(desk.aapl) == 40 * SHARE + worth
    assert desk.balance(desk.wrapper) == 0


def test_preview_withdraw__after_a_dividend__is_enough_and_no_more(desk: Desk) -> None:
    desk.send(erc20.approve(desk.aapl, desk.wrapper, 40 * SHARE))
    desk.send(erc4626.deposit(desk.wrapper, 40 * SHARE, MAKER))
    mint_stock(desk.node.url, desk.aapl, desk.wrapper, SHARE)

    for wanted in (1, 31 * SHARE, 12_345_678_901_000_000_000):
        shares = desk.number(erc4626.preview_withdraw(desk.wrapper, wanted))
        assert desk.number(erc4626.preview_redeem(desk.wrapper, shares)) >= wanted
        assert desk.number(erc4626.preview_redeem(desk.wrapper, shares - 1)) < wanted


def test_redeem__above_the_limit__reverts_and_at_the_limit_goes(desk: Desk) -> None:
    desk.send(erc20.approve(desk.aapl, desk.wrapper, 40 * SHARE))
    desk.send(erc4626.deposit(desk.wrapper, 40 * SHARE, MAKER))
    transact(desk.node.url, Role.ISSUER, desk.wrapper, "setRedeemLimit(uint256)", [3 * SHARE])

    assert desk.number(erc4626.max_redeem(desk.wrapper, MAKER)) == 3 * SHARE
    with pytest.raises(RpcError) as caught:
        desk.send(erc4626.redeem(desk.wrapper, 3 * SHARE + 1, MAKER, MAKER))
    expected = keccak(text="ERC4626ExceededMaxRedeem(address,uint256,uint256)")[:4].hex()
    assert (caught.value.data or "").startswith("0x" + expected)

    desk.send(erc4626.redeem(desk.wrapper, 3 * SHARE, MAKER, MAKER))
    assert desk.balance(desk.wrapper) == 37 * SHARE


def test_redeem__shares_of_another__needs_an_allowance(desk: Desk) -> None:
    desk.send(erc20.approve(desk.aapl, desk.wrapper, SHARE))
    desk.send(erc4626.deposit(desk.wrapper, SHARE, MAKER))

    with pytest.raises(RpcError, match="exceeds allowance"):
        desk.send(erc4626.redeem(desk.wrapper, 1, STRANGER, MAKER), Role.STRANGER)
    with pytest.raises(RpcError, match="not the issuer"):
        transact(desk.node.url, Role.STRANGER, desk.wrapper, "setRedeemLimit(uint256)", [0])


# The price feed


def test_price_feed__set__tells_price_and_time(desk: Desk) -> None:
    decimals = desk.number(erc20.decimals(desk.feed))
    read = price_feed.latest_round_data(desk.feed)
    first = price_feed.decode_latest_round_data(desk.chain.call(read), decimals)
    assert first.value == 3000

    now = desk.chain.head().timestamp
    set_eth_price(desk.node.url, desk.feed, Decimal("2512.34567891"), age=3600)

    found = price_feed.decode_latest_round_data(desk.chain.call(read), decimals)
    assert found == price_feed.Price(Decimal("2512.34567891"), datetime.fromtimestamp(now - 3600, tz=UTC))
    with pytest.raises(RpcError, match="not the owner"):
        transact(desk.node.url, Role.STRANGER, desk.feed, "setAnswer(int256,uint256)", [1, 1])
