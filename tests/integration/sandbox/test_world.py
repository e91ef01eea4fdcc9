"""The whole world: it seeds, shifts, goes back, goes on after a stop, and notices money that is wrong."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from include.sandbox import chains
from include.sandbox.accounts import Role, account
from include.sandbox.alpaca.faults import Fault
from include.sandbox.alpaca.settings import Latencies
from include.sandbox.attestation_rules import AttestationSettings
from include.sandbox.control import control_app
from include.sandbox.jsonrpc import RpcError
from include.sandbox.scenario import DEFAULT, USDC, Scenario, Shift, Side, many
from include.sandbox.server import serve
from include.sandbox.world import ACCOUNT_ID, KEY_ID, SECRET, Endpoints, World
from include.settings.loading import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

A = f"/v1/accounts/{ACCOUNT_ID}"
MAKER, STRANGER = account(Role.MAKER).address, account(Role.STRANGER).address
MINT = {
    "underlying_symbol": "NVDA",
    "qty": "12.5",
    "issuer": "st0x",
    "network": "base",
    "wallet_address": MAKER,
}
FAST = AttestationSettings(fast_latency={0: 0, 6: 0}, standard_latency={0: 0, 6: 0})


@pytest.fixture(scope="module")
def the_world() -> Iterator[World]:
    with World(block_time=0.1, attestation=FAST) as world:
        yield world


@pytest.fixture
def world(the_world: World) -> Iterator[World]:
    snapshot = the_world.snapshot()
    yield the_world
    the_world.revert(snapshot)


@pytest.fixture
def control(world: World) -> Iterator[httpx.Client]:
    with serve(control_app(world)) as server, httpx.Client(base_url=server.url) as client:
        yield client


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def ask(world: World) -> httpx.Client:
    return httpx.Client(base_url=world.alpaca_url, auth=(KEY_ID, SECRET))


def test_start__default_scenario__has_what_was_seeded_and_nothing_under_way(world: World) -> None:
    holdings = world.holdings()

    assert {s: (p["shares"], p["tokens"]) for s, p in holdings.items() if s != USDC} == {
        symbol: (holding.offchain, holding.onchain) for symbol, holding in DEFAULT.stocks.items()
    }
    assert holdings[USDC]["alpaca"] == DEFAULT.usdc.offchain
    assert holdings[USDC]["base"] == DEFAULT.usdc.onchain
    assert world.under_way() == {}
    assert world.conservation() == []


def test_environment__given_to_ballast__is_a_complete_and_valid_configuration(world: World) -> None:
    environment = world.settings_environment()

    settings = load_settings({k: v for k, v in environment.items() if k.startswith("BALLAST_")})

    assert settings.rebalancing_enabled
    assert settings.symbols == (*sorted(DEFAULT.stocks), USDC)
    assert settings.chains.base.usdc == world.deployment.base.usdc
    alpaca = json.loads(environment["AIRFLOW_CONN_ALPACA"])
    assert (alpaca["host"], alpaca["extra"]) == (world.alpaca_url, {"account_id": ACCOUNT_ID})
    wallet = json.loads(environment["AIRFLOW_CONN_EVM_WALLET"])
    assert wallet["login"] == settings.wallet == MAKER


@pytest.mark.parametrize("source", list(Side))
@pytest.mark.parametrize(("asset", "amount"), [("AAPL", "1.000000001"), (USDC, "250.000001")])
def test_shift__of_any_asset__moves_it_and_keeps_the_total(
    world: World, asset: str, amount: str, source: Side
) -> None:
    onchain, offchain = ("base", "alpaca") if asset == USDC else ("tokens", "shares")
    before, change = world.holdings()[asset], Decimal(amount)
    nonce = world.base.rpc.request("eth_getTransactionCount", MAKER, "latest")

    world.shift(Shift(asset, change, source))

    after = world.holdings()[asset]
    sign = 1 if source is Side.OFFCHAIN else -1
    assert after[onchain] - before[onchain] == sign * change
    assert after[offchain] - before[offchain] == -sign * change
    assert world.conservation() == []
    # The maker's nonces belong to Ballast alone.
    assert world.base.rpc.request("eth_getTransactionCount", MAKER, "latest") == nonce


@pytest.mark.parametrize("amount", ["0", "-1", "0.0000001"])
def test_shift__of_an_amount_that_cannot_be_traded__is_refused(world: World, amount: str) -> None:
    with pytest.raises(ValueError, match="cannot trade"):
        world.shift(Shift(USDC, Decimal(amount), Side.ONCHAIN))


def test_shift__more_than_there_is__is_refused_and_the_money_still_adds_up(world: World) -> None:
    with pytest.raises(RpcError):
        world.shift(Shift("AAPL", Decimal(1000), Side.ONCHAIN))

    assert world.conservation() == []
    assert world.holdings()["AAPL"]["tokens"] == 40


def test_revert__twice_to_the_same_snapshot__is_as_it_was(world: World) -> None:
    before, snapshot = world.holdings(), world.snapshot()

    for _ in range(2):
        world.shift(Shift("AAPL", Decimal(5), Side.ONCHAIN))
        with ask(world) as client:
            assert client.post(f"{A}/tokenization/mint", json=MINT).status_code == 200
        world.revert(snapshot)
        assert world.holdings() == before
        assert world.broker.core.state.requests == {}

    assert world.conservation() == []


@pytest.mark.parametrize("place", ["shares", "tokens", "alpaca", "base", "ethereum"])
def test_give__to_any_place__raises_what_is_there_and_what_is_expected(world: World, place: str) -> None:
    asset = "AAPL" if place in ("shares", "tokens") else USDC
    before = world.holdings()[asset][place]

    world.give(asset, place, Decimal(7))

    assert world.holdings()[asset][place] - before == 7
    assert world.conservation() == []


def test_conservation__while_everything_moves_at_once__always_holds(world: World) -> None:
    world.give(USDC, "ethereum", Decimal(1000))
    world.broker.core.faults.arm(Fault(target="mint", kind="reject_returned", after=2))
    world.broker.core.faults.arm(Fault(target="withdrawal", kind="complete_before_mined", after=1))
    world.broker.core.faults.arm(Fault(target="withdrawal", kind="fail_with_hash", after=2))
    tsla, usdc = world.deployment.stocks["TSLA"], world.deployment.ethereum.usdc
    redemption, deposit = account(Role.REDEMPTION).address, account(Role.ALPACA_DEPOSIT).address

    def mints_and_withdrawals() -> None:
        with ask(world) as client:
            for number in range(6):
                assert client.post(f"{A}/tokenization/mint", json={**MINT, "qty": f"1.{number}"}).is_success
                body = {"amount": f"50.{number}", "asset": "USDC", "address": MAKER}
                assert client.post(f"{A}/wallets/transfers", json=body).is_success

    def redemptions() -> None:
        for number in range(6):
            chains.transfer(world.base_url, tsla, Role.MAKER, redemption, 10**18 + number)

    def deposits() -> None:
        for number in range(6):
            chains.transfer(world.ethereum_url, usdc, Role.MAKER, deposit, 10**6 + number)

    def trades() -> None:
        for side in (Side.ONCHAIN, Side.OFFCHAIN) * 3:
            world.shift(Shift("TSLA", Decimal("0.3"), side))
            world.shift(Shift(USDC, Decimal("7.1"), side))

    with ThreadPoolExecutor() as pool:
        done = [pool.submit(work) for work in (mints_and_withdrawals, redemptions, deposits, trades)]
        while not all(future.done() for future in done):
            assert world.conservation() == []
        for future in done:
            future.result()
    until(lambda: not world.broker.core.state.open_work() and not world.under_way())

    assert world.conservation() == []
    rows = world.broker.core.state.requests.values()
    assert sorted((r.type, r.status) for r in rows) == (
        [("mint", "completed")] * 5 + [("mint", "rejected")] + [("redeem", "completed")] * 6
    )
    transfers = world.broker.core.state.transfers.values()
    assert sorted((t.direction, t.status) for t in transfers) == (
        [("INCOMING", "COMPLETE")] * 6 + [("OUTGOING", "COMPLETE")] * 5 + [("OUTGOING", "FAILED")]
    )


# What must not go unnoticed


def test_conservation__tokens_minted_without_a_request__are_noticed(world: World) -> None:
    chains.mint_stock(world.base_url, world.deployment.stocks["AAPL"], MAKER, 1)

    violations = " ".join(world.conservation())

    assert "AAPL: 1 base units minted" in violations
    assert "in minting: more arrived than left" in violations


def test_conservation__usdc_paid_without_a_withdrawal__is_noticed(world: World) -> None:
    chains.transfer(world.ethereum_url, world.deployment.ethereum.usdc, Role.ALPACA, MAKER, 1)

    assert any("paid" in violation for violation in world.conservation())


def test_conservation__tokens_sent_astray__are_noticed(world: World) -> None:
    chains.transfer(world.base_url, world.deployment.stocks["AAPL"], Role.MAKER, STRANGER, 1)

    assert world.conservation() == [
        "AAPL: 99.999999999999999999 in all places, 100.000000000000000000 expected (-1E-18)"
    ]


def test_conservation__shares_credited_twice__are_noticed(world: World) -> None:
    world.broker.core.latencies.redemption_seen = 0
    chains.transfer(
        world.base_url, world.deployment.stocks["TSLA"], Role.MAKER, account(Role.REDEMPTION).address, 10**18
    )
    until(lambda: world.holdings()["TSLA"]["shares"] == 11)
    core = world.broker.core
    with core.step, core.lock:
        (incoming,) = core.state.redemptions.values()
        incoming.handled = False

    until(lambda: world.holdings()["TSLA"]["shares"] == 12)

    assert world.conservation() == ["TSLA: -1.000000000000000000 in redeeming: more arrived than left"]


def test_conservation__dust_from_strangers__is_no_violation(world: World) -> None:
    chains.mint_usdc(world.ethereum_url, STRANGER, 30)
    chains.mint_usdc(world.base_url, STRANGER, 30)
    ethereum, base = world.deployment.ethereum.usdc, world.deployment.base.usdc
    chains.transfer(world.ethereum_url, ethereum, Role.STRANGER, MAKER, 10)
    chains.transfer(world.ethereum_url, ethereum, Role.STRANGER, account(Role.ALPACA_DEPOSIT).address, 20)
    chains.transfer(world.base_url, base, Role.STRANGER, MAKER, 30)

    until(lambda: world.holdings()[USDC]["alpaca"] == Decimal("9000.123476789"))

    assert world.under_way() == {}
    assert world.conservation() == []


@pytest.mark.parametrize("source", ["ethereum", "base"])
def test_bridge__fast_burn__is_under_way_until_it_is_minted_less_its_fee(world: World, source: str) -> None:
    world.give(USDC, source, Decimal(500))
    here, there = (world.deployment.ethereum, world.deployment.base)[:: 1 if source == "ethereum" else -1]
    urls = {1: world.ethereum_url, 8453: world.base_url}
    url, other_url = urls[here.chain_id], urls[there.chain_id]
    other = "base" if source == "ethereum" else "ethereum"
    chains.transact(url, Role.MAKER, here.usdc, "approve(address,uint256)", [here.token_messenger, 10**12])
    burn = chains.transact(
        url,
        Role.MAKER,
        here.token_messenger,
        "depositForBurn(uint256,uint32,bytes32,address,bytes32,uint256,uint32)",
        [499_999_999, there.domain, chains.address_word(MAKER), here.usdc, bytes(32), 10**6, 1000],
    )
    assert list(world.under_way()[USDC]) == [f"bridging_to_{other}"]
    assert world.conservation() == []

    def attested() -> list[dict[str, Any]]:
        answer = httpx.get(
            f"{world.attestation_url}/v2/messages/{here.domain}",
            params={"transactionHash": burn["transactionHash"]},
        )
        found = answer.json()["messages"] if answer.status_code == 200 else []
        return [message for message in found if message["status"] == "complete"]

    until(attested)
    (message,) = attested()
    chains.transact(
        other_url,
        Role.STRANGER,
        there.message_transmitter,
        "receiveMessage(bytes,bytes)",
        [bytes.fromhex(message["message"][2:]), bytes.fromhex(message["attestation"][2:])],
    )

    assert world.under_way() == {}
    assert world.holdings()[USDC]["cctp_fees"] > 0
    assert world.conservation() == []


# Stopping and going on


def test_state_dir__stopped_in_the_middle_of_a_mint__goes_on_and_finishes_it_once(tmp_path: Path) -> None:
    slow = Latencies(mint_journal=0, mint_token=3600)
    with World(state_dir=tmp_path, block_time=0.1, latencies=slow) as world:
        world.shift(Shift(USDC, Decimal(100), Side.OFFCHAIN))
        with ask(world) as client:
            assert client.post(f"{A}/tokenization/mint", json=MINT).status_code == 200
        until(lambda: world.under_way() == {"NVDA": {"minting": Decimal("12.5")}})
        before = world.holdings()

    with World(state_dir=tmp_path, block_time=0.1) as world:
        assert world.holdings() == before
        core = world.broker.core
        with core.lock:
            (request,) = core.state.requests.values()
            request.due = core.clock()

        until(lambda: not world.under_way())

        assert world.holdings()["NVDA"]["tokens"] == 17
        assert world.conservation() == []


def test_state_dir__chains_lost__starts_over(tmp_path: Path) -> None:
    with World(state_dir=tmp_path, block_time=0.1) as world:
        world.shift(Shift(USDC, Decimal(100), Side.OFFCHAIN))
        world.base.rpc.request("anvil_mine", hex(50))
        world.ethereum.rpc.request("anvil_mine", hex(50))
        core = world.broker.core
        core.state.opening_blocks = {name: head + 50 for name, head in core.state.opening_blocks.items()}
        core.changed()
    for name in ("ethereum", "base"):
        (tmp_path / f"{name}.json").unlink()

    with World(state_dir=tmp_path, block_time=0.1) as world:
        assert world.holdings()[USDC]["base"] == 1000
        assert world.conservation() == []


def test_attach__to_chains_and_attestation_that_run__starts_only_a_broker(world: World) -> None:
    running = Endpoints(
        ethereum_url=world.ethereum_url, base_url=world.base_url, attestation_url=world.attestation_url
    )
    small = Scenario(stocks={"AAPL": DEFAULT.stocks["AAPL"]}, usdc=DEFAULT.usdc)

    with World(small, endpoints=running) as second:
        assert second.attestation is None
        assert second.deployment.stocks["AAPL"] == world.deployment.stocks["AAPL"]
        assert second.conservation() == []
        with ask(second) as client:
            assert client.get("/v1/clock").status_code == 200
    assert world.base.head() > 0


def test_maker__another__has_a_wallet_of_its_own_that_holds_trades_and_is_counted() -> None:
    other = account(Role.OTHER_MAKER)
    with World(maker=Role.OTHER_MAKER, block_time=0.1) as world, ask(world) as client:
        environment = world.settings_environment()
        assert environment["BALLAST_WALLET"] == other.address != MAKER
        wallet = json.loads(environment["AIRFLOW_CONN_EVM_WALLET"])
        assert (wallet["login"], wallet["password"]) == (other.address, "0x" + bytes(other.key).hex())
        world.shift(Shift("NVDA", Decimal("1.5"), Side.ONCHAIN))
        body = {**MINT, "wallet_address": other.address}
        assert client.post(f"{A}/tokenization/mint", json=body).is_success
        until(lambda: world.holdings()["NVDA"]["tokens"] == Decimal("15.5"))
        assert chains.balance(world.base_url, world.deployment.stocks["NVDA"], MAKER) == 0
        assert world.under_way() == {}
        assert world.conservation() == []


def test_many__stocks__are_seeded_and_listed() -> None:
    with World(many(40), block_time=0.1) as world, ask(world) as client:
        rows = client.get(f"/v1/trading/accounts/{ACCOUNT_ID}/positions").json()

        assert len(rows) == 41
        assert world.conservation() == []


# The control server


def test_control__state__shows_holdings_urls_and_settings(world: World, control: httpx.Client) -> None:
    shown = control.get("/state").json()

    assert shown["holdings"]["SPYM"]["tokens"] == "12.345678901234567891"
    assert shown["violations"] == []
    assert shown["urls"]["alpaca"] == world.alpaca_url
    assert shown["addresses"]["maker"] == MAKER
    assert shown["latencies"]["mint_token"] == 0.5


def test_control__environment__comes_as_json_and_for_a_shell(world: World, control: httpx.Client) -> None:
    exports = control.get("/environment", params={"format": "shell"}).text

    printed = subprocess.run(
        ["/bin/sh", "-c", exports + 'printf %s "$AIRFLOW_CONN_ALPACA"'], capture_output=True, check=True
    ).stdout.decode()

    environment = control.get("/environment").json()
    assert environment == world.settings_environment()
    assert printed == environment["AIRFLOW_CONN_ALPACA"]


def test_control__shift__does_what_is_asked_or_what_comes_next(world: World, control: httpx.Client) -> None:
    asked = control.post(
        "/shift", json={"asset": "AAPL", "amount": "1.5", "from": "onchain", "to": "offchain"}
    )
    following = control.post("/shift")

    assert asked.json() == {"asset": "AAPL", "amount": "1.5", "from": "onchain"}
    assert following.json() == {"asset": "USDC", "amount": "4000", "from": "offchain"}
    assert world.holdings()["AAPL"]["shares"] == Decimal("61.5")
    assert world.holdings()[USDC]["base"] == 5000


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/shift", {"asset": "AAPL"}),
        ("POST", "/shift", {"asset": "ZZZZ", "amount": "1", "from": "onchain"}),
        ("POST", "/shift", {"asset": "AAPL", "amount": "x", "from": "onchain"}),
        ("POST", "/shift", {"asset": "AAPL", "amount": "1", "from": "onchain", "to": "onchain"}),
        ("POST", "/shift", {"asset": "AAPL", "amount": "1000", "from": "offchain"}),
        ("PATCH", "/latencies", {"mint_token": -1}),
        ("PATCH", "/latencies", {"nonsense": 1}),
        ("PATCH", "/rules", {"requests_per_minute": 0}),
        ("POST", "/faults", {"target": "mint", "kind": "nonsense"}),
        ("POST", "/release", {"id": "nobody"}),
    ],
)  # fmt: skip
def test_control__wrong_command__is_400_with_a_reason(
    control: httpx.Client, method: str, path: str, body: dict[str, Any]
) -> None:
    answer = control.request(method, path, json=body)

    assert answer.status_code == 400
    assert answer.json()["error"]


def test_control__settings_and_faults__take_effect_and_can_be_undone(
    world: World, control: httpx.Client
) -> None:
    assert control.patch("/rules", json={"withdrawal_fee": "1.5"}).json()["withdrawal_fee"] == "1.5"
    assert control.patch("/latencies", json={"mint_journal": 0.1}).json()["mint_journal"] == 0.1
    control.post("/faults", json={"target": "mint", "kind": "stuck"})
    with ask(world) as client:
        body = {"amount": "100", "asset": "USDC", "address": MAKER}
        assert client.post(f"{A}/wallets/transfers", json=body).json()["fees"] == "1.5"
        request = client.post(f"{A}/tokenization/mint", json=MINT).json()
        until(lambda: world.under_way().get("NVDA"))
        assert [entry["id"] for entry in control.get("/state").json()["fated"]] == [
            request["tokenization_request_id"]
        ]

        control.post("/release", json={"id": request["tokenization_request_id"]})

        until(lambda: not world.under_way())
    control.post("/faults", json={"target": "*", "kind": "status", "status": 503})
    assert len(control.get("/faults").json()["armed"]) == 1
    assert control.delete("/faults").json() == {"armed": []}
    control.patch("/rules", json={"withdrawal_fee": "0.25"})


# As a program


def test_program__until_it_is_told_to_stop__runs_and_ends_its_children(tmp_path: Path) -> None:
    exports = tmp_path / "environment"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = subprocess.Popen(
        [
            *(sys.executable, "-m", "include.sandbox"),
            *("--port", str(port), "--environment-file", str(exports)),
            *("--trade-every", "0.2", "--block-time", "0.1"),
        ],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        until(exports.exists)
        state = httpx.get(f"http://127.0.0.1:{port}/state").json()
        assert state["violations"] == []
        children = _children(program.pid)
        assert len(children) == 2
        until(lambda: httpx.get(f"http://127.0.0.1:{port}/state").json()["holdings"][USDC]["base"] != "1000")

        program.send_signal(signal.SIGTERM)
        output, _ = program.communicate(timeout=20)
    finally:
        program.kill()

    assert program.returncode == 0
    assert "Broker API" in output
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
