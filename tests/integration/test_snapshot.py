"""What a snapshot says of real vaults and wrappers, against what the contracts say themselves."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from include import snapshot
from include.domain.amounts import from_base_units, to_base_units
from include.domain.inventory import Balance, Unread
from include.sandbox import chains
from include.sandbox.accounts import Role, account
from include.sandbox.scenario import SCENARIOS
from include.sandbox.world import World
from include.venues.evm import erc20, erc4626
from include.venues.raindex import orderbook
from tests.support.desk import open_venues, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.domain.inventory import Snapshot
    from include.venues.evm.types import Call

MAKER = account(Role.MAKER).address
SCENARIO = SCENARIOS["vaults"]
UNIT = 10**18


@pytest.fixture(scope="module")
def running_world() -> Iterator[World]:
    with World(SCENARIO, block_time=None) as world:
        yield world


@pytest.fixture
def world(running_world: World) -> Iterator[World]:
    start = running_world.snapshot()
    yield running_world
    running_world.revert(start)


@dataclass
class Taken:
    """A snapshot, and how often each thing was asked for it."""

    snapshot: Snapshot
    asked: Counter[str] = field(default_factory=Counter)

    def onchain(self, asset: str) -> Balance:
        found = self.snapshot.inventories[asset].onchain
        assert isinstance(found, Balance), found
        return found

    def offchain(self, asset: str) -> Balance:
        found = self.snapshot.inventories[asset].offchain
        assert isinstance(found, Balance), found
        return found


def take(world: World, **changes: str) -> Taken:
    asked: Counter[str] = Counter()

    def watch(name: str, _content: Any) -> None:
        asked[name.rpartition("/")[2]] += 1

    with open_venues(world, settings_of(world, **changes), watch) as venues:
        return Taken(snapshot.take(venues, "id"), asked)


def read(world: World, asked: Call) -> bytes:
    answer = world.base.rpc.request("eth_call", {"to": asked.to, "data": f"0x{asked.data.hex()}"}, "latest")
    return bytes.fromhex(answer[2:])


def number(world: World, asked: Call) -> int:
    return erc20.decode_uint(read(world, asked))


def traded(world: World, asset: str) -> tuple[str, int]:
    """Return the token in an asset's vaults, and its decimals."""
    if asset == "USDC":
        return world.deployment.base.usdc, 6
    return world.deployment.wrappers.get(asset, world.deployment.stocks[asset]), 18


def in_vaults(world: World, asset: str) -> int:
    """Return the base units in the maker's vaults of an asset."""
    token, decimals = traded(world, asset)
    book = world.deployment.orderbook
    return sum(
        orderbook.decode_vault_balance(
            read(world, orderbook.vault_balance(book, owner=MAKER, token=token, vault_id=vault)), decimals
        )
        for vault in SCENARIO.vaults[asset]
    )


def withdraw(world: World, asset: str, units: int) -> None:
    """Let the maker take base units out of its primary vault, so that they lie in its wallet."""
    token, decimals = traded(world, asset)
    book, vault = world.deployment.orderbook, SCENARIO.vaults[asset][0]
    asked = orderbook.withdraw(book, token=token, vault_id=vault, target=units, decimals=decimals)
    world.base.rpc.send(MAKER, asked.to, f"0x{asked.data.hex()}")
    assert number(world, erc20.balance_of(token, MAKER)) == units


def test_take__every_asset_in_its_places__is_what_the_scenario_says(world: World) -> None:
    taken = take(world)

    for asset, holding in SCENARIO.stocks.items():
        missing = holding.onchain - taken.onchain(asset).available
        # Wrapped, it was rounded down when it was wrapped, and again when it is counted.
        assert 0 <= missing <= Decimal(3).scaleb(-18) * (asset in SCENARIO.wrapped)
        assert taken.onchain(asset).held == 0
    assert taken.onchain("USDC") == Balance(SCENARIO.usdc.onchain)


def test_take__vaults_and_wrappers__cost_no_request_more(world: World) -> None:
    plain = {"orderbook": "", "assets": "{}"}
    assert take(world).asked == take(world, **plain).asked
    assert take(world).asked["eth_call"] == 2  # one for each chain
    assert sum(take(world).asked.values()) == 5


