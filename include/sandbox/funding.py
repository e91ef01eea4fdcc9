"""Gives everybody on Base what they start with, and the maker more: in its wallet, vaults and wrappers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from include.sandbox import chains
from include.sandbox.accounts import Role, account
from include.sandbox.jsonrpc import calldata
from include.sandbox.scenario import USDC
from include.sandbox.vaults import WALLET, vault_place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from include.sandbox.alpaca.chain import EvmChain
    from include.sandbox.chains import Deployment
    from include.sandbox.scenario import Scenario
    from include.sandbox.vaults import Traded, Vaults

PLENTY_OF_USDC: Final = 10**9 * 10**6
PLENTY_OF_TOKENS: Final = 10**6 * 10**18

_ALWAYS = 2**256 - 1
_GAS = 300_000
_MINT = "mint(address,uint256)"
_APPROVE = "approve(address,uint256)"

Transaction = tuple[str, str, str]
"""Sender, contract and data of a call."""


def fund(base: EvmChain, deployment: Deployment, scenario: Scenario, vaults: Vaults, maker: str) -> None:
    """Bring everybody's balances up to what they start with; what the chain has from before is kept."""
    trader = account(Role.TRADER).address
    tokens = {**deployment.stocks, USDC: deployment.base.usdc}
    head = base.head()
    held = dict(zip(tokens, base.balances(list(tokens.values()), maker, head), strict=True))
    traders = dict(zip(tokens, base.balances(list(tokens.values()), trader, head), strict=True))
    first: list[Transaction] = []
    for asset, token in tokens.items():
        one = vaults.traded[asset]
        minter = account(Role.DEPLOYER if asset == USDC else Role.ISSUER).address
        plenty = PLENTY_OF_USDC if asset == USDC else PLENTY_OF_TOKENS
        goals: list[tuple[str, int, int]] = [(trader, plenty, traders[asset])]
        if not one.vaults and not one.wrapped:
            goals.append((maker, _wanted(scenario, asset), held[asset]))
        first += [(minter, token, calldata(_MINT, [to, goal - has])) for to, goal, has in goals if goal > has]
        if one.wrapped and base.rpc.call(one.token, "totalSupply()", [], "uint256") == 0:
            first += _wrapped_market(one, token, scenario.wrapped[asset])
        first.append(_trading_allowance(one, deployment, maker))
    send_all(base, first)
    send_all(base, list(_positions(scenario, vaults)))


def give(
    base: EvmChain, urls: Mapping[str, str], vaults: Vaults, *, asset: str, place: str, amount: Decimal
) -> list[str]:
    """Make an amount for the maker at a place, and return the hashes of the transactions that did it.

    :param urls: of the nodes, by the place of USDC that is in the wallet there.
    """
    units = int(amount.scaleb(6 if asset == USDC else 18))
    if place in urls:
        return [chains.mint_usdc(urls[place], vaults.owner, units)]
    if place == "tokens":
        return [chains.mint_stock(base.url, vaults.stocks[asset], vaults.owner, units)]
    one = next(one for one in vaults.traded.values() if one.name == asset)
    if place == WALLET:
        issuer, token = account(Role.ISSUER).address, vaults.stocks[one.asset]
        inside = int(base.rpc.call(one.token, "previewMint(uint256)", [units], "uint256"))
        calls: list[Transaction] = [
            (issuer, token, calldata(_MINT, [issuer, inside])),
            (issuer, token, calldata(_APPROVE, [one.token, inside])),
            (issuer, one.token, calldata("mint(uint256,address)", [units, vaults.owner])),
        ]
        return send_all(base, calls)
    index = [vault_place(index) for index in range(len(one.vaults))].index(place)
    return send_all(base, [vaults.seed(one.asset, units, index)])


def send_all(chain: EvmChain, transactions: list[Transaction]) -> list[str]:
    """Send calls from addresses that the node impersonates, and return their hashes once they are mined."""
    hashes = chain.rpc.send_all(
        [{"from": sender, "to": to, "data": data, "gas": hex(_GAS)} for sender, to, data in transactions]
    )
    for transaction_hash in hashes:
        chain.rpc.receipt(transaction_hash)
    return hashes


def _wanted(scenario: Scenario, asset: str) -> int:
    if asset == USDC:
        return int(scenario.usdc.onchain.scaleb(6))
    return int(scenario.stocks[asset].onchain.scaleb(18))


def _wrapped_market(one: Traded, token: str, worth: Decimal) -> Iterator[Transaction]:
    """Give the trader plenty of wrapped tokens, and then a dividend that makes each of them worth more."""
    issuer, trader = account(Role.ISSUER).address, account(Role.TRADER).address
    yield issuer, token, calldata(_MINT, [issuer, PLENTY_OF_TOKENS])
    yield issuer, token, calldata(_APPROVE, [one.token, PLENTY_OF_TOKENS])
    yield issuer, one.token, calldata("deposit(uint256,address)", [PLENTY_OF_TOKENS, trader])
    yield issuer, token, calldata(_MINT, [one.token, int(PLENTY_OF_TOKENS * (worth - 1))])


def _trading_allowance(one: Traded, deployment: Deployment, maker: str) -> Transaction:
    # The trader does all that trading does, as an exchange would: the maker's nonces stay its own
    trader = account(Role.TRADER).address
    if one.vaults:
        return trader, one.token, calldata(_APPROVE, [deployment.orderbook, _ALWAYS])
    return maker, one.token, calldata(_APPROVE, [trader, _ALWAYS])


def _positions(scenario: Scenario, vaults: Vaults) -> Iterator[Transaction]:
    """Let the trader hand over what the maker holds in vaults and as wrapped tokens."""
    held = vaults.held("latest")
    for asset, one in vaults.traded.items():
        if one.vaults or one.wrapped:
            missing = vaults.to_traded(asset, _wanted(scenario, asset)) - sum(held[one.name].values())
            if missing > 0:
                yield vaults.seed(asset, missing)
