"""Dollars into USDC and back: one order, whatever Alpaca answers, and an end in every case."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from include.domain.operation import OperationKind, OperationStatus
from include.ledger.records import EffectStatus
from include.legs.convert import BOOKING_LAG, ORDER, RESEND_AFTER
from include.legs.leg import REFUSED_POLL, Closed, Done, Wait
from include.legs.mint import LOOKUP_LAG
from include.venues.alpaca.errors import AlpacaOutcomeUnknown, AlpacaRefused, AlpacaUnavailable
from tests.unit.legs.exchange import AMOUNT, Desk, open_desk

if TYPE_CHECKING:
    from include.ledger.ledger import Ledger
    from tests.support.clock import Clock

TO_BASE, TO_ALPACA = OperationKind.USDC_ALPACA_TO_BASE, OperationKind.USDC_BASE_TO_ALPACA
POLL, DEADLINE = timedelta(seconds=2), timedelta(minutes=5)


@pytest.fixture
def buying(ledger: Ledger, clock: Clock) -> Desk:
    return open_desk(ledger, clock, TO_BASE)


@pytest.fixture
def selling(ledger: Ledger, clock: Clock) -> Desk:
    return open_desk(ledger, clock, TO_ALPACA)


@pytest.fixture(params=[TO_BASE, TO_ALPACA])
def desk(request: pytest.FixtureRequest, ledger: Ledger, clock: Clock) -> Desk:
    return open_desk(ledger, clock, request.param)


# To USDC


def test_buy__filled__moves_what_was_bought_and_notes_what_it_cost(buying: Desk) -> None:
    wait = buying.waits()
    assert wait.condition.holds(buying.book.venues) is False
    assert buying.exchange.posted == [("buy", Decimal("4000.13"))]
    buying.exchange.fill_all()
    assert wait.condition.holds(buying.book.venues) is True
    outcome = buying.done()
    assert outcome == Done(3_993_341_319, "order-1")
    assert buying.conversion == {
        "order": "order-1",
        "side": "buy",
        "status": "filled",
        "filled": "3993.341319756",
        "dollars": "4000.13",
        "price": "1.0017",
        "from_position": "0",
        "at": buying.clock().isoformat(),
    }
    [effect] = buying.orders
    assert (effect.name, effect.status, effect.irreversible) == (ORDER, EffectStatus.DONE, False)
    assert buying.push() == outcome
    assert buying.ledger.legs(buying.operation.id)[1].amount_in == outcome.amount


def test_buy__more_than_asked__moves_what_was_asked(buying: Desk) -> None:
    buying.exchange.price = Decimal("0.99")
    buying.waits()
    buying.exchange.fill_all()
    assert buying.done().amount == AMOUNT


def test_buy__position_covers_it__orders_nothing(buying: Desk) -> None:
    buying.exchange.usdc = Decimal("4000.1234569")
    assert buying.done() == Done(AMOUNT, "no order was needed")
    assert (buying.exchange.posted, buying.orders) == ([], [])
    assert buying.conversion == {"from_position": "4000.123456"}


@pytest.mark.parametrize(
    ("held", "notional"),
    [
        ("1000.123456", "3000"),
        ("1000.1234559", "3000.01"),
        ("3995", "10"),  # Alpaca's least
        ("3990.12", "10.01"),
        ("-5", "4000.13"),
    ],
)
def test_buy__position_covers_a_part__buys_the_rest(buying: Desk, held: str, notional: str) -> None:
    buying.exchange.usdc = Decimal(held)
    buying.waits()
    assert buying.exchange.posted == [("buy", Decimal(notional))]
    [effect] = buying.orders
    used = min(max(Decimal(held), Decimal(0)), Decimal("4000.123456")).quantize(
        Decimal("1e-6"), "ROUND_FLOOR"
    )
    assert Decimal(effect.intent["from_position"]) == used


def test_buy__position_and_order__both_are_moved(buying: Desk) -> None:
    buying.exchange.usdc = Decimal("1000.1234567")
    buying.waits()
    buying.exchange.fill("2990.5")
    assert buying.done().amount == 3_990_623_456


def test_buy__cash_is_short__spends_what_is_settled_less_the_reserve(ledger: Ledger, clock: Clock) -> None:
    desk = open_desk(ledger, clock, TO_BASE, cash_reserve=Decimal("100.005"))
    desk.exchange.settled = Decimal("2600")
    desk.waits()
    assert desk.exchange.posted == [("buy", Decimal("2499.99"))]


@pytest.mark.parametrize("settled", ["52.99", "0", "9.99"])
def test_buy__too_little_to_be_worth_it__buys_nothing_and_cancels(buying: Desk, settled: str) -> None:
    buying.exchange.settled = Decimal(settled)
    assert "less than 53" in buying.cancelled()
    assert (buying.exchange.posted, buying.orders) == ([], [])


def test_buy__hardly_any_cash_but_a_position__moves_the_position(buying: Desk) -> None:
    buying.exchange.usdc, buying.exchange.settled = Decimal(3000), Decimal("9.99")
    assert buying.done() == Done(3_000_000_000, "no order was needed")


def test_buy__account_says_nothing_of_settled_cash__cancels(buying: Desk) -> None:
    buying.exchange.settled = None
    assert "does not say" in buying.cancelled()


def test_buy__the_way_out_is_closed__spends_nothing(buying: Desk) -> None:
    buying.exchange.is_whitelisted = False
    assert "whitelist" in buying.cancelled()
    assert buying.exchange.posted == []


def test_buy__no_gas__spends_nothing(buying: Desk) -> None:
    chain: Any = buying.book.venues.base
    chain.gas = 0
    assert "gas" in buying.cancelled()
    assert buying.exchange.posted == []


@pytest.mark.parametrize("refusal", ["insufficient", "refused"])
def test_buy__refused__cancels(buying: Desk, refusal: str) -> None:
    buying.exchange.answers.append(refusal)
    buying.cancelled()
    assert [effect.status for effect in buying.orders] == [EffectStatus.NOT_DONE]
    assert buying.exchange.orders == []


def test_buy__no_quote_for_long__cancels_at_the_deadline(buying: Desk) -> None:
    buying.exchange.answers.extend(["no quote"] * 30)
    begun = buying.clock()
    while isinstance(outcome := buying.push(), Wait):
        assert outcome.attention is None
        buying.clock.pass_(seconds=outcome.every.total_seconds())
    assert isinstance(outcome, Closed)
    assert buying.clock() == begun + DEADLINE
    assert {effect.status for effect in buying.orders} == {EffectStatus.NOT_DONE}


@pytest.mark.parametrize("status", ["rejected", "canceled", "expired", "filled"])
def test_buy__nothing_filled__cancels(buying: Desk, status: str) -> None:
    buying.waits()
    buying.exchange.change(status=status, filled_qty=Decimal("0.0000009"))
    assert status in buying.cancelled()
    assert [(one.status, one.reference) for one in buying.orders] == [(EffectStatus.NOT_DONE, "order-1")]


def test_buy__a_part_filled__moves_it(buying: Desk) -> None:
    buying.waits()
    buying.exchange.fill("51.940001", "expired")
    assert buying.done().amount == 51_940_001
    assert buying.conversion["status"] == "expired"


def test_buy__less_than_alpaca_lets_out__cancels_and_leaves_it_there(buying: Desk) -> None:
    buying.waits()
    buying.exchange.fill("51.9399", "canceled")
    assert "they stay at Alpaca" in buying.cancelled()
    assert buying.exchange.usdc == Decimal("51.9399")


def test_buy__position_shows_it_late__waits_for_it(buying: Desk) -> None:
    buying.waits()
    buying.exchange.books_late = Decimal("3993.341319756")
    buying.exchange.fill_all()
    assert "position" in buying.waits(seconds=2).reason
    buying.exchange.usdc = Decimal("3993.341319756")
    assert buying.done().amount == 3_993_341_319


def test_buy__a_fee_was_taken_out_of_it__moves_what_is_there(buying: Desk) -> None:
    buying.waits()
    buying.exchange.books_late = Decimal("1.5")
    buying.exchange.fill_all()
    buying.waits(seconds=BOOKING_LAG.total_seconds())
    assert buying.done().amount == 3_991_841_319


# To dollars


def test_sell__filled__is_delivered_and_notes_the_dollars(selling: Desk) -> None:
    selling.exchange.price = Decimal("0.9983")
    selling.waits()
    assert selling.exchange.posted == [("sell", Decimal("4000.123456"))]
    selling.exchange.fill_all()
    assert selling.done() == Done(AMOUNT, "order-1")
    assert selling.conversion == {
        "order": "order-1",
        "side": "sell",
        "status": "filled",
        "filled": "4000.123456",
        "dollars": "3993.32",
        "price": "0.9983",
        "not_converted": "0",
        "at": selling.clock().isoformat(),
    }
    operation = selling.ledger.operation(selling.operation.id)
    assert (operation.status, operation.delivered) == (OperationStatus.SETTLED, AMOUNT)


def test_sell__a_part_is_filled__notes_the_rest_and_is_done(selling: Desk) -> None:
    selling.waits()
    selling.exchange.fill("1500.123456", "canceled")
    assert selling.done().amount == AMOUNT
    assert selling.conversion["not_converted"] == "2500"


def test_sell__nothing_is_filled__is_done_and_says_so(selling: Desk) -> None:
    selling.waits()
    selling.exchange.change(status="rejected")
    assert selling.done() == Done(AMOUNT, "order-1")
    assert selling.conversion["not_converted"] == "4000.123456"
    assert "rejected" in selling.conversion["why"]


@pytest.mark.parametrize("refusal", ["no quote", "unavailable", "insufficient", "refused"])
def test_sell__cannot_be_placed__frees_the_asset_at_the_deadline(selling: Desk, refusal: str) -> None:
    selling.exchange.answers.extend([refusal] * 30)
    begun = selling.clock()
    while isinstance(outcome := selling.push(), Wait):
        assert outcome.attention is None
        selling.clock.pass_(seconds=outcome.every.total_seconds())
    assert isinstance(outcome, Done)
    assert timedelta(0) <= selling.clock() - begun - DEADLINE < timedelta(minutes=1)
    assert outcome.amount == AMOUNT
    assert selling.status is OperationStatus.SETTLED
    assert selling.conversion["not_converted"] == "4000.123456"


def test_sell__position_shows_the_deposit_late__is_placed_when_it_does(selling: Desk) -> None:
    selling.exchange.answers.append("insufficient")
    wait = selling.waits(seconds=15)
    assert wait.every == DEADLINE / 20
    selling.waits()
    selling.exchange.fill_all()
    assert selling.done().amount == AMOUNT
    assert selling.conversion["not_converted"] == "0"


# The order


def test_order__no_quote_then_a_quote__is_placed(desk: Desk) -> None:
    desk.exchange.answers.append("no quote")
    assert "no available quote" in desk.waits(seconds=15).reason
    desk.waits()
    assert [effect.status for effect in desk.orders] == [EffectStatus.NOT_DONE, EffectStatus.DONE]
    desk.exchange.fill_all()
    desk.done()
    assert len(desk.exchange.orders) == 1


def test_order__alpaca_wants_a_pause__gets_it(desk: Desk) -> None:
    desk.exchange.answers.append("unavailable")
    assert desk.waits().every == timedelta(seconds=42)


def test_order__answer_lost__is_found_by_its_id(desk: Desk) -> None:
    desk.exchange.answers.append("lost")
    assert desk.waits(seconds=2).attention is None
    desk.waits()
    assert [effect.status for effect in desk.orders] == [EffectStatus.DONE]
    assert desk.exchange.one.client_order_id == desk.operation.id
    assert len(desk.exchange.posted) == 1


def test_order__answer_lost_and_not_shown_yet__is_not_sent_again_at_once(desk: Desk) -> None:
    desk.exchange.answers.append("lost")
    desk.exchange.blind = 5
    for _ in range(3):
        desk.waits(seconds=2)
    assert len(desk.exchange.posted) == 1


def test_order__answer_lost_and_shown_very_late__repeating_it_is_a_duplicate(desk: Desk) -> None:
    desk.exchange.answers.append("lost")
    desk.exchange.blind = 5
    desk.waits(seconds=RESEND_AFTER.total_seconds())
    assert "knows already" in desk.waits().reason
    assert len(desk.exchange.posted) == 2
    desk.exchange.blind = 0
    desk.waits()
    desk.exchange.fill_all()
    desk.done()
    assert len(desk.exchange.orders) == 1


def test_order__never_arrived__is_sent_again_under_the_same_id(desk: Desk) -> None:
    desk.exchange.answers.append("never")
    desk.waits(seconds=RESEND_AFTER.total_seconds())
    desk.waits()
    assert len(desk.exchange.posted) == 2
    assert desk.exchange.one.client_order_id == desk.operation.id
    assert len(desk.orders) == 1


def test_order__sender_died_long_ago__is_sent_and_given_its_time(desk: Desk) -> None:
    desk.exchange.answers.append("never")
    desk.waits(seconds=timedelta(hours=1).total_seconds())
    again = desk.clock()
    assert desk.waits(seconds=POLL.total_seconds()).wake_at == again + DEADLINE
    desk.waits()
    assert desk.exchange.cancels == []
    desk.exchange.fill_all()
    desk.done()
    assert len(desk.exchange.orders) == 1


@pytest.mark.parametrize("refusal", ["no quote", "unavailable", "insufficient", "refused"])
def test_order__repetition_refused__says_nothing_about_the_first(desk: Desk, refusal: str) -> None:
    desk.exchange.answers.extend(["lost", refusal])
    desk.exchange.blind = 2
    desk.waits(seconds=RESEND_AFTER.total_seconds())
    desk.exchange.blind = 1
    desk.waits(seconds=2)
    assert desk.status is OperationStatus.OPEN
    desk.waits()
    desk.exchange.fill_all()
    desk.done()
    assert len(desk.exchange.orders) == 1


def test_order__never_taken_and_never_shown__ends_when_that_is_sure(desk: Desk) -> None:
    desk.exchange.answers.extend(["never"] * 60)
    begun = desk.clock()
    while isinstance(outcome := desk.push(), Wait):
        desk.clock.pass_(seconds=outcome.every.total_seconds())
    assert isinstance(outcome, Closed if desk.operation.kind is TO_BASE else Done)
    assert desk.clock() - begun >= DEADLINE + LOOKUP_LAG - RESEND_AFTER - POLL
    assert desk.orders[-1].status is EffectStatus.NOT_DONE
    assert not desk.status.is_open


def test_order__alpaca_knows_its_id_and_never_shows_it__asks_a_person(desk: Desk) -> None:
    desk.exchange.answers.append("duplicate")
    desk.waits(seconds=2)
    desk.exchange.blind = 1_000_000
    desk.clock.pass_(seconds=(DEADLINE + LOOKUP_LAG).total_seconds())
    assert "must be unique" in str(desk.waits().attention)
    assert desk.status is OperationStatus.OPEN


def test_order__found_before_it_is_sent__is_adopted(desk: Desk) -> None:
    place = desk.exchange.buy_usdc if desk.operation.kind is TO_BASE else desk.exchange.sell_usdc
    place(Decimal(500), desk.operation.id)
    desk.waits()
    assert len(desk.exchange.posted) == 1
    assert desk.orders[-1].reference == "order-1"


def test_order__another_side_under_our_id__asks_a_person(desk: Desk) -> None:
    place = desk.exchange.sell_usdc if desk.operation.kind is TO_BASE else desk.exchange.buy_usdc
    place(Decimal(500), desk.operation.id)
    assert "its side is" in str(desk.waits().attention)
    desk.exchange.change(side="buy" if desk.operation.kind is TO_BASE else "sell", symbol="BTCUSD")
    assert "it trades BTCUSD" in str(desk.waits().attention)
    assert len(desk.exchange.posted) == 1


def test_order__alpaca_forgets_it_for_a_moment__waits(desk: Desk) -> None:
    desk.waits()
    desk.exchange.blind = 1
    assert "know its own order" in desk.waits().reason


def test_order__reads_refused_while_it_may_be_alive__keeps_the_claim_and_asks(desk: Desk) -> None:
    desk.waits()
    desk.exchange.read_error = AlpacaRefused("unauthorized", status=401)
    wait = desk.waits()
    assert "unauthorized" in str(wait.attention)
    assert wait.every == REFUSED_POLL
    assert desk.status is OperationStatus.OPEN


def test_order__reads_fail__waits(desk: Desk) -> None:
    desk.waits()
    desk.exchange.read_error = AlpacaUnavailable("down")
    assert desk.waits().attention is None
    assert desk.status is OperationStatus.OPEN


# The deadline


def test_deadline__wakes_the_leg(desk: Desk) -> None:
    begun = desk.clock()
    assert desk.waits().wake_at == begun + DEADLINE


def test_deadline__part_filled__cancels_the_rest_and_takes_the_part(desk: Desk) -> None:
    desk.waits()
    desk.exchange.fill("1500", "partially_filled")
    desk.waits(seconds=DEADLINE.total_seconds())
    assert desk.exchange.cancels == []
    outcome = desk.done()
    assert desk.exchange.cancels == ["order-1"]
    assert outcome.amount == (1_500_000_000 if desk.operation.kind is TO_BASE else AMOUNT)


def test_deadline__filled_while_it_is_cancelled__takes_it_all(desk: Desk) -> None:
    desk.waits(seconds=DEADLINE.total_seconds())
    desk.exchange.cancels_at_once = False
    assert "cancel what is left" in desk.waits(seconds=2).reason
    desk.waits(seconds=2)
    assert desk.exchange.cancels == ["order-1"]  # it is asked for once
    desk.exchange.fill_all()
    assert desk.done().amount == (3_993_341_319 if desk.operation.kind is TO_BASE else AMOUNT)


@pytest.mark.parametrize("error", [AlpacaOutcomeUnknown("lost"), AlpacaRefused("not now", status=403)])
def test_deadline__cancellation_fails__is_asked_for_again(desk: Desk, error: Exception) -> None:
    desk.waits(seconds=DEADLINE.total_seconds())
    desk.exchange.cancel_error = error
    assert desk.waits().attention is None
    assert desk.status is OperationStatus.OPEN
    desk.clock.pass_(seconds=DEADLINE.total_seconds())
    assert str(error) in str(desk.waits().attention)
    desk.exchange.cancel_error = None
    desk.push()
    assert not desk.exchange.one.is_open


def test_deadline__never_cancelled__asks_a_person_and_goes_on_by_itself(desk: Desk) -> None:
    desk.exchange.cancels_at_once = False
    desk.waits(seconds=DEADLINE.total_seconds())
    assert desk.waits(seconds=DEADLINE.total_seconds()).attention is None
    assert "pending_cancel" in str(desk.waits().attention)
    desk.exchange.fill("1000", "canceled")
    desk.done()


@pytest.mark.parametrize("status", ["replaced", "something_new"])
def test_order__a_status_that_says_nothing__asks_a_person(desk: Desk, status: str) -> None:
    desk.waits()
    desk.exchange.change(status=status)
    wait = desk.waits()
    assert wait.attention == f"order order-1 is {status}"
    assert wait.every == REFUSED_POLL
