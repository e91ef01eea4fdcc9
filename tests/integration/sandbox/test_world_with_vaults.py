"""A world with vaults and wrapped stocks: it seeds and trades there, and follows every unit through them."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from include.sandbox import chains
from include.sandbox.accounts import Role, account
from include.sandbox.attestation_rules import AttestationSettings
from include.sandbox.control import control_app
from include.sandbox.jsonrpc import RpcError
from include.sandbox.scenario import SCENARIOS, USDC, Holding, Scenario, Shift, Side, vault_id
from include.sandbox.server import serve
from include.sandbox.world import ACCOUNT_ID, KEY_ID, SECRET, Endpoints, World
from include.settings.loading import load_settings
from include.venues.evm import erc20, erc4626
from include.venues.raindex import orderbook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from include.venues.evm.types import Call

SCENARIO = SCENARIOS["vaults"]
MAKER, STRANGER = account(Role.MAKER).address, account(Role.STRANGER).address
FAST = AttestationSettings(fast_latency={0: 0, 6: 0}, standard_latency={0: 0, 6: 0})
SHARE = 10**18


@pytest.fixture(scope="module")
def the_world() -> Iterator[World]:
    with World(SCENARIO, block_time=0.1, attestation=FAST) as world:
        yield world


@pytest.fixture
def world(the_world: World) -> Iterator[World]:
    snapshot = the_world.snapshot()
    yield the_world
    the_world.revert(snapshot)


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


class Maker:
    """Does by hand what legs do."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.book = world.deployment.orderbook

    def send(self, call: Call) -> None:
        self.world.base.rpc.send(MAKER, call.to, "0x" + call.data.hex())

    def token(self, name: str) -> str:
        deployment = self.world.deployment
        return {**deployment.stocks, **deployment.wrapped, USDC: deployment.base.usdc}[name]

    def put(self, name: str, units: int, vault: str) -> None:
        token, decimals = self.token(name), 6 if name == USDC else 18
        self.send(erc20.approve(token, self.book, units))
        self.send(orderbook.deposit(self.book, token=token, vault_id=vault, amount=units, decimals=decimals))

    def get(self, name: str, units: int, vault: str) -> None:
        token, decimals = self.token(name), 6 if name == USDC else 18
        self.send(orderbook.withdraw(self.book, token=token, vault_id=vault, target=units, decimals=decimals))

    def wrap(self, asset: str, units: int, receiver: str = MAKER) -> None:
        wrapper = self.world.deployment.wrappers[asset]
        self.send(erc20.approve(self.token(asset), wrapper, units))
        self.send(erc4626.deposit(wrapper, units, receiver))

    def unwrap(self, asset: str, shares: int, receiver: str = MAKER) -> None:
        self.send(erc4626.redeem(self.world.deployment.wrappers[asset], shares, receiver, MAKER))

    def held(self, name: str) -> int:
        return chains.balance(self.world.base_url, self.token(name), MAKER)


def vault(asset: str) -> str:
    return SCENARIO.vaults[asset][0]


def units(amount: Decimal) -> int:
    return int(amount.scaleb(18))


# The start


def test_start__with_vaults__everything_is_where_the_scenario_says(world: World) -> None:
    holdings = world.holdings()

    for symbol, holding in SCENARIO.stocks.items():
        assert holdings[symbol]["shares"] == holding.offchain
        wanted = holding.onchain - (Decimal("1e-18") if symbol in SCENARIO.wrapped else 0)
        assert wanted <= world.onchain(symbol) <= holding.onchain
        plain = symbol not in SCENARIO.vaults
        assert holdings[symbol]["tokens"] == (holding.onchain if plain else 0)
    assert holdings["AMZN"]["vault"] == 70
    assert holdings["AMZN"]["vault_2"] == 0
    assert holdings["wtNVDA"]["wallet"] == 0
    assert holdings["wtNVDA"]["vault"] == Decimal("9.523809523809523809")
    assert holdings[USDC]["vault"] == world.onchain(USDC) == 1000
    assert holdings[USDC]["base"] == 0
    assert world.under_way() == {}
    assert world.conservation() == []


