"""The doctor in a world with vaults, wrappers, dollars and a price feed; and with a single thing broken."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from include.doctor import CHECKS, Finding, Level
from include.doctor.report import exit_code
from include.sandbox.accounts import Role, account
from include.sandbox.chains import TOKEN_MINTER, set_eth_price, transact, wrapper_address
from include.sandbox.scenario import SCENARIOS, vault_id
from include.sandbox.world import World
from include.venues.evm import erc20
from tests.integration.test_doctor import RETURNS_8, amiss, code, look, mine_now
from tests.integration.test_snapshot import UNIT, traded, withdraw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Break = Callable[[World], object]

SCENARIO = SCENARIOS["vaults"]
MAKER, STRANGER = account(Role.MAKER).address, account(Role.STRANGER).address
IN_VAULTS = ("AAPL", "TSLA", "NVDA", "MSFT", "AMZN", "USDC")


@pytest.fixture(scope="module")
def running_world() -> Iterator[World]:
    with World(SCENARIO, block_time=None) as world:
        yield world


@pytest.fixture
def world(running_world: World) -> Iterator[World]:
    start = running_world.snapshot()
    yield running_world
    running_world.revert(start)


def nvda(world: World) -> str:
    return world.deployment.wrappers["NVDA"]


def allow_everything(world: World) -> None:
    """Let the maker grant what operations grant when they first need it."""
    for asset in IN_VAULTS:
        spenders = [(traded(world, asset)[0], world.deployment.orderbook)]
        if asset in world.deployment.wrappers:
            spenders.append((world.deployment.stocks[asset], world.deployment.wrappers[asset]))
        for token, spender in spenders:
            asked = erc20.approve(token, spender, erc20.MAX_UINT256)
            world.base.rpc.send(MAKER, asked.to, f"0x{asked.data.hex()}")


def found_in(world: World, **changes: str) -> list[Finding]:
    """Look at the vaults' world, with a price feed; there is no ledger in these tests."""
    given = {"eth_price_feed": world.deployment.price_feed} | changes
    return [finding for finding in look(world, None, **given) if finding.check != "not looked at"]


def of(findings: list[Finding], check: str) -> list[str]:
    return [f"{finding.level}: {finding.found}" for finding in findings if finding.check == check]


def test_doctor__vaults_wrappers_dollars_and_a_feed__finds_everything_ok(
    world: World, tmp_path: Path
) -> None:
    allow_everything(world)
    set_eth_price(world.base_url, world.deployment.price_feed, Decimal("2987.125"))

    found = found_in(world, dollars="usd", cash_reserve="100", equity_cap="60", usdc_daily_maximum="100000")

    assert amiss(found) == {}
    assert exit_code(found) == 0
    # All but the ledger's two, which need one.
    assert {one.check.split(" (")[0] for one in found} == {one.about.name for one in CHECKS[:-2]}
    assert of(found, "OrderBook") == [f"ok: {world.deployment.orderbook} is a contract of version v6"]
    assert f"ok: AAPL: the vault {vault_id(0xA1)} holds 5" in of(found, "vaults")
    assert f"ok: AMZN: the vault {vault_id(0xA6)} holds 0" in of(found, "vaults")
    assert f"ok: USDC: the vault {vault_id(0xA7)} holds 1000" in of(found, "vaults")
    assert of(found, "wrappers")[0].startswith("ok: MSFT: one share stands for 1.0123456788")
    assert of(found, "stray tokens") == ["ok: there are none"]
    assert of(found, "Alpaca dollars")[1] == "ok: USDCUSD is traded"
    assert of(found, "ETH price")[0].startswith("ok: 2987.125 dollars, ")
    assert of(found, "limits") == [
        "ok: equities: 60 at once, any amount in a day; USDC: any amount at once, 100000 in a day"
    ]


def test_allowances__before_the_first_use__are_well(world: World) -> None:
    found = [one for one in found_in(world) if one.check == "vault allowances"]

    (finding,) = found
    assert finding.level is Level.OK
    assert finding.found.startswith("none yet for AAPL to the OrderBook, ")
    assert "NVDA to its wrapper" in finding.found
    assert "SPYM" not in finding.found


