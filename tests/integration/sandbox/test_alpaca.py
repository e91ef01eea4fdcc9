"""The Broker API over real HTTP with effects on real chains, asked by Ballast's own client."""

from __future__ import annotations

import time
import uuid
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from include.sandbox import chains
from include.sandbox.accounts import Role, account
from include.sandbox.alpaca.faults import Fault
from include.sandbox.alpaca.settings import Latencies
from include.sandbox.world import ACCOUNT_ID, KEY_ID, SECRET, World
from include.venues.alpaca.auth import ClientCredentialsAuth, KeyPairAuth
from include.venues.alpaca.client import AlpacaBroker
from include.venues.alpaca.errors import InsufficientPosition, KeyReused, Unauthorized
from include.venues.errors import OutcomeUnknown, Refused, Unavailable
from tests.support.openapi import validate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from include.venues.alpaca.models import CryptoTransfer, TokenizationRequest

A, T = f"/v1/accounts/{ACCOUNT_ID}", f"/v1/trading/accounts/{ACCOUNT_ID}"
MAKER = account(Role.MAKER).address
REDEMPTION = account(Role.REDEMPTION).address
DEPOSIT = account(Role.ALPACA_DEPOSIT).address
QUICK = Latencies(
    mint_journal=0.1, mint_token=0.1, redemption_seen=0.1, redemption_credit=0.1, withdrawal_processing=0.1,
    withdrawal_broadcast=0.1, deposit_credit=0.1, whitelist_approval=0.1,
)  # fmt: skip


@pytest.fixture(scope="module")
def the_world() -> Iterator[World]:
    with World(block_time=0.1) as world:
        yield world


@pytest.fixture
def world(the_world: World) -> Iterator[World]:
    """The world, whose money must add up when the test ends, and which then goes back to how it was."""
    core = the_world.broker.core
    snapshot, rules = the_world.snapshot(), core.rules.model_copy()
    core.latencies = QUICK.model_copy()
    yield the_world
    violations = the_world.conservation()
    core.rules = rules
    the_world.revert(snapshot)
    assert violations == []


@pytest.fixture
def broker(world: World) -> Iterator[AlpacaBroker]:
    with AlpacaBroker(world.alpaca_url, ACCOUNT_ID, KeyPairAuth(KEY_ID, SECRET)) as client:
        yield client


@pytest.fixture
def raw(world: World) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=world.alpaca_url, auth=(KEY_ID, SECRET)) as client:
        yield client


def until(condition: Callable[[], bool], world: World | None = None) -> None:
    """Wait for a condition; where a world is given, its money must add up all the while."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        if world is not None:
            assert world.conservation() == []
        time.sleep(0.02)


def mint(broker: AlpacaBroker, quantity: str = "12.5", key: str | None = None) -> TokenizationRequest:
    label = key or str(uuid.uuid4())
    return broker.mint(
        symbol="NVDA", quantity=Decimal(quantity), issuer="st0x", network="base", wallet=MAKER,
        client_request_id=label, idempotency_key=label,
    )  # fmt: skip


def withdraw(broker: AlpacaBroker, amount: str = "100") -> CryptoTransfer:
    return broker.withdraw(amount=Decimal(amount), asset="USDC", address=MAKER, chain="ETH")


def mint_status(broker: AlpacaBroker, request: TokenizationRequest) -> str:
    found = broker.tokenization_request(request.id)
    assert found is not None
    return found.status


def transfer_status(broker: AlpacaBroker, transfer: CryptoTransfer) -> str:
    found = broker.transfer(transfer.id)
    assert found is not None
    return found.status


def minted(world: World) -> Decimal:
    return world.holdings()["NVDA"]["tokens"] - Decimal("4.5")


@contextmanager
def restarted(world: World) -> Iterator[None]:
    """Stop the broker's worker; let it go on from what was stored."""
    world.broker.worker.stop()
    yield
    faults = world.broker.core.faults.armed()
    world.broker.restore(world.broker.dump())
    for fault in faults:
        world.broker.core.faults.arm(fault)
    world.broker.worker.start()