def test_start__ratios_of_the_wrappers__are_those_of_the_scenario(world: World) -> None:
    for symbol, worth in SCENARIO.wrapped.items():
        one = world.vaults.worth(symbol, SHARE)
        assert abs(Decimal(one).scaleb(-18) - worth) <= Decimal("1e-18")


def test_start__allowances_of_the_maker__are_left_to_ballast(world: World) -> None:
    deployment, rpc = world.deployment, world.base.rpc
    for name in ("AAPL", "NVDA", "wtNVDA", USDC):
        token = Maker(world).token(name)
        for spender in (deployment.orderbook, *deployment.wrappers.values()):
            assert rpc.call(token, "allowance(address,address)", [MAKER, spender], "uint256") == 0


def test_environment__with_vaults__is_a_complete_and_valid_configuration(world: World) -> None:
    environment = world.settings_environment()

    settings = load_settings({k: v for k, v in environment.items() if k.startswith("BALLAST_")})

    assert settings.orderbook == world.deployment.orderbook
    for asset, ids in SCENARIO.vaults.items():
        assert tuple(settings.asset(asset).vaults) == ids
    assert settings.asset("SPYM").vaults == ()
    wrappers = {s: settings.asset(s).wrapper for s in SCENARIO.stocks if settings.asset(s).wrapper}
    assert wrappers == dict(world.deployment.wrappers)


# Trades


@pytest.mark.parametrize("source", list(Side))
@pytest.mark.parametrize(
    ("asset", "place", "amount"),
    [("AAPL", "vault", "1.000000001"), ("SPYM", "tokens", "0.5"), (USDC, "vault", "250.000001")],
)
def test_shift__of_what_is_not_wrapped__moves_it_in_its_vault_and_keeps_the_total(
    world: World, asset: str, place: str, amount: str, source: Side
) -> None:
    offchain, change = "alpaca" if asset == USDC else "shares", Decimal(amount)
    before = world.holdings()[asset]
    nonce = world.base.rpc.request("eth_getTransactionCount", MAKER, "latest")

    world.shift(Shift(asset, change, source))

    after, sign = world.holdings()[asset], 1 if source is Side.OFFCHAIN else -1
    assert after[place] - before[place] == sign * change
    assert after[offchain] - before[offchain] == -sign * change
    assert world.conservation() == []
    assert world.base.rpc.request("eth_getTransactionCount", MAKER, "latest") == nonce


@pytest.mark.parametrize("source", list(Side))
def test_shift__of_a_wrapped_stock__moves_what_it_is_worth(world: World, source: Side) -> None:
    before, shares = world.onchain("MSFT"), world.holdings()["MSFT"]["shares"]
    change = Decimal("7.123456789")

    world.shift(Shift("MSFT", change, source))

    sign = 1 if source is Side.OFFCHAIN else -1
    assert abs(world.onchain("MSFT") - before - sign * change) <= Decimal("2e-18")
    assert world.holdings()["MSFT"]["shares"] - shares == -sign * change
    assert world.conservation() == []


def test_shift__in_the_second_vault__goes_there_and_a_large_sale_takes_from_both(world: World) -> None:
    world.shift(Shift("AMZN", Decimal(20), Side.OFFCHAIN, vault=1))
    held = world.holdings()["AMZN"]
    assert [held["vault"], held["vault_2"]] == [70, 20]

    world.shift(Shift("AMZN", Decimal(25), Side.ONCHAIN, vault=1))

    held = world.holdings()["AMZN"]
    assert [held["vault"], held["vault_2"]] == [65, 0]
    assert world.conservation() == []


