"""Ballast's own client against the simulated broker, without a network in between."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import TYPE_CHECKING

import httpx
import pytest

from include.sandbox.alpaca.app import AlpacaApp
from include.sandbox.alpaca.faults import Fault
from include.sandbox.alpaca.state import USDC
from include.venues.alpaca.auth import KeyPairAuth
from include.venues.alpaca.client import AlpacaBroker
from include.venues.alpaca.errors import DuplicateOrder, InsufficientPosition, NoQuote
from include.venues.alpaca.orders import Cancellation
from include.venues.errors import OutcomeUnknown, Refused
from tests.support import openapi
from tests.unit.sandbox.alpaca.conftest import DEPOSIT, WALLET

if TYPE_CHECKING:
    from include.sandbox.alpaca.core import Core
    from include.sandbox.alpaca.worker import Worker
    from tests.unit.sandbox.alpaca.conftest import Clock


class InProcess(httpx.BaseTransport):
    """Hands requests to the application as they are. A hang-up is a lost connection."""

    def __init__(self, app: AlpacaApp) -> None:
        self._app = app
        self.answers: list[tuple[str, str, int, bytes]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=self._app)) as client:
                return await client.request(
                    request.method, request.url, headers=request.headers, content=request.read()
                )

        try:
            answer = asyncio.run(ask())
        except ConnectionResetError as lost:
            raise httpx.ReadError("lost") from lost
        self.answers.append((request.method, request.url.path, answer.status_code, answer.content))
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


@pytest.fixture
def transport(core: Core) -> InProcess:
    return InProcess(AlpacaApp(core))


@pytest.fixture
def broker(core: Core, transport: InProcess) -> AlpacaBroker:
    auth = KeyPairAuth("KEY", "secret")
    return AlpacaBroker("http://broker.test", core.profile.account_id, auth, transport=transport)


def run(worker: Worker, clock: Clock) -> None:
    for _ in range(3):
        clock.tick(1)
        worker.tick()


def test_conversion__there_and_back__is_seen_by_the_client(
    core: Core, worker: Worker, clock: Clock, broker: AlpacaBroker
) -> None:
    taken = broker.buy_usdc(Decimal("250.25"), "there")
    assert (taken.status, taken.qty, taken.is_open) == ("pending_new", None, True)
    run(worker, clock)
    bought = broker.order(taken.id)
    assert bought is not None
    assert bought.is_final
    assert bought.filled_avg_price == Decimal("1.0017")
    assert broker.account().settled_cash == Decimal("99749.75")

    sold = broker.sell_usdc(Decimal("249.825297"), "back")
    run(worker, clock)

    assert broker.order_by_client_id("back") == broker.order(sold.id)
    assert broker.account().cash == Decimal("99749.75") + Decimal("249.40")
    assert bought.filled_qty - Decimal("249.825297") == core.state.position(USDC) - Decimal("9000.123456789")


@pytest.mark.parametrize("kind", ["drop_answer", "html_after", "status_after"])
def test_lost_answer__of_an_accepted_order__is_found_and_not_taken_twice(
    core: Core, worker: Worker, clock: Clock, broker: AlpacaBroker, kind: str
) -> None:
    core.faults.arm(Fault(target="order", kind=kind, status=502))
    with pytest.raises(OutcomeUnknown):
        broker.buy_usdc(Decimal(20), "once")

    with pytest.raises(DuplicateOrder):
        broker.buy_usdc(Decimal(20), "once")

    run(worker, clock)
    found = broker.order_by_client_id("once")
    assert found is not None
    assert found.status == "filled"
    assert core.state.cash == 99_980


def test_request_lost_before_it_arrived__is_not_found(core: Core, broker: AlpacaBroker) -> None:
    core.faults.arm(Fault(target="order", kind="reset"))
    with pytest.raises(OutcomeUnknown):
        broker.buy_usdc(Decimal(20), "never")

    assert broker.order_by_client_id("never") is None
    assert core.state.orders == {}


def test_refusals__are_told_apart(core: Core, broker: AlpacaBroker) -> None:
    core.faults.arm(Fault(target="order", kind="no_quote"))
    with pytest.raises(NoQuote):
        broker.sell_usdc(Decimal(20), "a")
    for words in ("buying_power", "balance"):
        core.rules.insufficient_dollars = words
        with pytest.raises(InsufficientPosition):
            broker.buy_usdc(Decimal(100_001), "a")
    with pytest.raises(InsufficientPosition):
        broker.sell_usdc(Decimal(10_000), "a")
    with pytest.raises(Refused, match="minimal amount of order 10") as caught:
        broker.buy_usdc(Decimal("9.99"), "a")
    assert not isinstance(caught.value, InsufficientPosition | DuplicateOrder)


def test_cancel__open_cancelled_and_unknown__says_which(
    core: Core, worker: Worker, clock: Clock, broker: AlpacaBroker
) -> None:
    core.faults.arm(Fault(target="order", kind="partial"))
    order = broker.buy_usdc(Decimal(20), "half")
    run(worker, clock)

    assert broker.cancel_order(order.id) is Cancellation.ACCEPTED
    assert broker.cancel_order(order.id) is Cancellation.NOT_CANCELABLE
    assert broker.cancel_order("no-such-order") is Cancellation.NOT_FOUND
    run(worker, clock)

    found = broker.order(order.id)
    assert found is not None
    assert (found.status, found.is_final) == ("canceled", True)
    assert found.filled_qty * 2 < 20
    assert core.state.cash == 99_990


def test_fee_estimate__is_what_a_withdrawal_is_charged(core: Core, broker: AlpacaBroker) -> None:
    core.rules.withdrawal_fee = Decimal("0.75")

    estimated = broker.fee_estimate("USDC", DEPOSIT, WALLET, Decimal(100))

    assert estimated == broker.withdraw(amount=Decimal(100), asset="USDC", address=WALLET, chain="ETH").fees


def test_answers__about_orders__are_as_alpaca_describes_them(
    core: Core, worker: Worker, clock: Clock, broker: AlpacaBroker, transport: InProcess
) -> None:
    try:
        openapi.description()
    except openapi.DescriptionMissingError as missing:
        pytest.skip(str(missing))
    for fate in (None, "partial", "cancel_rest", "reject", "expire", "stuck"):
        if fate is not None:
            core.faults.arm(Fault(target="order", kind=fate))
        order = broker.buy_usdc(Decimal(20), f"with {fate}")
        run(worker, clock)
        broker.order(order.id)
        broker.order_by_client_id(f"with {fate}")
    broker.sell_usdc(Decimal(20), "sale")

    described = [
        (m, path, json.loads(content)) for m, path, status, content in transport.answers if status == 200
    ]
    assert len(described) == 19
    for method, path, body in described:
        openapi.validate(body, method, path, part="response")