def limit_redeem(shares: int) -> Break:
    return lambda world: transact(
        world.base_url, Role.ISSUER, nvda(world), "setRedeemLimit(uint256)", [shares]
    )


def lay_about(asset: str, units: int) -> Break:
    """Let the maker take out of a vault what stays in its wallet then."""
    return lambda world: withdraw(world, asset, units)


def with_wrapper(wrapper: str) -> str:
    """Return settings in which NVDA's wrapper is another contract."""
    return json.dumps({"NVDA": {"vaults": [vault_id(0xA3)], "wrapper": wrapper}})


BROKEN: dict[str, tuple[Break, dict[str, str], str, Level, str]] = {
    "no OrderBook": (
        lambda world: None,
        {"orderbook": STRANGER},
        "OrderBook",
        Level.FAILURE,
        f"there is no contract at {STRANGER}",
    ),
    "the wrapper is not there": (
        code(nvda, "0x"),
        {},
        "wrappers",
        Level.FAILURE,
        "NVDA: there is no contract at ",
    ),
    "the wrapper is another contract": (
        lambda world: None,
        {"assets": with_wrapper(TOKEN_MINTER)},
        "wrappers",
        Level.FAILURE,
        f"NVDA: the wrapper {TOKEN_MINTER} is no ERC-4626 wrapper",
    ),
    "the wrapper is another stock's": (
        lambda world: None,
        {"assets": with_wrapper(wrapper_address("MSFT"))},
        "wrappers",
        Level.FAILURE,
        f"NVDA: the wrapper {wrapper_address('MSFT')} is of the token ",
    ),
    "shares cannot be redeemed": (
        limit_redeem(UNIT),
        {},
        "wrappers",
        Level.WARNING,
        "NVDA: of 9.523809523809523809 shares in the vaults, 1 can be redeemed now",
    ),
    "tokens beside the vault": (
        lay_about("TSLA", 3 * UNIT),
        {},
        "stray tokens",
        Level.WARNING,
        "3 TSLA in the wallet",
    ),
    "shares beside the vault": (
        lay_about("NVDA", UNIT // 4),
        {},
        "stray tokens",
        Level.WARNING,
        "0.25 wrapped NVDA in the wallet",
    ),
    "the feed is old": (
        lambda world: set_eth_price(world.base_url, world.deployment.price_feed, Decimal(3000), age=2 * 3600),
        {},
        "ETH price",
        Level.WARNING,
        "3000 dollars, 72",
    ),
    "the feed is dead": (
        lambda world: set_eth_price(
            world.base_url, world.deployment.price_feed, Decimal(3000), age=9 * 86400
        ),
        {},
        "ETH price",
        Level.FAILURE,
        "3000 dollars, 777",
    ),
    "the feed has no price": (
        lambda world: set_eth_price(world.base_url, world.deployment.price_feed, Decimal(0)),
        {},
        "ETH price",
        Level.FAILURE,
        "the price feed has no price",
    ),
    "the feed is not there": (
        lambda world: None,
        {"eth_price_feed": STRANGER},
        "ETH price",
        Level.FAILURE,
        f"there is no contract at {STRANGER}",
    ),
    "the feed is another contract": (
        code(lambda world: world.deployment.price_feed, RETURNS_8),
        {},
        "ETH price",
        Level.FAILURE,
        "not an answer of a price feed",
    ),
}
BESIDES = {
    "no OrderBook": {"vaults"},
    "the wrapper is not there": {"vaults", "vault allowances"},
    "the wrapper is another contract": {"vaults", "vault allowances"},
}
"""What cannot be read either: a vault needs its contract and its token's decimals."""


@pytest.mark.parametrize("what", BROKEN)
def test_doctor__one_thing_broken__finds_that_and_nothing_else(world: World, what: str) -> None:
    breaks, changes, check, level, text = BROKEN[what]
    allow_everything(world)
    mine_now(world.base)
    breaks(world)
    found = found_in(world, **changes)

    bad = {one.check for one in found if one.level is not Level.OK}
    assert bad == {check} | BESIDES.get(what, set())
    shown = [one for one in found if one.check == check and one.level is level]
    assert [one.found[: len(text)] for one in shown] == [text]
    assert all(one.advice for one in shown)
