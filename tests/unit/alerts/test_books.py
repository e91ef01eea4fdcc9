"""What alerts read of a real ledger."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, update

from include.alerts.books import read_books, rules
from include.alerts.detect import run_overdue
from include.domain.decision import Reason
from include.domain.operation import Leg, OperationKind
from include.ledger.alerts import AlertBook
from include.ledger.database import writing
from include.ledger.interventions import Person
from include.ledger.records import CheckMode
from include.ledger.schema import CheckRow, DecisionRow
from include.legs.route import Terms
from include.settings import load_settings
from tests.unit.exits.conftest import WALLET, Stage
from tests.unit.overview import books as written

if TYPE_CHECKING:
    from datetime import datetime

    from include.ledger.ledger import Ledger
    from include.settings import Settings
    from tests.support.clock import Clock

TOKEN = "0x" + "11" * 20
ETH = 10**18


def settings(**values: str) -> Settings:
    given = {"token_addresses": f'{{"AAPL": "{TOKEN}"}}', "wallet": WALLET} | values
    return load_settings(environ={f"BALLAST_{name.upper()}": value for name, value in given.items()})


def decided(ledger: Ledger, check_id: str, asset: str, reason: Reason, detail: str = "why") -> None:
    with writing(ledger.engine) as session:
        session.execute(
            update(DecisionRow)
            .where(DecisionRow.check_id == check_id, DecisionRow.asset == asset)
            .values(reason=reason.value, decision={"asset": asset, "detail": detail})
        )


def checks(ledger: Ledger, clock: Clock, reason: Reason, count: int, **more: Any) -> datetime:
    """Write checks a minute apart that decide the same of AAPL, and return when the first was made."""
    first = clock()
    for _ in range(count):
        check_id = written.check(ledger, clock(), ["AAPL", "USDC"], **more)
        decided(ledger, check_id, "AAPL", reason)
        clock.pass_(minutes=1)
    return first


def test_legs__are_those_that_have_to_go_on(stage: Stage) -> None:
    operation = stage.open(OperationKind.USDC_ALPACA_TO_BASE)
    opened = stage.clock()
    (leg,) = read_books(stage.ledger, settings(), stage.clock()).legs
    assert (leg.operation_id, leg.leg, leg.asset, leg.since) == (operation.id, "withdraw", "USDC", opened)
    assert leg.what == "usdc_alpaca_to_base of 4000 USDC"
    stage.clock.pass_(minutes=1)
    stage.under_lease(
        operation,
        lambda lease: lease.wait(
            Leg.WITHDRAW, waiting_for="a row", due_in=timedelta(minutes=9), attention="decide"
        ),
    )
    (leg,) = read_books(stage.ledger, settings(), stage.clock()).legs
    assert (leg.waiting_for, leg.attention, leg.since) == ("a row", "decide", stage.clock())
    assert leg.due_at == stage.clock() + timedelta(minutes=9)
    stage.under_lease(operation, lambda lease: lease.finish(Leg.WITHDRAW, amount_out=operation.amount))
    (leg,) = read_books(stage.ledger, settings(), stage.clock()).legs
    assert leg.leg == "bridge"


def test_approval__is_waited_for_until_somebody_gives_it(ledger: Ledger, clock: Clock) -> None:
    until = clock() + timedelta(minutes=30)
    terms = Terms.of(settings(), "AAPL", approve_until=until).to_dict()
    operation = ledger.claim(
        kind=OperationKind.MINT,
        asset="AAPL",
        amount=31_000_000_000,
        decimals=9,
        check_id=written.check(ledger, clock() - timedelta(seconds=1), ["AAPL"]),
        run_id="run-1",
        taken_at=clock(),
        notes={"terms": terms},
    )
    (leg,) = read_books(ledger, settings(), clock()).legs
    assert leg.approve_by == until
    with ledger.lease(operation.id, "ada", timedelta(minutes=1)) as lease:
        Person(lease, "ada", "it is right").approve()
    (leg,) = read_books(ledger, settings(), clock()).legs
    assert leg.approve_by is None


def test_lost__an_unknown_effect_of_an_open_operation(stage: Stage) -> None:
    operation = stage.open(OperationKind.USDC_ALPACA_TO_BASE)
    stage.withdrawal(operation)
    (lost,) = read_books(stage.ledger, settings(), stage.clock()).lost
    assert (lost.operation_id, lost.leg, lost.name) == (operation.id, "withdraw", "withdrawal_request")
    assert lost.since == stage.clock()


def test_checked_at__is_of_the_newest_look_and_no_replay(ledger: Ledger, clock: Clock) -> None:
    assert read_books(ledger, settings(), clock()).checked_at is None
    written.check(ledger, clock(), ["AAPL"], mode=CheckMode.OBSERVE)
    seen = clock()
    written.check(ledger, clock.pass_(minutes=1), ["AAPL"], mode=CheckMode.REPLAY)
    assert read_books(ledger, settings(), clock()).checked_at == seen


def test_unread__only_what_all_of_the_last_checks_could_not_read(ledger: Ledger, clock: Clock) -> None:
    own = settings(alert_missed_checks="3")
    first = checks(ledger, clock, Reason.UNREAD, 2)
    assert read_books(ledger, own, clock()).unread is None
    checks(ledger, clock, Reason.UNREAD, 1)
    unread = read_books(ledger, own, clock()).unread
    assert unread is not None
    assert (unread.assets, unread.since, unread.why) == (("AAPL",), first, "why")
    checks(ledger, clock, Reason.BALANCED, 1)
    assert read_books(ledger, own, clock()).unread is None


def test_over_daily_limit__of_a_live_check_only(ledger: Ledger, clock: Clock) -> None:
    checks(ledger, clock, Reason.OVER_DAILY_LIMIT, 1)
    (verdict,) = read_books(ledger, settings(), clock()).over_daily_limit
    assert (verdict.asset, verdict.detail) == ("AAPL", "why")
    checks(ledger, clock, Reason.OVER_DAILY_LIMIT, 1, mode=CheckMode.DRY_RUN)
    assert read_books(ledger, settings(), clock()).over_daily_limit == ()


def test_costly__since_the_first_refusal_without_a_break(ledger: Ledger, clock: Clock) -> None:
    first = checks(ledger, clock, Reason.OVER_COST_BUDGET, 4)
    (verdict,) = read_books(ledger, settings(), clock()).costly
    assert (verdict.asset, verdict.since) == ("AAPL", first)


def test_stray__is_what_lies_in_the_wallet_of_assets_with_vaults(ledger: Ledger, clock: Clock) -> None:
    vaults = {
        "orderbook": "0x" + "22" * 20,
        "assets": f'{{"AAPL": {{"vaults": ["0x{"01" * 32}"]}}, "USDC": {{"vaults": ["0x{"02" * 32}"]}}}}',
    }
    assert read_books(ledger, settings(**vaults), clock()).stray == {}
    check_id = written.check(ledger, clock(), ["AAPL", "USDC"])
    held = {"available": "4", "in_flight": "0", "held": "1.5"}
    inventories = {"AAPL": {"onchain": held, "offchain": held}, "USDC": {"onchain": {"unread": "no answer"}}}
    with writing(ledger.engine) as session:
        session.execute(
            update(CheckRow).where(CheckRow.id == check_id).values(snapshot={"inventories": inventories})
        )
    assert read_books(ledger, settings(**vaults), clock()).stray == {"AAPL": Decimal("1.5")}
    assert read_books(ledger, settings(), clock()).stray == {}


def test_nonces__are_the_highest_of_the_wallet_by_chain(stage: Stage) -> None:
    stage.transaction(stage.open(OperationKind.REDEMPTION), Leg.REDEEM, "token_transfer")
    assert read_books(stage.ledger, settings(), stage.clock()).known_nonces == {"base": 7}
    other = settings(wallet=TOKEN.replace("11", "33"))
    assert read_books(stage.ledger, other, stage.clock()).known_nonces == {}
    nobody = settings(wallet="")
    assert read_books(stage.ledger, nobody, stage.clock()).known_nonces == {}


def test_late_runs__and_readings__come_from_the_alerts(ledger: Ledger, clock: Clock) -> None:
    book = AlertBook(ledger.engine, now=clock)
    book.observe([run_overdue("manual__2026-03-02T14:00:00+00:00", clock())], (), quiet=timedelta(0))
    book.keep_readings({"gas:base": ETH})
    found = read_books(ledger, settings(), clock())
    assert found.late_runs == {"manual__2026-03-02T14:00:00+00:00": clock()}
    assert found.readings["gas:base"].value == ETH


def test_statements__do_not_grow_with_what_there_is(ledger: Ledger, clock: Clock) -> None:
    counted: list[str] = []
    event.listen(ledger.engine, "before_cursor_execute", lambda *args: counted.append(args[2]))
    symbols = written.symbols(50)
    check_id = written.check(ledger, clock(), symbols)
    counts = []
    for number in (1, 50):
        counted.clear()
        if number > 1:
            written.operations(ledger, check_id, symbols, clock(), count=50, opened=50)
            counted.clear()
        found = read_books(ledger, settings(), clock())
        counts.append(len(counted))
    assert len(found.legs) == 50
    assert counts[0] == counts[1] < 15


def test_rules__gas_is_low_below_so_many_times_the_least() -> None:
    found = rules(settings(ethereum_min_gas_eth="0.02", alert_gas_factor="1.5"))
    assert found.gas == {"ethereum": 3 * ETH // 100, "base": 2 * ETH // 1000 * 3 // 4}
    assert found.reports_stray
    assert not rules(settings(stray_tokens="deposit")).reports_stray