def test_take__tokens_beside_the_vaults__are_held_and_nothing_is_lost(world: World) -> None:
    before = take(world)
    half = in_vaults(world, "TSLA") // 2
    withdraw(world, "TSLA", half)
    withdraw(world, "NVDA", UNIT)
    withdraw(world, "USDC", 250 * 10**6)
    after = take(world)

    for asset in ("TSLA", "NVDA", "USDC"):
        assert after.onchain(asset).total == before.onchain(asset).total
    assert after.onchain("TSLA").held == from_base_units(half, 18)
    assert after.onchain("USDC") == Balance(SCENARIO.usdc.onchain - 250, held=Decimal(250))
    own = number(world, erc4626.convert_to_assets(world.deployment.wrappers["NVDA"], UNIT))
    assert abs(to_base_units(after.onchain("NVDA").held, 18) - own) <= 1


@pytest.mark.parametrize("dividend", [0, 1, 7, UNIT // 3, 999_999_999_999 * UNIT + 1])
def test_take__wrapped_at_any_ratio__is_never_above_the_contracts_own_answer(
    world: World, dividend: int
) -> None:
    if dividend:
        for asset, wrapper in world.deployment.wrappers.items():
            chains.mint_stock(world.base_url, world.deployment.stocks[asset], wrapper, dividend)

    taken = take(world)

    for asset, wrapper in world.deployment.wrappers.items():
        own = number(world, erc4626.convert_to_assets(wrapper, in_vaults(world, asset)))
        assert 0 <= own - to_base_units(taken.onchain(asset).available, 18) <= 1
        share = number(world, erc4626.convert_to_assets(wrapper, UNIT))
        assert share > UNIT


def test_take__the_ratio_moves__moves_the_inventory(world: World) -> None:
    wrapper, token = world.deployment.wrappers["MSFT"], world.deployment.stocks["MSFT"]
    found = [take(world).onchain("MSFT").available]
    for _ in range(3):
        chains.mint_stock(world.base_url, token, wrapper, 10**6 * UNIT)
        found.append(take(world).onchain("MSFT").available)
    assert all(before < after for before, after in pairwise(found))


def test_take__wrapped_without_vaults__counts_tokens_and_shares(world: World) -> None:
    wrapper = world.deployment.wrappers["NVDA"]
    withdraw(world, "NVDA", 2 * UNIT)
    chains.mint_stock(world.base_url, world.deployment.stocks["NVDA"], MAKER, 3 * UNIT)

    found = take(world, assets=f'{{"NVDA": {{"wrapper": "{wrapper}"}}}}', orderbook="").onchain("NVDA")

    own = number(world, erc4626.convert_to_assets(wrapper, 2 * UNIT))
    assert 0 <= 3 * UNIT + own - to_base_units(found.available, 18) <= 1
    assert found.held == 0


def test_take__another_stocks_wrapper__is_not_counted(world: World) -> None:
    wrapper, token = world.deployment.wrappers["NVDA"], world.deployment.stocks["AAPL"]
    taken = take(world, assets=f'{{"AAPL": {{"wrapper": "{wrapper}"}}}}', orderbook="")

    found = taken.snapshot.inventories["AAPL"].onchain
    assert isinstance(found, Unread)
    assert found.reason.endswith(f"holds the token {world.deployment.stocks['NVDA']}, not {token}")
    assert taken.onchain("MSFT").available == 0  # its vaults were not named
    assert taken.onchain("TSLA").available == 0


def test_take__an_orderbook_that_is_none__leaves_what_has_vaults_unread(world: World) -> None:
    stranger = account(Role.STRANGER).address
    taken = take(world, orderbook=stranger).snapshot

    unread = {name for name, one in taken.inventories.items() if isinstance(one.onchain, Unread)}
    assert unread == set(SCENARIO.vaults)


def test_take__dollars__count_the_accounts_cash(world: World) -> None:
    usdc, usd = take(world), take(world, dollars="usd", cash_reserve="1000")
    with open_venues(world, settings_of(world)) as venues:
        account_ = venues.alpaca.account()

    assert usd.asked - usdc.asked == {"account": 1}
    assert account_.settled_cash is not None
    assert account_.settled_cash > 1000
    before, after = usdc.offchain("USDC"), usd.offchain("USDC")
    assert after.total == before.total + account_.cash
    assert after.available == before.available + account_.settled_cash - 1000
