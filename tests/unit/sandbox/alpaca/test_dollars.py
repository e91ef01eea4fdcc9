"""The account's dollars, and the check that holds the books against the orders."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.sandbox.alpaca import dollars, market, orders
from include.sandbox.alpaca.errors import ApiError
from include.sandbox.alpaca.faults import Fault
from include.sandbox.alpaca.journal import Book, InsufficientFundsError
from include.sandbox.alpaca.state import USD, USDC, Order, Stage, State
from tests.unit.sandbox.alpaca.conftest import START, books_sum_to_zero
from tests.unit.sandbox.alpaca.test_orders import (
    BUY,
    SELL,
    USDC_HELD,
    all_is_accounted_for,
    cash,
    placed,
    run,
)

if TYPE_CHECKING:
    from include.sandbox.alpaca.core import Core
    from include.sandbox.alpaca.worker import Worker
    from tests.unit.sandbox.alpaca.conftest import Clock

__all__ = ["all_is_accounted_for"]  # a fixture, used by every test here


def test_unsettled_cash__cannot_buy_usdc_until_it_is_settled(core: Core) -> None:
    dollars.set_cash(core, Decimal(5000), Decimal(1000))
    dollars.receive_proceeds(core, Decimal("0.50"), "sold 1 AAPL")
    assert cash(core) == {"cash": "5000.5", "cash_withdrawable": "1000", "buying_power": "5000.5"}
    assert market.account(core)["non_marginable_buying_power"] == "1000"
    with pytest.raises(ApiError, match="insufficient buying power"):
        orders.place(core, BUY)

    dollars.settle(core, Decimal("0.25"))

    assert placed(core, BUY).reserved == Decimal("1000.25")
    dollars.settle(core, None)
    assert cash(core)["cash_withdrawable"] == "4000.25"
    assert dollars.expected(core.state) == Decimal("5000.50")


@pytest.mark.parametrize(
    ("amount", "withdrawable"), [("10", "11"), ("10", "-1"), ("-1", None), ("10.001", None), ("10", "1.005")]
)
def test_set_cash__that_cannot_be__is_refused(core: Core, amount: str, withdrawable: str | None) -> None:
    with pytest.raises(ValueError, match="cash cannot be"):
        dollars.set_cash(core, Decimal(amount), None if withdrawable is None else Decimal(withdrawable))


def test_set_cash__below_what_an_order_holds__is_refused(core: Core) -> None:
    placed(core, BUY)

    with pytest.raises(ValueError, match="cash cannot be"):
        dollars.set_cash(core, Decimal(1000), None)

    dollars.set_cash(core, Decimal("1000.25"), None)
    assert cash(core)["cash_withdrawable"] == "0"


def test_settle__more_than_is_unsettled__is_refused(core: Core) -> None:
    dollars.receive_proceeds(core, Decimal(5), "sold")

    with pytest.raises(InsufficientFundsError):
        dollars.settle(core, Decimal(6))
    with pytest.raises(ValueError, match="cannot bring in"):
        dollars.receive_proceeds(core, Decimal("0.001"), "sold")

    assert core.state.journal.balance(Book.UNSETTLED, USD) == 5


def test_state__of_a_new_account__has_its_opening_cash_once() -> None:
    state = State.model_validate_json(State().model_dump_json())

    assert state.cash == state.available(USD) == dollars.expected(state) == 100_000
    assert len(state.journal.entries) == 1


def test_cash__is_no_position(core: Core) -> None:
    assert [row["symbol"] for row in market.positions(core)] == ["AAPL", "USDCUSD"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["buy", "sell"]),
            st.integers(min_value=1_000, max_value=500_000),
            st.sampled_from([None, "reject", "stuck", "partial", "cancel_rest", "expire", "fill_anyway"]),
            st.booleans(),
        ),
        max_size=8,
    ),
    price=st.decimals(min_value="0.9", max_value="1.1", places=6),
    slippage=st.integers(min_value=0, max_value=300),
    fee=st.integers(min_value=0, max_value=50),
)
def test_any_orders__at_any_price__lose_and_make_no_cent(
    core: Core, worker: Worker, clock: Clock, steps: list[tuple[str, int, str | None, bool]],
    price: Decimal, slippage: int, fee: int,
) -> None:  # fmt: skip
    core.state.orders.clear()
    core.state = State()
    core.state.journal.move(USDC, USDC_HELD, Book.OPENING, Book.MAKER, memo="opening", at=START)
    core.rules.usdc_price, core.rules.slippage_bps = price, Decimal(slippage)
    core.rules.conversion_fee_bps = Decimal(fee)
    for number, (side, cents, fate, cancelled) in enumerate(steps):
        if fate is not None:
            core.faults.arm(Fault(target="order", kind=fate))
        amount = (
            {"notional": str(Decimal(cents) / 100)}
            if side == "buy"
            else {"qty": str(Decimal(cents) / 997)[:9]}
        )
        body = {**SELL, "qty": None, "side": side, "client_order_id": str(number), **amount}
        try:
            order = placed(core, body)
        except ApiError:
            core.faults.clear()
            continue
        run(worker, clock, 2)
        if cancelled and order.stage is not Stage.DONE:
            orders.cancel(core, order.id)
            run(worker, clock, 2)
        assert dollars.violations(core.state) == []
    assert sum(dollars.places(core.state).values()) == dollars.expected(core.state)
    assert books_sum_to_zero(core)


# The check itself must be able to fail


def filled(core: Core, worker: Worker, clock: Clock) -> Order:
    order = placed(core, BUY)
    run(worker, clock)
    return order


@pytest.mark.parametrize(
    ("asset", "source", "target", "words"),
    [
        (USD, Book.MAKER, Book.MARKET, "USD in maker moved by"),
        (USDC, Book.MARKET, Book.MAKER, "USDC in maker moved by"),
        (USD, Book.MAKER, Book.SLIPPAGE, "USD in slippage moved by"),
    ],
)
def test_violations__an_order_booked_twice__is_named(
    core: Core, worker: Worker, clock: Clock, asset: str, source: Book, target: Book, words: str
) -> None:
    order = filled(core, worker, clock)
    memo = dollars.memo_of(order)
    good = core.state.journal.model_copy(deep=True)
    core.state.journal.move(asset, Decimal("0.01"), source, target, memo=memo, at=START)

    assert any(words in line for line in dollars.violations(core.state))
    core.state.journal = good


def test_violations__cash_spent_without_an_order__is_named(core: Core) -> None:
    good = core.state.model_copy(deep=True)
    core.state.journal.move(USD, Decimal(1), Book.MAKER, Book.SLIPPAGE, memo="who knows", at=START)
    assert dollars.violations(core.state) == ["USD: the journal has 'who knows', of which no order tells"]
    core.state = good.model_copy(deep=True)
    core.state.journal.move(USD, Decimal(1), Book.MAKER, Book.WITHDRAWN, memo="lost", at=START)
    assert dollars.violations(core.state) == ["USD: 99999 in all places, 100000 expected"]
    core.state = good


def test_violations__order_that_does_not_add_up__is_named(core: Core, worker: Worker, clock: Clock) -> None:
    order = filled(core, worker, clock)
    good = core.state.model_copy(deep=True)
    order.reserved = Decimal("1000.24")
    order.notional = Decimal("1000.26")
    twin = order.model_copy(deep=True, update={"id": "twin"})
    core.state.orders["twin"] = twin
    order.fills[0].booked = False

    found = "\n".join(dollars.violations(core.state))

    for words in (
        "took 1000.25 USD of the 1000.24",
        "is filled with 1000.25 of 1000.26",
        "2 orders have the id",
        "fills that are not booked",
        "order twin: USD in maker moved by 0",
    ):
        assert words in found
    core.state = good
