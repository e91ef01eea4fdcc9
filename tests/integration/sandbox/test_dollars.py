"""Dollars into USDC and back over real HTTP, between the other movements of the broker."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from include.sandbox.accounts import Role, account
from include.sandbox.alpaca import dollars
from include.sandbox.alpaca.faults import Fault
from include.sandbox.alpaca.journal import Book, InsufficientFundsError
from include.sandbox.alpaca.settings import Latencies
from include.sandbox.alpaca.state import USD, USDC
from include.sandbox.scenario import Holding, Scenario, Shift, Side, vault_id
from include.sandbox.world import ACCOUNT_ID, KEY_ID, SECRET, World
from include.venues.alpaca.auth import KeyPairAuth
from include.venues.alpaca.client import AlpacaBroker
from include.venues.alpaca.errors import AlpacaRefused, DuplicateOrder
from include.venues.alpaca.orders import Cancellation
from include.venues.errors import OutcomeUnknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from include.venues.alpaca.models import Order

MAKER = account(Role.MAKER).address


@pytest.fixture(scope="module")
def the_world() -> Iterator[World]:
    latencies = Latencies(
        order_fill=0.1, order_cancel=0.05, withdrawal_processing=0.1, withdrawal_broadcast=0.1
    )
    with World(block_time=0.1, latencies=latencies) as world:
        yield world


@pytest.fixture
def world(the_world: World) -> Iterator[World]:
    snapshot = the_world.snapshot()
    yield the_world
    found = [*the_world.conservation(), *dollars.violations(the_world.broker.core.state)]
    the_world.revert(snapshot)
    assert found == []


@pytest.fixture
def broker(world: World) -> Iterator[AlpacaBroker]:
    with AlpacaBroker(world.alpaca_url, ACCOUNT_ID, KeyPairAuth(KEY_ID, SECRET)) as client:
        yield client


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def ended(broker: AlpacaBroker, client_order_id: str) -> Order:
    """Wait until an order is final."""
    seen: list[Order] = []

    def is_final() -> bool:
        found = broker.order_by_client_id(client_order_id)
        seen[:] = [] if found is None else [found]
        return found is not None and found.is_final

    until(is_final)
    return seen[0]


def test_bought_and_withdrawn__one_after_the_other__arrives_on_the_chain(
    world: World, broker: AlpacaBroker
) -> None:
    world.broker.set_cash(Decimal(5000), Decimal(1000))
    before = world.holdings()[USDC]
    with pytest.raises(AlpacaRefused, match="insufficient"):
        broker.buy_usdc(Decimal("1000.01"), "too much")
    broker.buy_usdc(Decimal(1000), "all that is settled")
    bought = ended(broker, "all that is settled").filled_qty
    assert bought == Decimal("998.302885095")
    assert broker.account().cash == 4000
    assert broker.account().settled_cash == 0
    world.broker.settle()
    assert broker.account().settled_cash == 4000

    amount = bought.quantize(Decimal("0.000001"), "ROUND_DOWN")
    fee = broker.fee_estimate(USDC, MAKER, MAKER, amount)
    transfer = broker.withdraw(amount=amount, asset=USDC, address=MAKER, chain="ETH")
    until(lambda: world.holdings()[USDC]["ethereum"] > before["ethereum"])
    until(lambda: (found := broker.transfer(transfer.id)) is not None and found.is_complete)

    after = world.holdings()[USDC]
    assert after["ethereum"] - before["ethereum"] == amount - fee
    assert after["alpaca"] - before["alpaca"] == bought - amount


def test_answer_lost_after_acceptance__is_adopted_and_converts_once(
    world: World, broker: AlpacaBroker
) -> None:
    world.broker.core.faults.arm(Fault(target="order", kind="drop_answer"))
    with pytest.raises(OutcomeUnknown):
        broker.sell_usdc(Decimal("100.5"), "once")
    with pytest.raises(DuplicateOrder):
        broker.sell_usdc(Decimal("100.5"), "once")

    assert ended(broker, "once").filled_qty == Decimal("100.5")
    assert broker.account().cash == 100_000 + Decimal("100.32")
    assert len(world.broker.core.state.orders) == 1


def test_partly_filled__held_and_cancelled__keeps_the_books_right_all_the_while(
    world: World, broker: AlpacaBroker
) -> None:
    world.broker.core.faults.arm(Fault(target="order", kind="partial"))
    usdc = world.holdings()[USDC]["alpaca"]
    order = broker.sell_usdc(Decimal(100), "half")
    until(lambda: (found := broker.order(order.id)) is not None and found.filled_qty == 50)
    assert world.conservation() == []
    position = next(p for p in broker.positions() if p.is_usdc)
    assert (position.quantity, position.available) == (usdc - 50, usdc - 100)

    assert broker.cancel_order(order.id) is Cancellation.ACCEPTED
    assert ended(broker, "half").status == "canceled"

    assert broker.cancel_order(order.id) is Cancellation.NOT_CANCELABLE
    assert next(p for p in broker.positions() if p.is_usdc).available == usdc - 50


def test_snapshot__taken_with_an_open_order__goes_on_from_there(world: World, broker: AlpacaBroker) -> None:
    world.broker.core.faults.arm(Fault(target="order", kind="stuck"))
    broker.buy_usdc(Decimal(100), "open")
    snapshot = world.snapshot()
    world.broker.core.release(next(iter(world.broker.core.state.orders)))
    ended(broker, "open")
    assert broker.account().cash == 99_900

    world.revert(snapshot)

    found = broker.order_by_client_id("open")
    assert found is not None
    assert found.is_open
    assert broker.account().cash == 100_000
    assert broker.account().settled_cash == 99_900
    assert world.broker.core.release(found.id)
    assert ended(broker, "open").status == "filled"


def test_trading__where_the_makers_cash_is_dollars__moves_dollars() -> None:
    scenario = Scenario(
        stocks={}, usdc=Holding(Decimal(1), Decimal(100)), cash=Decimal(500), vaults={USDC: (vault_id(1),)}
    )
    with World(scenario, block_time=None) as world:
        assert world.settings_environment()["BALLAST_DOLLARS"] == "usd"

        world.shift(Shift(USDC, Decimal("120.25"), Side.OFFCHAIN))
        assert world.dollars()["cash"] == Decimal("379.75")
        world.shift(Shift(USDC, Decimal("20.5"), Side.ONCHAIN))
        assert world.dollars()["cash"] == Decimal("400.25")

        with pytest.raises(InsufficientFundsError):
            world.broker.trade_dollars(Decimal(-401), "too much")
        with pytest.raises(ValueError, match="cannot move"):
            world.broker.trade_dollars(Decimal("0.001"), "finer than a cent")
        assert world.holdings()[USDC]["alpaca"] == Decimal(1)
        assert world.conservation() == []
        assert world.under_way() == {}


def test_conservation__a_cent_that_nobody_moved__is_noticed(world: World) -> None:
    journal = world.broker.core.state.journal
    journal.move(
        USD, Decimal("0.01"), Book.MAKER, Book.SLIPPAGE, memo="of no order", at=world.broker.core.clock()
    )

    assert any("of no order" in violation for violation in world.conservation())
    journal.entries.pop()


def test_open_order__until_it_is_final__is_under_way(world: World, broker: AlpacaBroker) -> None:
    world.broker.set_cash(Decimal(5000))
    world.broker.core.faults.arm(Fault(target="order", kind="stuck"))
    order = broker.buy_usdc(Decimal(1000), "stuck")

    assert world.under_way()[USD]["ordering"] == Decimal(1000)
    broker.cancel_order(order.id)
    until(lambda: world.under_way() == {})