def test_shift__more_than_the_vaults_hold__is_refused_and_nothing_moved(world: World) -> None:
    before = world.holdings()

    with pytest.raises(RpcError, match="hold less"):
        world.shift(Shift("AMZN", Decimal("70.000000000000000001"), Side.ONCHAIN))
    with pytest.raises(ValueError, match="no vault 2"):
        world.shift(Shift("AMZN", Decimal(1), Side.ONCHAIN, vault=2))

    assert world.holdings() == before
    assert world.conservation() == []


def test_shifts__of_the_scenario__can_all_be_done(world: World) -> None:
    for _ in SCENARIO.shifts:
        world.shift_next()

    assert world.holdings()["AMZN"]["vault_2"] == Decimal("25.5")
    assert world.conservation() == []


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("AAPL", "tokens"),
        ("AAPL", "vault"),
        ("AMZN", "vault_2"),
        ("wtNVDA", "wallet"),
        ("wtNVDA", "vault"),
        (USDC, "base"),
        (USDC, "vault"),
        (USDC, "ethereum"),
    ],
)
def test_give__to_any_place__is_expected_there_and_not_under_way(world: World, name: str, place: str) -> None:
    before = world.holdings()[name][place]

    world.give(name, place, Decimal(7))

    assert world.holdings()[name][place] - before == 7
    assert world.conservation() == []
    assert world.under_way() == {}


def test_give__to_no_place__is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="AAPL has no place vault_2"):
        world.give("AAPL", "vault_2", Decimal(7))


def test_dividend__to_a_wrapped_stock__raises_what_is_held_and_breaks_nothing(world: World) -> None:
    before = world.onchain("NVDA")

    world.dividend("NVDA", Decimal("0.1"))

    held = world.holdings()["wtNVDA"]["vault"]
    assert abs(world.onchain("NVDA") - before - held / 10) <= Decimal("1e-17")
    assert world.conservation() == []
    with pytest.raises(ValueError, match="AAPL is not wrapped"):
        world.dividend("AAPL", Decimal("0.1"))
    with pytest.raises(ValueError, match="no dividend"):
        world.dividend("NVDA", Decimal(0))


# The ways of an operation, by hand


def test_mint_wrap_and_deposit__step_by_step__is_under_way_until_it_is_in_the_vault(world: World) -> None:
    maker, before = Maker(world), world.onchain("NVDA")
    body = {
        "underlying_symbol": "NVDA",
        "qty": "12.5",
        "issuer": "st0x",
        "network": "base",
        "wallet_address": MAKER,
    }
    with httpx.Client(base_url=world.alpaca_url, auth=(KEY_ID, SECRET)) as alpaca:
        assert alpaca.post(f"/v1/accounts/{ACCOUNT_ID}/tokenization/mint", json=body).is_success
    until(lambda: world.under_way() == {"NVDA": {"tokens": Decimal("12.5")}})
    assert world.conservation() == []

    maker.wrap("NVDA", units(Decimal("12.5")))
    wrapped = maker.held("wtNVDA")
    assert world.under_way() == {"wtNVDA": {"wallet": Decimal(wrapped).scaleb(-18)}}
    assert world.conservation() == []

    maker.put("wtNVDA", wrapped, vault("NVDA"))
    assert world.under_way() == {}
    assert abs(world.onchain("NVDA") - before - Decimal("12.5")) <= Decimal("2e-18")
    assert world.conservation() == []


def test_withdraw_unwrap_and_redeem__step_by_step__leaves_only_dust(world: World) -> None:
    maker, amount = Maker(world), units(Decimal(31))
    shares = int(
        world.base.rpc.call(
            world.deployment.wrappers["MSFT"], "previewWithdraw(uint256)", [amount], "uint256"
        )
    )

    maker.get("wtMSFT", shares, vault("MSFT"))
    assert list(world.under_way()) == ["wtMSFT"]
    assert world.conservation() == []

    maker.unwrap("MSFT", shares)
    assert list(world.under_way()) == ["MSFT"]
    assert world.conservation() == []
    dust = maker.held("MSFT") - amount
    assert 0 <= dust <= 2

    redemption = account(Role.REDEMPTION).address
    chains.transfer(world.base_url, world.deployment.stocks["MSFT"], Role.MAKER, redemption, amount)
    until(lambda: not world.under_way())
    assert world.holdings()["MSFT"]["shares"] == 12 + 31
    assert world.holdings()["MSFT"]["tokens"] == Decimal(dust).scaleb(-18)
    assert world.conservation() == []