def test_answers__of_every_read__are_as_alpaca_describes_them(
    world: World, broker: AlpacaBroker, raw: httpx.Client
) -> None:
    request, transfer = mint(broker), withdraw(broker)
    chains.transfer(world.base_url, world.deployment.stocks["TSLA"], Role.MAKER, REDEMPTION, 10**18)
    until(
        lambda: (
            transfer_status(broker, transfer) == "COMPLETE" and mint_status(broker, request) == "completed"
        )
    )
    until(lambda: any(r.type == "redeem" for r in broker.tokenization_requests()))
    label = request.client_request_id
    fee = f"?asset=USDC&from_address={MAKER}&to_address={MAKER}&amount=100"

    for path, query in (
        (f"{T}/account", ""),
        (f"{T}/positions", ""),
        (f"{T}/positions/AAPL", ""),
        ("/v1/assets", ""),
        ("/v1/assets/AAPL", ""),
        ("/v1/clock", ""),
        (f"{A}/tokenization/requests", ""),
        (f"{A}/tokenization/requests", "?type=redeem"),
        (f"{A}/tokenization/requests/{request.id}", ""),
        (f"{A}/tokenization/requests:by_client_request_id", f"?client_request_id={label}"),
        (f"{A}/wallets", "?asset=USDC&chain=ETH"),
        (f"{A}/wallets", ""),
        (f"{A}/wallets/transfers", ""),
        (f"{A}/wallets/transfers/{transfer.id}", ""),
        (f"{A}/wallets/whitelists", ""),
        ("/v1/wallets/fees/estimate", fee),
    ):
        answer = raw.get(path + query)
        assert answer.status_code == 200, path
        assert answer.json(), path
        validate(answer.json(), "GET", path, part="response")


def test_answers__to_mints_and_their_errors__are_as_alpaca_describes_them(
    world: World, raw: httpx.Client
) -> None:
    path = f"{A}/tokenization/mint"
    body: dict[str, Any] = {
        "underlying_symbol": "NVDA", "qty": "1", "issuer": "st0x", "network": "base", "wallet_address": MAKER,
    }  # fmt: skip
    validate(body, "POST", path, part="request")

    for change, status in (({}, 200), ({"qty": "1000"}, 400), ({"issuer": ""}, 422)):
        answer = raw.post(path, json=body | change)
        assert answer.status_code == status
        validate(answer.json(), "POST", path, part="response", status=status)
    for tail, status in ((str(uuid.uuid4()), 404), ("x", 422)):
        path = f"{A}/tokenization/requests/{tail}"
        answer = raw.get(path)
        assert answer.status_code == status
        validate(answer.json(), "GET", path, part="response", status=status)


def test_whitelist__added_by_http__is_as_described_and_approved_in_time(
    world: World, broker: AlpacaBroker, raw: httpx.Client
) -> None:
    path = f"{A}/wallets/whitelists"
    other = account(Role.STRANGER).address
    rule = {"beneficiary_is_self_hosted": True, "beneficiary_entity_name": "Maker Ltd"}

    answer = raw.post(path, json={"address": other, "asset": "USDC", "travel_rule_info": rule})
    validate(answer.json(), "POST", path, part="response")
    for info in (None, {"beneficiary_entity_name": "Maker Ltd"}, {"beneficiary_is_self_hosted": True}):
        wrong = raw.post(path, json={"address": MAKER, "asset": "USDC", "travel_rule_info": info})
        assert wrong.status_code == 400
        validate(wrong.json(), "POST", path, part="response", status=400)

    until(lambda: {entry.address: entry.status for entry in broker.whitelist()}.get(other) == "APPROVED")
    assert raw.delete(f"{path}/{answer.json()['id']}").status_code == 200


def test_mint__from_shares_to_tokens__arrives_exactly_once(world: World, broker: AlpacaBroker) -> None:
    request = mint(broker, "12.500000001")

    until(lambda: mint_status(broker, request) == "completed", world)

    done = broker.tokenization_request(request.id)
    assert done is not None
    assert done.tx_hash is not None
    receipt = world.base.rpc.request("eth_getTransactionReceipt", done.tx_hash)
    assert int(receipt["status"], 16) == 1
    assert minted(world) == Decimal("12.500000001")
    assert world.holdings()["NVDA"]["shares"] == Decimal("82.999999999")
    assert world.under_way() == {}


def test_mint__answer_lost__the_same_key_finds_it_and_nothing_is_minted_twice(
    world: World, broker: AlpacaBroker
) -> None:
    key = str(uuid.uuid4())
    world.broker.core.faults.arm(Fault(target="mint", kind="drop_answer"))

    with pytest.raises(OutcomeUnknown):
        mint(broker, key=key)
    found = broker.tokenization_request_by_client_id(key)
    again = mint(broker, key=key)

    assert found is not None
    assert found.id == again.id
    with pytest.raises(KeyReused):
        mint(broker, "13", key=key)
    until(lambda: mint_status(broker, again) == "completed", world)
    assert minted(world) == Decimal("12.5")


def test_mint__more_than_there_is__is_refused_as_insufficient(broker: AlpacaBroker) -> None:
    with pytest.raises(InsufficientPosition):
        mint(broker, "95.500000001")


