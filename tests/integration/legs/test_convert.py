"""The maker's dollars are dollars: conversions by real orders over real HTTP, and the whole way both ways."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from include.book import Book
from include.domain.amounts import floor_to, to_base_units
from include.domain.operation import Leg, OperationKind, OperationStatus
from include.exits.refusal import Refusal
from include.exits.verbs import Exits
from include.ledger.database import open_engine
from include.ledger.ledger import Ledger, utc_now
from include.ledger.records import EffectStatus
from include.legs.conditions import OrderDecided
from include.legs.convert import BOOKING_LAG, ORDER
from include.legs.leg import Closed, Done, Wait
from include.legs.route import Terms, legs_of
from include.sandbox.alpaca import dollars
from include.sandbox.alpaca.settings import Latencies, Rules
from include.sandbox.scenario import Shift, Side
from include.sandbox.world import ACCOUNT_ID, KEY_ID, SECRET
from include.venues.alpaca.auth import KeyPairAuth
from include.venues.alpaca.client import AlpacaBroker
from tests.chaos.boundaries import Recorder, TappedHttp
from tests.integration.legs import test_write_ahead
from tests.integration.legs.test_faults import arm
from tests.support.desk import await_condition, open_desk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from include.sandbox.alpaca.state import Order
    from include.sandbox.world import World
    from tests.support.desk import Desk

TO_BASE, TO_ALPACA = OperationKind.USDC_ALPACA_TO_BASE, OperationKind.USDC_BASE_TO_ALPACA
BOTH = pytest.mark.parametrize("kind", [TO_BASE, TO_ALPACA])
SETTINGS = {"dollars": "usd", "conversion_poll": "1s", "conversion_deadline": "2s"}
LATER = timedelta(minutes=20)


def ignore(_name: str, _content: object) -> None:
    return


@pytest.fixture
def desk(world: World, tmp_path: Path) -> Iterator[Desk]:
    """A book whose dollars are dollars. The account has 20,000 of them and hardly any USDC."""
    world.broker.sell("USDC", Decimal("8900.000000789"), "spent")
    world.broker.set_cash(Decimal(20_000))
    core = world.broker.core
    core.rules, core.latencies = Rules(), Latencies(order_fill=0.1, order_cancel=0.1)
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")
    with open_desk(world, ledger, ignore, **SETTINGS) as opened:
        yield opened
    ledger.close()
    core.rules, core.latencies = Rules(), Latencies()


@pytest.fixture
def patient(desk: Desk) -> Iterator[Desk]:
    """The same with minutes until the deadline."""
    with open_desk(desk.world, desk.ledger, ignore, **{**SETTINGS, "conversion_deadline": "5m"}) as opened:
        yield opened


def at_conversion(desk: Desk, kind: OperationKind, amount: Decimal = Decimal(4000)) -> str:
    """Open an operation that has come to its conversion; what comes before is only said to have happened."""
    settings, taken_at = desk.book.settings, utc_now()
    legs = legs_of(kind, settings.asset("USDC"), settings.dollars)
    operation = desk.ledger.claim(
        kind=kind,
        asset="USDC",
        amount=to_base_units(amount, 6),
        decimals=6,
        check_id=desk.check().id,
        run_id=desk.run_id,
        taken_at=taken_at,
        legs=legs,
        notes={"terms": Terms.of(settings, "USDC").to_dict()},
    )
    with desk.ledger.lease(operation.id, "before", timedelta(minutes=1)) as lease:
        for leg in legs[: legs.index(Leg.CONVERT)]:
            lease.finish(leg, amount_out=operation.amount)
    if kind is TO_ALPACA:
        desk.world.broker.buy("USDC", amount, "stands for the deposit")
    return operation.id


def orders(desk: Desk) -> list[Order]:
    return list(desk.world.broker.core.state.orders.values())


def conversion(desk: Desk, operation_id: str) -> dict[str, str]:
    [leg] = [leg for leg in desk.ledger.legs(operation_id) if leg.name is Leg.CONVERT]
    noted: dict[str, str] = leg.notes["conversion"]
    return noted


def convert(desk: Desk, operation_id: str) -> Done:
    outcome = desk.finish(operation_id, Leg.CONVERT)
    assert isinstance(outcome, Done), outcome
    return outcome


def require_sound(desk: Desk) -> None:
    """Every dollar and every USDC is where it should be, and nothing trades any more."""
    assert dollars.violations(desk.world.broker.core.state) == []
    assert desk.world.conservation() == []
    assert all(order.status in ("filled", "canceled", "expired", "rejected") for order in orders(desk))


# The whole way


def test_to_base__from_imbalance_to_settled__dollars_arrive_as_usdc_on_base(desk: Desk) -> None:
    before = desk.world.holdings()["USDC"]
    [assignment] = desk.claim(desk.check(), TO_BASE)
    assert [leg.name for leg in desk.ledger.legs(assignment.operation_id)] == [
        Leg.CONVERT,
        Leg.WITHDRAW,
        Leg.BRIDGE,
    ]
    desk.settle(assignment.operation_id)
    operation = desk.ledger.operation(assignment.operation_id)
    assert operation.status is OperationStatus.SETTLED
    converted, withdrawn, _ = desk.ledger.legs(operation.id)
    noted = conversion(desk, operation.id)
    moved = Decimal(noted["from_position"]) + Decimal(noted["filled"])
    assert withdrawn.amount_in == converted.amount_out == int(moved.scaleb(6))
    [transfer] = [row for row in desk.book.venues.alpaca.transfers() if row.is_outgoing]
    assert to_base_units(transfer.amount, 6) == converted.amount_out
    after = desk.world.holdings()["USDC"]
    assert to_base_units(after["base"] - before["base"], 6) == operation.delivered
    [order] = orders(desk)
    assert desk.world.broker.core.state.cash == 20_000 - Decimal(noted["dollars"])
    assert Decimal(noted["dollars"]) == order.notional
    assert desk.world.under_way() == {}
    require_sound(desk)
    ratio = desk.check().snapshot.inventories["USDC"].ratio
    assert ratio is not None
    assert abs(ratio - Decimal("0.5")) < Decimal("0.001")


def test_to_alpaca__from_imbalance_to_settled__usdc_ends_as_dollars(desk: Desk) -> None:
    desk.world.broker.set_cash(Decimal(0))
    desk.world.give("USDC", "base", Decimal(8000))
    [assignment] = desk.claim(desk.check(), TO_ALPACA)
    assert [leg.name for leg in desk.ledger.legs(assignment.operation_id)] == [
        Leg.BRIDGE,
        Leg.DEPOSIT,
        Leg.CONVERT,
    ]
    before = desk.book.venues.alpaca.positions()
    desk.settle(assignment.operation_id)
    operation = desk.ledger.operation(assignment.operation_id)
    assert operation.status is OperationStatus.SETTLED
    sold = desk.ledger.legs(operation.id)[-1]
    assert operation.delivered == sold.amount_out == sold.amount_in
    noted = conversion(desk, operation.id)
    assert to_base_units(Decimal(noted["filled"]), 6) == sold.amount_in
    assert desk.world.broker.core.state.cash == Decimal(noted["dollars"]) > 0
    assert desk.book.venues.alpaca.positions() == before  # what was deposited is sold, and nothing else
    assert desk.world.under_way() == {}
    require_sound(desk)


@BOTH
def test_convert__run_again_after_it_is_done__does_nothing(desk: Desk, kind: OperationKind) -> None:
    operation_id = at_conversion(desk, kind)
    first = convert(desk, operation_id)
    before = desk.ledger.effects(operation_id), orders(desk)
    again = desk.push(operation_id, Leg.CONVERT)
    assert isinstance(again, Done)
    assert (again.amount, again.proof) == (first.amount, first.proof)
    assert (desk.ledger.effects(operation_id), orders(desk)) == before


@BOTH
def test_order__before_it_leaves__is_committed(
    world: World, desk: Desk, tmp_path: Path, kind: OperationKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(test_write_ahead.POSTS, "/orders", ORDER)
    url = f"sqlite:///{tmp_path / 'watched.db'}"
    ledger, witness = Ledger.open(url), test_write_ahead.Witness(url)
    with open_desk(world, ledger, witness, **SETTINGS) as watched:
        convert(watched, at_conversion(watched, kind))
    ledger.close()
    assert witness.unknown == []
    assert witness.seen == [(ORDER, "sent")]


# The order


def test_buy__position_has_a_part__only_the_rest_is_bought(desk: Desk) -> None:
    operation_id = at_conversion(desk, TO_BASE, Decimal(500))
    outcome = convert(desk, operation_id)
    [order] = orders(desk)
    assert order.notional == Decimal("399.88")  # 100.123456 were there
    assert outcome.amount == int((Decimal("100.123456") + order.filled_qty).scaleb(6))
    require_sound(desk)


def test_buy__all_settled_cash__is_not_refused_for_the_collar(desk: Desk) -> None:
    desk.world.broker.set_cash(Decimal("1000.55"), Decimal("900.55"))
    operation_id = at_conversion(desk, TO_BASE)
    convert(desk, operation_id)
    [order] = orders(desk)
    assert order.notional == Decimal("900.55")
    assert desk.world.broker.core.state.cash == 100
    require_sound(desk)


@BOTH
@pytest.mark.parametrize("fault", ["drop_answer", "status_after", "html_after"])
def test_order__answer_lost__is_found_and_never_made_again(
    desk: Desk, kind: OperationKind, fault: str
) -> None:
    operation_id = at_conversion(desk, kind)
    arm(desk, "order", fault)
    convert(desk, operation_id)
    [order] = orders(desk)
    assert order.client_order_id == operation_id
    require_sound(desk)


def later(desk: Desk, by: timedelta) -> Desk:
    """Return the same book some time later."""

    def now() -> datetime:
        return utc_now() + by

    venues = replace(desk.book.venues, now=now)
    return replace(desk, book=Book(venues, Ledger(desk.ledger.engine, now=now), desk.book.signer))


@BOTH
def test_order__answer_lost_and_shown_late__is_a_duplicate_and_adopted(
    desk: Desk, kind: OperationKind
) -> None:
    operation_id = at_conversion(desk, kind)
    desk.world.broker.core.latencies.order_visible = 1.0
    desk.world.broker.core.latencies.order_fill = 3.0
    arm(desk, "order", "drop_answer")
    assert isinstance(desk.push(operation_id, Leg.CONVERT), Wait)
    again = later(desk, timedelta(seconds=11)).push(operation_id, Leg.CONVERT)
    assert isinstance(again, Wait)
    assert "knows already" in again.reason
    convert(desk, operation_id)
    assert len(orders(desk)) == 1
    require_sound(desk)


@BOTH
def test_order__no_quote_and_then_one__is_placed(desk: Desk, kind: OperationKind) -> None:
    operation_id = at_conversion(desk, kind)
    arm(desk, "order", "no_quote")
    convert(desk, operation_id)
    assert [effect.status for effect in desk.ledger.effects(operation_id)] == [
        EffectStatus.NOT_DONE,
        EffectStatus.DONE,
    ]
    assert len(orders(desk)) == 1
    require_sound(desk)


def test_buy__never_a_quote__cancels(desk: Desk) -> None:
    operation_id = at_conversion(desk, TO_BASE)
    arm(desk, "order", "no_quote", times=100)
    outcome = desk.finish(operation_id, Leg.CONVERT)
    assert isinstance(outcome, Closed)
    assert "no available quote" in outcome.outcome
    assert orders(desk) == []
    assert desk.ledger.open_operations() == []


def test_sell__never_a_quote__is_done_and_stays_usdc(desk: Desk) -> None:
    operation_id = at_conversion(desk, TO_ALPACA)
    arm(desk, "order", "no_quote", times=100)
    assert convert(desk, operation_id).amount == 4_000_000_000
    assert conversion(desk, operation_id)["not_converted"] == "4000"
    assert orders(desk) == []
    assert desk.ledger.operation(operation_id).status is OperationStatus.SETTLED


def test_buy__not_enough_when_it_is_placed__cancels(desk: Desk) -> None:
    operation_id = at_conversion(desk, TO_BASE)
    real = desk.book.venues.alpaca.account()
    venue = desk.book.venues.alpaca
    desk.world.broker.set_cash(Decimal(10))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(venue, "account", lambda: real)  # it was spent in between
        outcome = desk.finish(operation_id, Leg.CONVERT)
    assert isinstance(outcome, Closed)
    assert "insufficient" in outcome.outcome
    assert orders(desk) == []


@pytest.mark.parametrize("fate", ["partial", "cancel_rest", "expire"])
def test_buy__a_part_is_filled__moves_the_part(desk: Desk, fate: str) -> None:
    operation_id = at_conversion(desk, TO_BASE)
    arm(desk, "order", fate)
    outcome = convert(desk, operation_id)
    [order] = orders(desk)
    assert order.status in ("canceled", "expired")
    assert 0 < order.filled_dollars < (order.notional or 0)
    assert outcome.amount == int((Decimal("100.123456") + order.filled_qty).scaleb(6))
    require_sound(desk)


@pytest.mark.parametrize("fate", ["partial", "cancel_rest", "stuck", "reject"])
def test_sell__not_all_is_filled__is_done_and_notes_the_rest(desk: Desk, fate: str) -> None:
    operation_id = at_conversion(desk, TO_ALPACA)
    arm(desk, "order", fate)
    assert convert(desk, operation_id).amount == 4_000_000_000
    [order] = orders(desk)
    assert conversion(desk, operation_id)["not_converted"] == f"{(4000 - order.filled_qty).normalize():f}"
    assert desk.ledger.operation(operation_id).status is OperationStatus.SETTLED
    require_sound(desk)


@pytest.mark.parametrize("fate", ["reject", "stuck"])
def test_buy__nothing_is_filled__cancels(desk: Desk, fate: str) -> None:
    operation_id = at_conversion(desk, TO_BASE)
    arm(desk, "order", fate)
    outcome = desk.finish(operation_id, Leg.CONVERT)
    assert isinstance(outcome, Closed)
    assert desk.world.broker.core.state.cash == 20_000
    require_sound(desk)


def test_buy__a_part_too_small_to_leave__cancels_and_counts_next_time(desk: Desk) -> None:
    desk.world.broker.sell("USDC", Decimal("100.123456"), "spent")
    desk.world.broker.core.rules.partial_fill = Decimal("0.01")
    operation_id = at_conversion(desk, TO_BASE)
    outcome = desk.finish(operation_id, Leg.CONVERT)
    assert isinstance(outcome, Closed)
    assert "they stay at Alpaca" in outcome.outcome
    desk.world.broker.core.rules.partial_fill = None
    second = at_conversion(desk, TO_BASE)
    convert(desk, second)
    assert Decimal(conversion(desk, second)["from_position"]) > 39
    require_sound(desk)


@BOTH
def test_deadline__filled_while_it_is_cancelled__takes_it_all(desk: Desk, kind: OperationKind) -> None:
    operation_id = at_conversion(desk, kind)
    arm(desk, "order", "fill_anyway")
    convert(desk, operation_id)
    [order] = orders(desk)
    assert order.status == "filled"
    assert Decimal(conversion(desk, operation_id)["filled"]) == order.filled_qty
    require_sound(desk)


@BOTH
def test_order__booked_late__waits_until_it_is_there(desk: Desk, kind: OperationKind) -> None:
    desk.world.broker.core.latencies.order_booking = 1.0
    operation_id = at_conversion(desk, kind)
    outcome = convert(desk, operation_id)
    if kind is TO_BASE:
        [position] = [row.available for row in desk.book.venues.alpaca.positions() if row.is_usdc]
        assert to_base_units(floor_to(position, 6), 6) >= outcome.amount


class Killed(BaseException):
    """The process is gone."""


def die() -> None:
    raise Killed


@BOTH
def test_kill__at_every_third_boundary__the_next_one_finds_the_order(
    patient: Desk, tmp_path: Path, kind: OperationKind
) -> None:
    Ledger.open(f"sqlite:///{tmp_path / 'empty.db'}").close()
    target, cases, survived = 0, 0, False
    while not survived:
        spend_all_usdc(patient)
        file = shutil.copy(tmp_path / "empty.db", tmp_path / f"case-{target}.db")
        ledger = Ledger(open_engine(f"sqlite:///{file}"))
        desk = replace(patient, book=Book(patient.book.venues, ledger, patient.book.signer))
        recorder = Recorder(target, die)
        operation_id = at_conversion(desk, kind, Decimal(200))
        survived = push_and_die(desk, recorder, operation_id)
        if not survived:
            # The clock of the next one is past the lease, and past what an order needs to be shown.
            convert(later(desk, timedelta(seconds=61)), operation_id)
        mine = [order for order in orders(desk) if order.client_order_id == operation_id]
        assert [order.status for order in mine] == ["filled"], recorder.trace[-1]
        ledger.close()
        target, cases = target + 3, cases + 1
    assert target > 20
    assert len(orders(patient)) == cases
    require_sound(patient)


def spend_all_usdc(desk: Desk) -> None:
    held = sum((row.available for row in desk.book.venues.alpaca.positions() if row.is_usdc), Decimal(0))
    if held:
        desk.world.broker.sell("USDC", held, "spent")


def push_and_die(desk: Desk, recorder: Recorder, operation_id: str) -> bool:
    """Convert, and tell whether the process lived on to the end."""
    auth = KeyPairAuth(KEY_ID, SECRET)
    with (
        AlpacaBroker(desk.world.alpaca_url, ACCOUNT_ID, auth, transport=TappedHttp(recorder)) as alpaca,
        recorder.commits(),
        recorder.at("convert"),
    ):
        venues = replace(desk.book.venues, alpaca=alpaca)
        dying = replace(desk, book=Book(venues, desk.book.ledger, desk.book.signer))
        try:
            convert(dying, operation_id)
        except Killed:
            return False
    return True


# What a person can do


def person(desk: Desk) -> Exits:
    return Exits(replace(desk.book.venues, now=lambda: utc_now() + LATER), desk.ledger, "ada")


def test_exits__an_order_that_is_open__keeps_the_operation(desk: Desk) -> None:
    operation_id = at_conversion(desk, TO_BASE)
    arm(desk, "order", "stuck")
    assert isinstance(desk.push(operation_id, Leg.CONVERT), Wait)
    for act in (person(desk).cancel, lambda *given: person(desk).close(*given, delivered=Decimal(0))):
        with pytest.raises(Refusal, match="not decided about conversion_order"):
            act(operation_id, "enough")
    [order] = orders(desk)
    desk.book.venues.alpaca.cancel_order(order.id)
    await_condition(desk.book.venues, Wait(OrderDecided(order.id), LATER, "", LATER), time.monotonic() + 10)
    situation = person(desk).cancel(operation_id, "enough")
    assert situation.operation.status is OperationStatus.CANCELLED
    require_sound(desk)


def test_exits__an_order_that_was_taken__is_adopted_by_its_id(desk: Desk) -> None:
    operation_id = at_conversion(desk, TO_BASE)
    stranger = desk.book.venues.alpaca.buy_usdc(Decimal(20), "somebody-else")
    arm(desk, "order", "drop_answer")
    assert isinstance(desk.push(operation_id, Leg.CONVERT), Wait)
    [mine] = [order for order in orders(desk) if order.client_order_id == operation_id]
    with pytest.raises(Refusal, match="its client_order_id is somebody-else"):
        person(desk).adopt(operation_id, "it is this one", reference=stranger.id)
    with pytest.raises(Refusal, match="Alpaca knows no"):
        person(desk).adopt(operation_id, "it is this one", reference="7d2f1c39-0000-0000-0000-000000000000")
    with pytest.raises(Refusal, match=f"adopt {mine.id}"):
        person(desk).cancel(operation_id, "enough")
    with pytest.raises(Refusal, match=f"adopt {mine.id}"):
        person(desk).refute(operation_id, "it never was")
    person(desk).adopt(operation_id, "it is this one", reference=mine.id)
    assert convert(desk, operation_id).proof == mine.id


def test_exits__an_order_that_never_was__is_cancelled(desk: Desk) -> None:
    operation_id = at_conversion(desk, TO_BASE)
    arm(desk, "order", "reset")
    assert isinstance(desk.push(operation_id, Leg.CONVERT), Wait)
    situation = person(desk).cancel(operation_id, "enough")
    assert situation.operation.status is OperationStatus.CANCELLED
    assert [effect.status for effect in desk.ledger.effects(operation_id)] == [EffectStatus.NOT_DONE]
    assert orders(desk) == []


def test_buy__some_of_it_is_spent_meanwhile__moves_what_is_there(patient: Desk) -> None:
    patient.world.broker.core.latencies.order_fill = 1.0
    operation_id = at_conversion(patient, TO_BASE)
    waiting = patient.push(operation_id, Leg.CONVERT)
    assert isinstance(waiting, Wait)
    await_condition(patient.book.venues, waiting, time.monotonic() + 10)
    patient.world.shift(Shift("USDC", Decimal(50), Side.OFFCHAIN))
    assert isinstance(patient.push(operation_id, Leg.CONVERT), Wait)
    outcome = convert(later(patient, BOOKING_LAG), operation_id)
    [order] = orders(patient)
    assert outcome.amount == int((Decimal("50.123456") + order.filled_qty).scaleb(6))
    require_sound(patient)
