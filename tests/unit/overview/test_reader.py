"""The overview says what the ledger says, as of now."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from include.domain.decision import Decision, PlannedOperation, Reason
from include.domain.imbalance import TooMuchOffchain
from include.domain.inventory import Balance, Inventory, Unread
from include.domain.limits import Hold
from include.domain.operation import Leg, OperationKind
from include.ledger.records import CheckMode
from include.overview.models import Balance as ShownBalance
from include.overview.models import Overview, UnreadVenue
from include.overview.reader import Reader, Steering, Unknown
from tests.support.plans import recorded_check, snapshot
from tests.unit.overview import books
from tests.unit.overview.conftest import STEERING, VIEWER, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from include.ledger.ledger import Ledger
    from tests.support.clock import Clock
    from tests.unit.exits.conftest import Stage

MINT, TO_BASE = OperationKind.MINT, OperationKind.USDC_ALPACA_TO_BASE
MINUTE = timedelta(minutes=1)
PLANNED = Decision(
    "AAPL",
    Reason.PLANNED,
    "19 of 100 is onchain",
    TooMuchOffchain(Decimal(31)),
    PlannedOperation(MINT, "AAPL", Decimal(31)),
)


def seen(reader: Reader, steering: Steering = STEERING, **values: str) -> Overview:
    return reader.overview(settings(**values), steering, VIEWER)


def asset(overview: Overview, symbol: str) -> Any:
    (found,) = [one for one in overview.assets if one.asset == symbol]
    return found


# -- checks and assets -----------------------------------------------------------------------------


def test_overview__nothing_was_looked_at__says_so_and_shows_what_is_set(reader: Reader) -> None:
    found = seen(reader, rebalancing_deviation="0.6", stop_deviation="0.1")
    assert (found.check, found.operations, found.attention, found.limits) == (None, [], [], None)
    assert (found.user, found.may_act, found.enabled, found.switch) == ("ada", True, False, "run")
    assert [one.asset for one in found.assets] == ["AAPL", "USDC"]
    aapl = found.assets[0]
    assert aapl.onchain == aapl.offchain == UnreadVenue(unread="nothing was looked at yet")
    assert (aapl.reason, aapl.detail, aapl.description, aapl.ratio) == (None, None, None, None)
    edges = (aapl.target, aapl.lower, aapl.upper, aapl.stop_lower, aapl.stop_upper)
    assert edges == ("0.5", "-0.1", "1.1", "0.4", "0.6")
    assert [one.kind for one in found.assets] == ["equity", "usdc"]


def test_overview__a_check__is_shown_with_what_it_decided(
    reader: Reader, ledger: Ledger, clock: Clock
) -> None:
    check_id = recorded_check(ledger, clock(), PLANNED, AAPL=(Decimal(1), Decimal(2)))
    clock.pass_(seconds=90.7)
    found = seen(reader)
    assert found.check is not None
    assert (found.check.id, found.check.age_seconds, found.check.mode) == (check_id, 90, "live")
    aapl = asset(found, "AAPL")
    assert aapl.onchain == ShownBalance(available="1", held="0", in_flight="0")
    assert aapl.ratio == "0.333333"
    assert (aapl.reason, aapl.detail) == ("planned", "19 of 100 is onchain")
    assert aapl.description == Reason.PLANNED.description
    assert (aapl.direction, aapl.amount) == (MINT, "31")
    assert asset(found, "USDC").onchain == UnreadVenue(unread="the last check did not look at it")


def test_overview__a_venue_was_not_read__shows_why_and_no_ratio(
    reader: Reader, ledger: Ledger, clock: Clock
) -> None:
    taken = replace(
        snapshot(clock()),
        inventories={
            "AAPL": Inventory("AAPL", Unread("no answer"), Balance(Decimal("1.50"), held=Decimal(2)))
        },
    )
    ledger.record_check(taken.id, "run-1", CheckMode.OBSERVE, taken, [])
    aapl = asset(seen(reader), "AAPL")
    assert aapl.onchain == UnreadVenue(unread="no answer")
    assert aapl.offchain == ShownBalance(available="1.5", held="2", in_flight="0")
    assert aapl.ratio is None


def test_overview__a_newer_check_or_other_settings__are_seen_at_once(
    reader: Reader, ledger: Ledger, clock: Clock
) -> None:
    recorded_check(ledger, clock(), AAPL=(Decimal(1), Decimal(1)))
    assert asset(seen(reader), "AAPL").ratio == "0.5"
    recorded_check(ledger, clock.pass_(seconds=60), AAPL=(Decimal(1), Decimal(3)))
    assert asset(seen(reader), "AAPL").ratio == "0.25"
    assert asset(seen(reader, rebalancing_target_ratio="0.4"), "AAPL").target == "0.4"


def test_overview__a_backfill_replayed_old_balances__still_shows_the_newest_look(
    reader: Reader, ledger: Ledger, clock: Clock
) -> None:
    real = recorded_check(ledger, clock(), AAPL=(Decimal(1), Decimal(1)))
    books.check(ledger, clock.pass_(seconds=5), ["AAPL"], mode=CheckMode.REPLAY)
    found = seen(reader).check
    assert found is not None
    assert found.id == real


def test_overview__held__is_shown_for_each_asset(reader: Reader) -> None:
    found = seen(reader, Steering("drain", Hold(frozenset({"USDC", "TSLA"})), paused=True))
    assert (found.switch, found.paused, found.hold, found.hold_all) == ("drain", True, ["TSLA", "USDC"], None)
    assert [one.held for one in found.assets] == [False, True]
    everything = seen(reader, Steering("run", Hold(everything="it is not a list")))
    assert (everything.hold, everything.hold_all) == ([], "it is not a list")
    assert all(one.held for one in everything.assets)


# -- operations ------------------------------------------------------------------------------------


def test_overview__an_operation_under_way__shows_its_legs_and_what_they_wait_for(
    reader: Reader, stage: Stage
) -> None:
    operation, begun = stage.open(MINT, [Leg.MINT, Leg.WRAP, Leg.VAULT_DEPOSIT]), stage.clock()
    assert [leg.state for leg in seen(reader).operations[0].legs] == ["now", "later", "later"]
    stage.under_lease(operation, lambda lease: lease.note(Leg.MINT, proof="0x" + "cc" * 32))
    stage.under_lease(operation, lambda lease: lease.finish(Leg.MINT, amount_out=30_500_000_000))
    stage.transaction(operation, Leg.WRAP, "wrap")
    stage.under_lease(
        operation,
        lambda lease: lease.wait(Leg.WRAP, waiting_for="a receipt", due_in=MINUTE, attention=None),
    )
    stage.clock.pass_(seconds=30)
    found = seen(reader)
    (shown,) = found.operations
    assert (shown.id, shown.kind, shown.asset, shown.amount, shown.unit) == (
        operation.id,
        MINT,
        "AAPL",
        "31",
        "shares",
    )
    assert (shown.age_seconds, shown.overdue, shown.estimate) == (30, False, None)
    mint, wrap, deposit = shown.legs
    assert (mint.state, mint.amount_in, mint.amount_out, mint.done_at) == ("done", "31", "30.5", begun)
    assert [(link.text, link.url) for link in mint.links] == [
        ("proof on Base", "https://basescan.org/tx/0x" + "cc" * 32)
    ]
    assert (wrap.state, wrap.waiting_for, wrap.since, wrap.due_at) == (
        "waiting",
        "a receipt",
        begun,
        begun + MINUTE,
    )
    # Signed and not mined yet: it can be looked for all the same.
    assert [link.url for link in wrap.links] == ["https://basescan.org/tx/0x" + "ab" * 32]
    assert (deposit.state, deposit.amount_in) == ("later", None)
    assert asset(found, "AAPL").operation_id == operation.id
    assert asset(found, "USDC").operation_id is None
    stage.clock.pass_(seconds=31)
    assert seen(reader).operations[0].overdue


def test_overview__a_person_is_needed__says_what_for_and_what_they_can_do(
    reader: Reader, stage: Stage
) -> None:
    operation = stage.open(TO_BASE)
    stage.withdrawal(operation)
    stage.under_lease(
        operation,
        lambda lease: lease.wait(
            Leg.WITHDRAW, waiting_for="a decision", due_in=MINUTE, attention="which transfer is it?"
        ),
    )
    (attention,) = seen(reader).attention
    assert (attention.operation_id, attention.asset, attention.kind, attention.leg) == (
        operation.id,
        "USDC",
        TO_BASE,
        "withdraw",
    )
    assert (attention.text, attention.since) == ("which transfer is it?", stage.clock())
    assert set(attention.verbs) == {"resume", "adopt", "reconcile"}
    stage.exits.resume(operation.id, "it is in the list now")
    assert seen(reader).attention == []


# -- today -----------------------------------------------------------------------------------------


def test_today__counts_what_was_closed_and_moved_and_what_it_cost(reader: Reader, stage: Stage) -> None:
    yesterday = stage.open(TO_BASE)
    stage.clock.pass_(days=1)
    stage.under_lease(yesterday, lambda lease: lease.finish(Leg.WITHDRAW, amount_out=3_999_000_000))
    stage.under_lease(yesterday, lambda lease: lease.finish(Leg.BRIDGE, amount_out=3_998_500_000))
    given_up = stage.open(MINT)
    stage.exits.cancel(given_up.id, "a split")
    stage.clock.pass_(seconds=1)
    stage.open(MINT)
    own = '{"AAPL": {"daily_maximum": "50"}}'
    today = seen(reader, equity_daily_maximum="100", assets=own).today
    assert today.since == datetime.combine(stage.clock().date(), datetime.min.time(), stage.clock().tzinfo)
    assert (today.settled, today.cancelled) == (1, 1)
    assert (today.cost_dollars, today.cost_is_partial) == ("1.5", False)
    assert [(one.asset, one.amount, one.limit) for one in today.moved] == [("AAPL", "31", "50")]
    assert [(one.of, one.amount, one.limit) for one in today.together] == [("all equities", "31", "100")]
    stage.clock.pass_(days=1)
    tomorrow = seen(reader, usdc_daily_maximum="900").today
    assert (tomorrow.settled, tomorrow.cost_dollars, tomorrow.moved) == (0, None, [])
    assert [(one.of, one.amount, one.limit) for one in tomorrow.together] == [("USDC", "0", "900")]


def test_limits__are_shown_where_one_is_set(reader: Reader) -> None:
    limits = seen(reader, usdc_cap="5000").limits
    assert limits is not None
    assert (limits.equity_cap, limits.usdc_cap) == (None, "5000")


# -- the list, and one operation -------------------------------------------------------------------


def test_operations__pages__hold_every_one_once_newest_first(
    reader: Reader, ledger: Ledger, clock: Clock
) -> None:
    check_id = books.check(ledger, clock(), ["AAPL", "NVDA"])
    books.operations(ledger, check_id, ["AAPL", "NVDA"], clock(), count=7, opened=1)
    found, before = [], None
    while True:
        page = reader.operations(limit=3, before=before)
        found += page.operations
        before = page.next
        if before is None:
            break
    assert [int(one.id[-2:]) for one in found] == [6, 5, 4, 3, 2, 1, 0]
    assert [one.status for one in found] == ["open", *["settled"] * 6]
    assert found[0].paid_cost is None
    assert found[1].paid_cost == "0"
    assert {one.asset for one in reader.operations(asset="NVDA").operations} == {"NVDA"}
    assert reader.operations(before=found[5].opened_at.isoformat()).operations == [found[6]]


def test_operations__opened_at_the_same_moment__are_not_lost_between_pages(
    reader: Reader, stage: Stage
) -> None:
    wanted = {stage.open(MINT).id, stage.open(TO_BASE).id}
    first = reader.operations(limit=1)
    assert {first.operations[0].id, reader.operations(limit=1, before=first.next).operations[0].id} == wanted


@pytest.mark.parametrize("before", ["yesterday", "2026-03-02T14:30:00", ""])
def test_operations__a_place_that_no_page_gave__is_unknown(reader: Reader, before: str) -> None:
    with pytest.raises(Unknown, match="before"):
        reader.operations(before=before)


def test_operation__has_everything_about_it(reader: Reader, stage: Stage) -> None:
    operation = stage.open(TO_BASE)
    effect = stage.withdrawal(operation, "sent")
    stage.exits.resume(operation.id, "look again")
    found = reader.operation(settings(), operation.id)
    assert (found.id, found.unit, found.status, found.check_id) == (
        operation.id,
        "USDC",
        "open",
        operation.check_id,
    )
    assert found.paid_cost is None
    assert "withdrawal fee" in found.cost_words
    (shown,) = found.legs[0].effects
    assert (shown.id, shown.status, shown.irreversible, shown.link) == (effect.id, "sent", True, None)
    assert [(one.verb, one.actor, one.reason) for one in found.interventions] == [
        ("resume", "ada", "look again")
    ]
    assert set(found.verbs) == {"resume", "adopt", "reconcile"}


def test_operation__cancelled__says_that_its_legs_ended_with_it(reader: Reader, stage: Stage) -> None:
    operation = stage.open(TO_BASE)
    stage.exits.cancel(operation.id, "not wanted")
    found = reader.operation(settings(), operation.id)
    assert [leg.state for leg in found.legs] == ["closed", "closed"]
    assert (found.outcome, found.verbs) == ("not wanted (ada)", {})


def test_operation__no_such_one__is_unknown(reader: Reader) -> None:
    with pytest.raises(Unknown, match="nowhere"):
        reader.operation(settings(), "nowhere")


# -- how much is asked of the database -------------------------------------------------------------


@pytest.fixture
def statements(ledger: Ledger) -> Iterator[list[str]]:
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        asked.append(statement)

    event.listen(ledger.engine, "before_cursor_execute", note)
    yield asked
    event.remove(ledger.engine, "before_cursor_execute", note)


def test_every_answer__however_much_there_is__takes_as_many_statements(
    ledger: Ledger, clock: Clock, statements: list[str]
) -> None:
    few, many = (counted(ledger, clock(), statements, size) for size in (2, 60))
    assert few == many
    assert few["overview"] <= 12
    assert few["again"] <= 6


def counted(ledger: Ledger, now: datetime, statements: list[str], size: int) -> dict[str, int]:
    """Fill the ledger anew, and count the statements of each answer."""
    symbols = books.symbols(size)
    tokens = "{" + ", ".join(f'"{one}": "0x{n + 1:040x}"' for n, one in enumerate(symbols)) + "}"
    own = settings(token_addresses=tokens)
    with ledger.engine.begin() as connection:
        for table in ("effects", "legs", "operations", "decisions", "checks"):
            connection.exec_driver_sql(f"DELETE FROM {table}")
    check_id = books.check(ledger, now, symbols)
    books.operations(ledger, check_id, symbols, now, count=size * 5, opened=size)
    for minute in range(1, size):
        books.check(ledger, now - minute * MINUTE, symbols)
    reader = Reader(ledger.engine, now=lambda: now)
    found = {}
    asks: dict[str, Callable[[], object]] = {
        "overview": lambda: reader.overview(own, STEERING, VIEWER),
        "again": lambda: reader.overview(own, STEERING, VIEWER),
        "history": lambda: reader.history(own, symbols[0], timedelta(days=1)),
        "operations": lambda: reader.operations(limit=200),
        "operation": lambda: reader.operation(own, books.operation_id(0)),
    }
    for name, ask in asks.items():
        statements.clear()
        ask()
        found[name] = len([one for one in statements if one.startswith("SELECT")])
    return found