@pytest.mark.parametrize("fate", ["stuck", "stuck_accepted"])
def test_mint__stuck_and_released__is_under_way_all_the_while(
    world: World, broker: AlpacaBroker, fate: str
) -> None:
    world.broker.core.faults.arm(Fault(target="mint", kind=fate))
    request = mint(broker)
    if fate == "stuck":
        until(lambda: world.under_way() == {"NVDA": {"minting": Decimal("12.5")}})
    assert mint_status(broker, request) == "pending"

    assert world.broker.core.release(request.id)

    until(lambda: mint_status(broker, request) == "completed", world)


@pytest.mark.parametrize("latency", ["mint_journal", "mint_token"])
def test_mint__broker_restarted_meanwhile__still_arrives_once(
    world: World, broker: AlpacaBroker, latency: str
) -> None:
    setattr(world.broker.core.latencies, latency, 0.6)
    request = mint(broker)

    with restarted(world):
        assert mint_status(broker, request) == "pending"

    until(lambda: mint_status(broker, request) == "completed", world)
    assert minted(world) == Decimal("12.5")


def test_redemption__from_tokens_to_shares__credits_ninths_and_keeps_the_dust(
    world: World, broker: AlpacaBroker
) -> None:
    token = world.deployment.stocks["SPYM"]
    sent = chains.transfer(world.base_url, token, Role.MAKER, REDEMPTION, 12_345_678_901_234_567_891)

    def credited() -> bool:
        rows = broker.tokenization_requests(type="redeem")
        return [(row.tx_hash, row.status) for row in rows] == [(sent, "completed")]

    until(credited, world)
    assert world.holdings()["SPYM"] == {
        "shares": Decimal("13.845678901"),
        "tokens": 0,
        "minting": 0,
        "redeeming": 0,
        "redemption_dust": Decimal("0.000000000234567891"),
    }


def test_redemption__worker_restarted_at_every_moment__credits_once(
    world: World, broker: AlpacaBroker
) -> None:
    token = world.deployment.stocks["TSLA"]
    with restarted(world):
        chains.transfer(world.base_url, token, Role.MAKER, REDEMPTION, 5 * 10**18)
    until(lambda: len(broker.tokenization_requests()) == 1)
    with restarted(world):
        world.broker.core.state.scanned["redemption"] = 0  # as if it had forgotten how far it had read

    until(lambda: not world.under_way(), world)
    assert world.holdings()["TSLA"]["shares"] == 15
    assert len(broker.tokenization_requests()) == 1


def test_redemption__sent_by_a_stranger__is_not_ours(world: World, broker: AlpacaBroker) -> None:
    token = world.deployment.stocks["AAPL"]
    chains.mint_stock(world.base_url, token, account(Role.STRANGER).address, 10**18)
    chains.transfer(world.base_url, token, Role.STRANGER, REDEMPTION, 10**18)
    ours = chains.transfer(world.base_url, token, Role.MAKER, REDEMPTION, 10**18)

    until(lambda: [row.tx_hash for row in broker.tokenization_requests()] == [ours])
    until(lambda: not world.under_way(), world)
    assert world.holdings()["AAPL"]["shares"] == 61


def test_withdrawal__to_ethereum__arrives_less_the_fee(world: World, broker: AlpacaBroker) -> None:
    transfer = withdraw(broker, "250.5")
    (position,) = [row for row in broker.positions() if row.symbol == "USDCUSD"]
    assert (position.quantity, position.available) == (Decimal("9000.123456789"), Decimal("8749.623456789"))

    until(lambda: transfer_status(broker, transfer) == "COMPLETE", world)

    done = broker.transfer(transfer.id)
    assert done is not None
    assert done.tx_hash is not None
    usdc = world.holdings()["USDC"]
    assert (usdc["ethereum"], usdc["alpaca_fees"]) == (Decimal("250.25"), Decimal("0.25"))
    assert usdc["alpaca"] == Decimal("8749.623456789")


def test_withdrawal__answer_lost__is_found_once_in_the_list(world: World, broker: AlpacaBroker) -> None:
    world.broker.core.faults.arm(Fault(target="withdraw", kind="html_after", status=502))

    with pytest.raises(OutcomeUnknown):
        withdraw(broker)

    (found,) = broker.transfers()
    until(lambda: transfer_status(broker, found) == "COMPLETE", world)
    assert world.holdings()["USDC"]["ethereum"] == Decimal("99.75")


@pytest.mark.parametrize(
    ("fate", "arrived"),
    [
        ("fail", "0"),
        ("fail_with_hash", "0"),
        ("fail_but_sent", "99.75"),
        ("complete_before_hash", "99.75"),
        ("complete_before_mined", "99.75"),
    ],
)
def test_withdrawal__with_a_fate__moves_what_the_fate_says(
    world: World, broker: AlpacaBroker, fate: str, arrived: str
) -> None:
    world.broker.core.faults.arm(Fault(target="withdrawal", kind=fate))
    transfer = withdraw(broker)

    status = "COMPLETE" if fate.startswith("complete") else "FAILED"
    until(lambda: transfer_status(broker, transfer) == status, world)
    until(lambda: not world.broker.core.state.open_work(), world)

    done = broker.transfer(transfer.id)
    assert done is not None
    assert (done.tx_hash is None) == (fate == "fail")
    assert world.holdings()["USDC"]["ethereum"] == Decimal(arrived)
    if done.tx_hash is not None:
        receipt = world.ethereum.rpc.request("eth_getTransactionReceipt", done.tx_hash)
        assert (int(receipt["status"], 16) == 1) == (arrived != "0")


