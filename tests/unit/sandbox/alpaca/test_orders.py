"""Orders for USDC: what is refused, what is held, what is filled, and that it is all in the books."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from include.sandbox.alpaca import dollars, market, orders, wallets
from include.sandbox.alpaca.errors import ApiError
from include.sandbox.alpaca.faults import Fault
from include.sandbox.alpaca.journal import Book
from include.sandbox.alpaca.state import USD, USDC, Order, Stage, State
from include.sandbox.alpaca.worker import Worker
from tests.unit.sandbox.alpaca.conftest import START, WALLET, books_sum_to_zero

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.sandbox.alpaca.core import Core
    from tests.unit.sandbox.alpaca.conftest import Clock

USDC_HELD = Decimal("9000.123456789")
BUY = {
    "symbol": "USDCUSD", "notional": "1000.25", "side": "buy", "type": "market", "time_in_force": "gtc",
    "client_order_id": "b-1",
}  # fmt: skip
SELL = {name: BUY[name] for name in ("symbol", "type", "time_in_force")} | {
    "qty": "500.123456", "side": "sell", "client_order_id": "s-1",
}  # fmt: skip
BUY_QTY = {**SELL, "side": "buy", "qty": "100"}


def placed(core: Core, body: dict[str, Any]) -> Order:
    return core.state.orders[orders.place(core, body)["id"]]


def run(worker: Worker, clock: Clock, seconds: int = 5) -> None:
    for _ in range(seconds):
        clock.tick(1)
        worker.tick()


def cash(core: Core) -> dict[str, str]:
    shown = market.account(core)
    return {name: shown[name] for name in ("cash", "cash_withdrawable", "buying_power")}


@pytest.fixture(autouse=True)
def all_is_accounted_for(core: Core) -> Iterator[None]:
    yield
    assert dollars.violations(core.state) == []
    assert books_sum_to_zero(core)


def test_buy__by_notional__holds_exactly_that_and_spends_it(core: Core, worker: Worker, clock: Clock) -> None:
    answer = orders.place(core, BUY)
    assert (answer["status"], answer["qty"], answer["filled_qty"]) == ("pending_new", None, "0")
    assert answer["filled_avg_price"] is None
    assert cash(core) == {"cash": "100000", "cash_withdrawable": "98999.75", "buying_power": "98999.75"}
    assert orders.order_by_id(core, answer["id"])["status"] == "new"

    run(worker, clock)

    shown = orders.order_by_client_id(core, "b-1")
    bought = Decimal("998.552460816")  # 1000.25 / 1.0017, floored
    assert (shown["status"], shown["notional"]) == ("filled", "1000.25")
    assert Decimal(shown["filled_qty"]) == Decimal(shown["qty"]) == bought
    assert Decimal(shown["filled_avg_price"]) == Decimal("1.0017")
    assert cash(core) == {"cash": "98999.75", "cash_withdrawable": "98999.75", "buying_power": "98999.75"}
    assert core.state.available(USDC) == core.state.position(USDC) == USDC_HELD + bought
    assert core.state.journal.balance(Book.SLIPPAGE, USD) == Decimal("1000.25") - bought
    assert core.state.journal.balance(Book.MARKET, USD) == -core.state.journal.balance(Book.MARKET, USDC)


def test_sell__by_quantity__holds_the_usdc_and_brings_whole_cents(
    core: Core, worker: Worker, clock: Clock
) -> None:
    order = placed(core, SELL)
    assert core.state.available(USDC) == USDC_HELD - Decimal("500.123456")
    assert core.state.position(USDC) == USDC_HELD
    assert market.position(core, "USDCUSD")["qty_available"] == "8500.000000789"

    run(worker, clock)

    proceeds = Decimal("499.27")  # 500.123456 * 0.9983, floored
    assert order.status == "filled"
    assert core.state.cash == core.state.available(USD) == 100_000 + proceeds
    assert core.state.position(USDC) == USDC_HELD - Decimal("500.123456")
    assert core.state.journal.balance(Book.SLIPPAGE, USD) == Decimal("500.123456") - proceeds


def test_buy_by_quantity__holds_two_per_cent_more_and_gives_the_rest_back(
    core: Core, worker: Worker, clock: Clock
) -> None:
    order = placed(core, BUY_QTY)
    assert order.reserved == Decimal("102.18")  # 100 * 1.0017 * 1.02, up to cents
    assert cash(core)["cash_withdrawable"] == "99897.82"

    run(worker, clock)

    assert (order.filled_qty, order.filled_dollars) == (Decimal(100), Decimal("100.17"))
    assert cash(core)["cash_withdrawable"] == "99899.83"


def test_buy_by_quantity__with_all_cash__is_refused_where_a_notional_one_is_taken(core: Core) -> None:
    with pytest.raises(ApiError, match="insufficient buying power"):
        orders.place(core, {**BUY_QTY, "qty": "99000"})

    assert placed(core, {**BUY, "notional": "100000"}).reserved == 100_000


def test_buy_by_quantity__price_leaves_the_collar__waits_for_it_to_come_back(
    core: Core, worker: Worker, clock: Clock
) -> None:
    order = placed(core, BUY_QTY)
    core.rules.usdc_price = Decimal("1.05")
    run(worker, clock)
    assert order.status == "new"

    core.rules.usdc_price = Decimal("1.01")
    run(worker, clock)

    assert order.status == "filled"


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        (None, 400, 40010000, "request body"),
        ({**BUY, "symbol": "AAPL"}, 422, 40010001, "not traded"),
        ({**BUY, "side": "hold"}, 422, 40010001, "side"),
        ({**BUY, "type": "limit"}, 422, 40010001, "only market orders"),
        ({**BUY, "time_in_force": "day"}, 422, 40010001, "time_in_force"),
        ({**BUY, "qty": "1"}, 422, 40010001, "exactly one of qty and notional"),
        ({**BUY, "notional": None}, 422, 40010001, "exactly one of qty and notional"),
        ({**BUY, "notional": "10.001"}, 422, 40010001, "decimal places"),
        ({**BUY, "notional": "-10"}, 422, 40010001, "positive"),
        ({**BUY, "notional": 1000}, 422, 40010001, "positive"),
        ({**SELL, "qty": "1.0000001"}, 422, 40010001, "decimal places"),
        ({**SELL, "qty": None, "notional": "20"}, 422, 40010001, "by notional"),
        ({**BUY, "client_order_id": "x" * 129}, 422, 40010001, "128"),
        ({**BUY, "notional": "9.99"}, 403, 40310000, "cost basis must be >= minimal amount of order 10"),
        ({**BUY_QTY, "qty": "9.9"}, 403, 40310000, "cost basis must be >= minimal amount of order 10"),
        ({**BUY, "notional": "100000.01"}, 403, 40310000, "insufficient buying power"),
        ({**SELL, "qty": "9000.123457"}, 403, 40310000, "insufficient balance for USDC"),
    ],
)
def test_place__wrong_order__is_refused_and_changes_nothing(
    core: Core, body: Any, status: int, code: int, words: str
) -> None:
    with pytest.raises(ApiError) as caught:
        orders.place(core, body)

    assert (caught.value.status, caught.value.body["code"]) == (status, code)
    assert words in caught.value.body["message"]
    assert core.state.orders == {}
    assert cash(core)["cash_withdrawable"] == "100000"


def test_place__too_little_cash__is_told_in_either_wording(core: Core) -> None:
    body = {**BUY, "notional": "100000.01"}
    with pytest.raises(ApiError) as caught:
        orders.place(core, body)
    assert caught.value.body["buying_power"] == "100000"
    assert caught.value.body["cost_basis"] == "100000.01"

    core.rules.insufficient_dollars = "balance"

    with pytest.raises(
        ApiError, match=r"insufficient balance for USD \(requested: 100000.01, available: 100000\)"
    ):
        orders.place(core, body)


def test_place__id_used_before__is_refused_for_ever_and_the_first_one_stands(
    core: Core, worker: Worker, clock: Clock
) -> None:
    first = placed(core, BUY)
    for seconds in (0, 5):
        run(worker, clock, seconds)
        with pytest.raises(ApiError) as caught:
            orders.place(core, {**BUY, "notional": "20"})
        assert (caught.value.status, caught.value.body) == (
            422,
            {"code": 40010001, "message": "client_order_id must be unique"},
        )

    assert list(core.state.orders.values()) == [first]


def test_place__refused_order__leaves_its_id_free(core: Core) -> None:
    with pytest.raises(ApiError):
        orders.place(core, {**BUY, "notional": "5"})

    assert placed(core, BUY).client_order_id == "b-1"


def test_place__without_an_id__gets_one(core: Core) -> None:
    body = {**BUY, "client_order_id": None}

    assert placed(core, body).client_order_id != placed(core, body).client_order_id


def test_sales__that_together_sell_more_than_there_is__are_refused(core: Core) -> None:
    orders.place(core, {**SELL, "qty": "9000"})

    with pytest.raises(ApiError, match=r"available: 0\.123456789"):
        orders.place(core, {**SELL, "client_order_id": "s-2", "qty": "0.2"})
    with pytest.raises(ApiError, match="insufficient balance for withdrawal"):
        wallets.withdraw(core, {"amount": "1", "asset": "USDC", "address": WALLET})


@pytest.mark.parametrize(
    ("fate", "body", "status", "filled"),
    [
        ("reject", BUY, "rejected", "0"),
        ("stuck", BUY, "new", "0"),
        ("partial", BUY, "partially_filled", "499.27"),
        ("cancel_rest", BUY, "canceled", "499.27"),
        ("expire", BUY, "expired", "499.27"),
        ("partial", SELL, "partially_filled", "250.06"),
        ("partial", {**BUY, "time_in_force": "ioc"}, "canceled", "499.27"),
        ("fill_anyway", BUY, "new", "0"),
        ("slow_cancel", BUY, "new", "0"),
    ],
)
def test_order__with_a_fate__ends_there(
    core: Core, worker: Worker, clock: Clock, fate: str, body: dict[str, Any], status: str, filled: str
) -> None:
    core.faults.arm(Fault(target="order", kind=fate))
    order = placed(core, body)

    run(worker, clock)

    shown = orders.order_by_id(core, order.id)
    assert shown["status"] == status
    assert Decimal(shown["filled_qty"]).quantize(Decimal("0.01"), "ROUND_DOWN") == Decimal(filled)
    assert core.state.ordered(order.takes) == (
        0
        if order.stage is Stage.DONE
        else order.reserved - (order.filled_dollars if body is BUY else order.filled_qty)
    )
    is_final = status in ("rejected", "canceled", "expired")
    assert (order.stage is Stage.DONE) == is_final


@pytest.mark.parametrize("fate", ["stuck", "partial"])
def test_order__open__is_cancelled_and_gives_back_what_it_held(
    core: Core, worker: Worker, clock: Clock, fate: str
) -> None:
    core.faults.arm(Fault(target="order", kind=fate))
    core.latencies.order_cancel = 2
    order = placed(core, BUY)
    run(worker, clock)

    orders.cancel(core, order.id)
    worker.tick()
    assert order.status == "pending_cancel"
    assert core.state.ordered(USD) == Decimal("1000.25") - order.filled_dollars
    run(worker, clock)

    assert order.status == "canceled"
    assert order.canceled_at is not None
    assert core.state.available(USD) == core.state.cash == 100_000 - order.filled_dollars
    with pytest.raises(ApiError) as caught:
        orders.cancel(core, order.id)
    assert caught.value.status == 422


def test_cancel__that_comes_too_late__is_204_and_the_order_is_filled_all_the_same(
    core: Core, worker: Worker, clock: Clock
) -> None:
    core.faults.arm(Fault(target="order", kind="fill_anyway"))
    order = placed(core, BUY)
    run(worker, clock)

    orders.cancel(core, order.id)
    run(worker, clock)

    assert order.status == "filled"
    assert order.filled_dollars == Decimal("1000.25")


def test_cancel__that_lingers__is_done_when_it_is_released(core: Core, worker: Worker, clock: Clock) -> None:
    core.faults.arm(Fault(target="order", kind="slow_cancel"))
    order = placed(core, BUY)
    orders.cancel(core, order.id)
    run(worker, clock)
    assert order.status == "pending_cancel"
    with pytest.raises(ApiError, match="pending_cancel"):
        orders.cancel(core, order.id)

    assert core.release(order.id)
    run(worker, clock)

    assert (order.status, order.filled_qty) == ("canceled", Decimal(0))


@pytest.mark.parametrize("fate", ["stuck", "partial"])
def test_order__released__is_filled_to_the_end(core: Core, worker: Worker, clock: Clock, fate: str) -> None:
    core.faults.arm(Fault(target="order", kind=fate))
    order = placed(core, BUY)
    run(worker, clock)

    assert core.release(order.id)
    run(worker, clock)

    assert (order.status, order.filled_dollars) == ("filled", Decimal("1000.25"))
    assert len(order.fills) == (2 if fate == "partial" else 1)


def test_no_quote__armed__refuses_one_order_and_takes_the_next(core: Core) -> None:
    core.faults.arm(Fault(target="order", kind="no_quote"))

    with pytest.raises(ApiError, match="no available quote for symbol USDCUSD") as caught:
        orders.place(core, BUY)

    assert (caught.value.status, caught.value.body["code"]) == (403, 40310000)
    assert placed(core, BUY).fate is None


def test_partial_fill__set_as_a_rule__fills_that_part_of_every_order(
    core: Core, worker: Worker, clock: Clock
) -> None:
    core.rules.partial_fill = Decimal("0.25")
    order = placed(core, {**BUY, "notional": "100"})

    run(worker, clock)

    assert (order.status, order.filled_dollars) == ("partially_filled", Decimal(25))


def test_fill__booked_later__is_shown_before_cash_and_position_have_it(
    core: Core, worker: Worker, clock: Clock
) -> None:
    core.latencies.order_booking = 3
    order = placed(core, BUY)
    run(worker, clock, 1)
    assert orders.order_by_id(core, order.id)["status"] == "filled"
    assert core.state.position(USDC) == USDC_HELD
    assert cash(core) == {"cash": "100000", "cash_withdrawable": "98999.75", "buying_power": "98999.75"}

    run(worker, clock)

    assert core.state.position(USDC) > USDC_HELD
    assert cash(core)["cash"] == "98999.75"


def test_partial_fill_cancelled_before_it_is_booked__is_booked_and_gives_the_rest_back(
    core: Core, worker: Worker, clock: Clock
) -> None:
    core.latencies.order_booking = 3
    core.faults.arm(Fault(target="order", kind="cancel_rest"))
    order = placed(core, BUY)
    run(worker, clock, 1)
    assert (order.status, core.state.ordered(USD)) == ("canceled", Decimal("500.12"))
    assert core.state.available(USD) == Decimal("99499.88")

    run(worker, clock)

    assert core.state.cash == core.state.available(USD) == Decimal("99499.88")


def test_fee__of_a_conversion__is_taken_from_what_comes_in(core: Core, worker: Worker, clock: Clock) -> None:
    core.rules.conversion_fee_bps = Decimal(15)
    core.rules.slippage_bps = Decimal(0)
    placed(core, {**BUY, "notional": "1000"})
    placed(core, {**SELL, "qty": "1000"})

    run(worker, clock)

    assert (
        core.state.journal.balance(Book.FEES, USDC)
        == core.state.journal.balance(Book.FEES, USD)
        == Decimal("1.5")
    )
    assert core.state.position(USDC) == USDC_HELD - Decimal("1.5")
    assert core.state.cash == Decimal("99998.5")


def test_lookup__of_a_new_order__is_404_until_it_is_visible(core: Core, clock: Clock) -> None:
    core.latencies.order_visible = 2
    order = placed(core, BUY)
    for look in (
        lambda: orders.order_by_id(core, order.id),
        lambda: orders.order_by_client_id(core, "b-1"),
        lambda: orders.cancel(core, order.id),
    ):
        with pytest.raises(ApiError) as caught:
            look()
        assert caught.value.status == 404
    assert orders.list_orders(core, {}) == []

    clock.tick(2)

    assert orders.order_by_client_id(core, "b-1") == orders.order_by_id(core, order.id.upper())


def test_lookup__unknown_or_without_an_id__is_refused(core: Core) -> None:
    with pytest.raises(ApiError) as unknown:
        orders.order_by_client_id(core, "x")
    with pytest.raises(ApiError) as missing:
        orders.order_by_client_id(core, None)

    assert (unknown.value.status, missing.value.status) == (404, 422)


def test_list__by_status_time_and_limit__is_newest_first(core: Core, worker: Worker, clock: Clock) -> None:
    placed(core, BUY)
    run(worker, clock)
    core.faults.arm(Fault(target="order", kind="stuck", times=2))
    for name in ("b-2", "b-3"):
        placed(core, {**BUY, "client_order_id": name})
        clock.tick(1)

    def listed(**query: str) -> list[str]:
        return [row["client_order_id"] for row in orders.list_orders(core, query)]

    assert listed() == ["b-3", "b-2"]
    assert listed(status="closed") == ["b-1"]
    assert listed(status="all", direction="asc") == ["b-1", "b-2", "b-3"]
    assert listed(status="all", limit="1") == ["b-3"]
    assert listed(status="all", after=START.isoformat()) == ["b-3", "b-2"]
    assert listed(status="all", until="2026-09-25T14:00:01Z", symbols="USDCUSD") == ["b-1"]
    assert listed(symbols="AAPL") == []
    for wrong in ({"status": "done"}, {"limit": "x"}, {"after": "yesterday"}, {"until": "2026-09-25"}):
        with pytest.raises(ApiError):
            orders.list_orders(core, wrong)


def test_state__copied_in_the_middle_of_an_order__goes_on_and_books_once(
    core: Core, worker: Worker, clock: Clock
) -> None:
    core.latencies.order_booking = 3
    core.faults.arm(Fault(target="order", kind="partial"))
    order = placed(core, BUY)
    for _ in range(5):
        core.state = State.model_validate_json(core.state.model_dump_json())
        run(Worker(core, worker.ethereum, worker.base, worker.issuer, worker.payer), clock, 1)

    again = core.state.orders[order.id]
    assert (again.status, len(again.fills)) == ("partially_filled", 1)
    assert core.state.cash == Decimal("100000") - Decimal("500.12")
    assert core.state.ordered(USD) == Decimal("500.13")