def test_usdc__out_of_its_vault_and_back__is_under_way_between(world: World) -> None:
    maker = Maker(world)

    maker.get(USDC, 250_000_001, vault(USDC))
    assert world.under_way() == {USDC: {"base": Decimal("250.000001")}}
    assert world.conservation() == []

    maker.put(USDC, 250_000_001, vault(USDC))
    assert world.under_way() == {}
    assert world.conservation() == []


def test_dust_from_strangers__in_the_wallet__is_neither_wrong_nor_under_way(world: World) -> None:
    nvda, wrapper = world.deployment.stocks["NVDA"], world.deployment.wrappers["NVDA"]
    chains.mint_usdc(world.base_url, STRANGER, 30)
    chains.mint_stock(world.base_url, nvda, STRANGER, 2 * SHARE)
    chains.transfer(world.base_url, world.deployment.base.usdc, Role.STRANGER, MAKER, 30)
    chains.transfer(world.base_url, nvda, Role.STRANGER, MAKER, SHARE // 2)
    chains.transact(world.base_url, Role.STRANGER, nvda, "approve(address,uint256)", [wrapper, SHARE])
    chains.transact(world.base_url, Role.STRANGER, wrapper, "deposit(uint256,address)", [SHARE, STRANGER])
    chains.transfer(world.base_url, wrapper, Role.STRANGER, MAKER, SHARE // 3)

    assert world.conservation() == []
    assert world.under_way() == {}


def test_conservation__while_vaults_are_traded_and_moved_at_once__always_holds(world: World) -> None:
    maker = Maker(world)

    def moves() -> None:
        for number in range(4):
            maker.get("wtMSFT", SHARE + number, vault("MSFT"))
            maker.unwrap("MSFT", SHARE + number)
            maker.wrap("MSFT", maker.held("MSFT"))
            maker.put("wtMSFT", maker.held("wtMSFT"), vault("MSFT"))
            maker.get(USDC, 10_000_000 + number, vault(USDC))
            maker.put(USDC, 10_000_000 + number, vault(USDC))

    def trades() -> None:
        for side in (Side.ONCHAIN, Side.OFFCHAIN) * 4:
            world.shift(Shift("MSFT", Decimal("0.3"), side))
            world.shift(Shift(USDC, Decimal("7.1"), side))
            world.dividend("MSFT", Decimal("0.001"))

    with ThreadPoolExecutor() as pool:
        done = [pool.submit(work) for work in (moves, trades)]
        while not all(future.done() for future in done):
            assert world.conservation() == []
        for future in done:
            future.result()

    assert world.conservation() == []
    assert world.under_way() == {}


# What must not go unnoticed


def test_conservation__deposited_into_a_vault_that_is_not_ours__is_noticed(world: World) -> None:
    maker = Maker(world)
    maker.get("AAPL", SHARE, vault("AAPL"))

    maker.put("AAPL", SHARE, vault_id(0xDEAD))

    assert world.conservation() == [
        "AAPL: 99.000000000000000000 in all places, 100.000000000000000000 expected (-1.000000000000000000)"
    ]


def test_conservation__deposited_unwrapped__is_noticed(world: World) -> None:
    maker = Maker(world)
    maker.get("wtNVDA", SHARE, vault("NVDA"))
    maker.unwrap("NVDA", SHARE)

    maker.put("NVDA", SHARE, vault("NVDA"))

    (violation,) = world.conservation()
    assert violation.startswith("NVDA: ")
    assert "(-1.000000000000000000)" in violation


@pytest.mark.parametrize(("action", "name"), [("wrap", "wtNVDA"), ("unwrap", "NVDA")])
def test_conservation__the_other_half_goes_to_a_stranger__is_noticed(
    world: World, action: str, name: str
) -> None:
    maker = Maker(world)
    maker.get("wtNVDA", 2 * SHARE, vault("NVDA"))
    maker.unwrap("NVDA", SHARE)

    getattr(maker, action)("NVDA", SHARE, STRANGER)

    (violation,) = world.conservation()
    assert violation.startswith(f"{name}: ")
    assert "(-" in violation


def test_conservation__wrapped_tokens_sent_astray__are_noticed(world: World) -> None:
    Maker(world).get("wtNVDA", 5, vault("NVDA"))

    chains.transfer(world.base_url, world.deployment.wrappers["NVDA"], Role.MAKER, STRANGER, 5)

    (violation,) = world.conservation()
    assert violation.startswith("wtNVDA: ")
    assert violation.endswith("(-5E-18)")


def test_conservation__tokens_in_a_vault_that_nobody_put_there__are_noticed(world: World) -> None:
    args = [MAKER, world.deployment.base.usdc, bytes.fromhex(vault(USDC)[2:]), 1]
    signature = "seed(address,address,bytes32,uint256)"
    chains.transact(world.base_url, Role.TRADER, world.deployment.orderbook, signature, args)

    (violation,) = world.conservation()
    assert violation.startswith("USDC: ")
    assert violation.endswith("(+0.000001000)")


# Going back, going on, attaching


def test_revert__after_trades_and_moves__is_as_it_was(world: World) -> None:
    before, snapshot = world.holdings(), world.snapshot()

    world.shift(Shift("NVDA", Decimal(2), Side.ONCHAIN))
    world.dividend("NVDA", Decimal("0.5"))
    Maker(world).get("AAPL", SHARE, vault("AAPL"))
    world.revert(snapshot)

    assert world.holdings() == before
    assert world.conservation() == []


def test_state_dir__stopped_and_started__goes_on_with_its_vaults(tmp_path: Path) -> None:
    with World(SCENARIO, state_dir=tmp_path, block_time=0.1) as world:
        world.shift(Shift("NVDA", Decimal(2), Side.ONCHAIN))
        Maker(world).get("AAPL", SHARE, vault("AAPL"))
        before = world.holdings()

    with World(SCENARIO, state_dir=tmp_path, block_time=0.1) as world:
        assert world.holdings() == before
        assert world.under_way() == {"AAPL": {"tokens": Decimal(1)}}
        assert world.conservation() == []


def test_attach__to_chains_with_vaults__keeps_what_is_there_and_adds_what_lacks(world: World) -> None:
    running = Endpoints(
        ethereum_url=world.ethereum_url, base_url=world.base_url, attestation_url=world.attestation_url
    )
    richer = Scenario(
        stocks={
            "AAPL": Holding(Decimal(1), Decimal(9)),
            "MSFT": SCENARIO.stocks["MSFT"],
            "NVDA": Holding(Decimal(1), Decimal(20)),
        },
        usdc=SCENARIO.usdc,
        vaults={name: SCENARIO.vaults[name] for name in ("AAPL", "MSFT", "NVDA", USDC)},
        wrapped=SCENARIO.wrapped,
    )

    with World(richer, endpoints=running) as second:
        assert second.onchain("AAPL") == 9
        assert second.onchain("NVDA") in (Decimal(20), Decimal(20) - Decimal("1e-18"))
        assert second.onchain("MSFT") == world.onchain("MSFT")
        assert second.conservation() == []


def test_wrapped_without_a_vault__lies_and_is_traded_in_the_wallet() -> None:
    scenario = Scenario(
        stocks={"AAPL": Holding(Decimal(50), Decimal(50))},
        usdc=Holding(Decimal(100), Decimal(100)),
        wrapped={"AAPL": Decimal("1.25")},
    )
    with World(scenario, block_time=0.1) as world:
        assert world.holdings()["wtAAPL"] == {"wallet": Decimal(40)}

        world.shift(Shift("AAPL", Decimal(10), Side.ONCHAIN))
        world.shift(Shift("AAPL", Decimal(5), Side.OFFCHAIN))

        assert world.holdings()["wtAAPL"]["wallet"] == Decimal(36)
        assert world.holdings()["AAPL"]["shares"] == 55
        assert world.under_way() == {}
        Maker(world).unwrap("AAPL", SHARE)
        assert world.under_way() == {"AAPL": {"tokens": Decimal("1.249999999999999999")}}
        assert world.conservation() == []
        environment = world.settings_environment()
        assert "BALLAST_ORDERBOOK" not in environment
        assert json.loads(environment["BALLAST_ASSETS"]) == {
            "AAPL": {"wrapper": world.deployment.wrappers["AAPL"]}
        }


# The control server


@pytest.fixture
def control(world: World) -> Iterator[httpx.Client]:
    with serve(control_app(world)) as server, httpx.Client(base_url=server.url) as client:
        yield client


def test_control__state__shows_vaults_wrappers_and_what_is_on_base(
    world: World, control: httpx.Client
) -> None:
    shown = control.get("/state").json()

    assert shown["vaults"]["AMZN"] == list(SCENARIO.vaults["AMZN"])
    assert shown["addresses"]["orderbook"] == world.deployment.orderbook
    assert shown["addresses"]["wrappers"] == dict(world.deployment.wrappers)
    assert shown["onchain"]["AAPL"] == "5"
    assert shown["holdings"]["wtNVDA"]["vault"] == "9.523809523809523809"
    assert shown["under_way"] == {}
    assert shown["violations"] == []


def test_control__dividend_limit_and_price__take_effect(world: World, control: httpx.Client) -> None:
    before = world.onchain("NVDA")
    assert control.post("/dividend", json={"asset": "NVDA", "each": "0.1"}).is_success
    assert control.post("/redemption-limit", json={"asset": "NVDA", "shares": "2.5"}).is_success
    assert control.post("/eth-price", json={"dollars": "2500.5", "age": 60}).is_success
    trade = {"asset": "AMZN", "amount": "1", "from": "offchain", "vault": 1}
    assert control.post("/shift", json=trade).is_success

    rpc, deployment = world.base.rpc, world.deployment
    limit = "redeemLimit()"
    assert world.onchain("NVDA") > before
    assert rpc.call(deployment.wrappers["NVDA"], limit, [], "uint256") == 25 * 10**17
    assert world.holdings()["AMZN"]["vault_2"] == 1
    control.post("/redemption-limit", json={"asset": "NVDA", "shares": None})
    assert rpc.call(deployment.wrappers["NVDA"], limit, [], "uint256") == 2**256 - 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/dividend", {"asset": "NVDA"}),
        ("/dividend", {"asset": "NVDA", "each": "0"}),
        ("/dividend", {"asset": "AAPL", "each": "1"}),
        ("/redemption-limit", {"asset": "NVDA"}),
        ("/redemption-limit", {"asset": "AAPL", "shares": None}),
        ("/redemption-limit", {"asset": "NVDA", "shares": "-1"}),
        ("/eth-price", {"dollars": "much"}),
        ("/shift", {"asset": "wtNVDA", "amount": "1", "from": "onchain"}),
        ("/shift", {"asset": "AMZN", "amount": "1", "from": "onchain", "vault": 2}),
        ("/shift", {"asset": "AMZN", "amount": "1000", "from": "onchain"}),
    ],
)
def test_control__wrong_command__is_400_with_a_reason(
    control: httpx.Client, path: str, body: dict[str, Any]
) -> None:
    answer = control.post(path, json=body)

    assert answer.status_code == 400
    assert answer.json()["error"]