def test_withdrawal__to_an_address_in_other_letters__is_refused(world: World, raw: httpx.Client) -> None:
    body = {"amount": "100", "asset": "USDC", "address": MAKER.lower()}

    assert raw.post(f"{A}/wallets/transfers", json=body).status_code == 403


def test_deposit__to_the_given_address__is_credited_after_its_confirmations(
    world: World, broker: AlpacaBroker
) -> None:
    world.give("USDC", "ethereum", Decimal(100))
    world.broker.core.rules.deposit_confirmations = 3
    assert broker.deposit_address() == DEPOSIT
    usdc = world.deployment.ethereum.usdc

    sent = chains.transfer(world.ethereum_url, usdc, Role.MAKER, DEPOSIT, 50_000_001)

    until(lambda: [row.status for row in broker.transfers() if row.tx_hash == sent] == ["COMPLETE"], world)
    assert world.holdings()["USDC"]["alpaca"] == Decimal("9050.123457789")


def test_deposit__worker_restarted__is_credited_once(world: World, broker: AlpacaBroker) -> None:
    world.give("USDC", "ethereum", Decimal(100))
    usdc = world.deployment.ethereum.usdc
    with restarted(world):
        chains.transfer(world.ethereum_url, usdc, Role.MAKER, DEPOSIT, 60 * 10**6)
        chains.transfer(world.ethereum_url, usdc, Role.MAKER, DEPOSIT, 40 * 10**6)
    until(lambda: len(broker.transfers()) == 2)
    with restarted(world):
        world.broker.core.state.scanned["deposit"] = 0

    until(lambda: not world.under_way(), world)
    assert world.holdings()["USDC"]["alpaca"] == Decimal("9100.123456789")
    assert len(broker.transfers()) == 2


@pytest.mark.parametrize("kind", ["reset", "drop_answer"])
def test_fault__that_hangs_up__is_seen_as_no_answer_and_the_next_request_works(
    world: World, broker: AlpacaBroker, kind: str
) -> None:
    world.broker.core.faults.arm(Fault(target="positions", kind=kind))

    with pytest.raises(Unavailable):
        broker.positions()

    assert len(broker.positions()) == 7


def test_fault__delay__is_longer_than_an_impatient_client_waits(world: World) -> None:
    world.broker.core.faults.arm(Fault(target="withdraw", kind="delay", seconds=0.5))
    timeout = httpx.Timeout(0.1, connect=5)
    with AlpacaBroker(world.alpaca_url, ACCOUNT_ID, KeyPairAuth(KEY_ID, SECRET), timeout=timeout) as hasty:
        with pytest.raises(OutcomeUnknown):
            withdraw(hasty)
        patient = httpx.Client(base_url=world.alpaca_url, auth=(KEY_ID, SECRET))
        with patient:
            until(lambda: len(patient.get(f"{A}/wallets/transfers").json()) == 1)
    until(lambda: not world.under_way())


def test_fault__429_with_retry_after__reaches_the_client(world: World, broker: AlpacaBroker) -> None:
    world.broker.core.faults.arm(Fault(target="account", kind="status", status=429, retry_after=0))

    with pytest.raises(Unavailable) as caught:
        broker.account()

    assert caught.value.request_id


def test_token__by_client_credentials__is_renewed_when_it_is_refused(world: World) -> None:
    auth = ClientCredentialsAuth(f"{world.alpaca_url}/v1/oauth2/token", KEY_ID, client_secret=SECRET)
    with AlpacaBroker(world.alpaca_url, ACCOUNT_ID, auth) as client:
        assert client.account().is_active
    wrong = ClientCredentialsAuth(f"{world.alpaca_url}/v1/oauth2/token", KEY_ID, client_secret="wrong")
    with AlpacaBroker(world.alpaca_url, ACCOUNT_ID, wrong) as client, pytest.raises(Unavailable):
        client.account()


def test_key_pair__wrong__is_unauthorized(world: World) -> None:
    with AlpacaBroker(world.alpaca_url, ACCOUNT_ID, KeyPairAuth(KEY_ID, "wrong")) as client:
        with pytest.raises(Unauthorized):
            client.account()
        with pytest.raises(Refused):
            mint(client)
