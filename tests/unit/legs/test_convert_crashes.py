"""However faults, crashes and time follow each other, an operation has one order at most, and an end."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from include.domain.operation import OperationKind, OperationStatus
from include.ledger.database import migrate, open_engine
from include.ledger.ledger import Ledger
from include.legs.leg import Done, Wait
from tests.chaos.boundaries import Recorder
from tests.support.clock import Clock
from tests.unit.legs.exchange import FINAL, REFUSALS, Desk, open_desk

if TYPE_CHECKING:
    from pathlib import Path

TO_BASE, TO_ALPACA = OperationKind.USDC_ALPACA_TO_BASE, OperationKind.USDC_BASE_TO_ALPACA
BOTH = pytest.mark.parametrize("kind", [TO_BASE, TO_ALPACA])


class Killed(BaseException):
    """The process is gone."""


def die() -> None:
    raise Killed


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with nothing in it, to be copied."""
    file = tmp_path_factory.mktemp("ledger") / "empty.db"
    engine = open_engine(f"sqlite:///{file}")
    migrate(engine)
    engine.dispose()
    return file


def begin(empty: Path, kind: OperationKind) -> tuple[Desk, Ledger]:
    file, clock = empty.with_name("case.db"), Clock()
    for old in empty.parent.glob("case.db*"):
        old.unlink()
    shutil.copy(empty, file)
    engine = open_engine(f"sqlite:///{file}")
    # Nothing here outlives the machine, and waiting for its disk takes most of the time.
    event.listen(engine, "connect", lambda connection, _record: connection.execute("PRAGMA synchronous=OFF"))
    ledger = Ledger(engine, now=clock)
    return open_desk(ledger, clock, kind), ledger


def push(desk: Desk, recorder: Recorder) -> None:
    """Push once, and perhaps die in it."""
    with recorder.commits(), recorder.at("convert"):
        try:
            desk.push()
        except Killed:
            desk.clock.pass_(seconds=61)  # the lease of the dead


def to_the_end(desk: Desk) -> None:
    """Push until it is over, in a world where nothing is in the way any more."""
    exchange = desk.exchange
    exchange.answers.clear()
    exchange.blind, exchange.cancel_error, exchange.read_error = 0, None, None
    exchange.cancels_at_once = True
    for _ in range(50):
        outcome = desk.push()
        if not isinstance(outcome, Wait):
            break
        if exchange.orders and exchange.one.is_open:
            exchange.fill_all()
        desk.clock.pass_(seconds=outcome.every.total_seconds())
    assert not isinstance(outcome, Wait), outcome


def require_one_order(desk: Desk) -> None:
    exchange = desk.exchange
    assert len(exchange.orders) <= 1
    assert len({effect.reference for effect in desk.orders if effect.reference}) <= 1
    for order in exchange.orders:
        assert order.client_order_id == desk.operation.id
        if desk.leg.is_done or not desk.status.is_open:
            assert order.status in FINAL  # nothing is left behind that still trades
    if not desk.leg.is_done:
        return
    if desk.operation.kind is TO_ALPACA:
        assert desk.leg.amount_out == desk.operation.amount
    else:
        amount = desk.leg.amount_out or 0
        assert amount <= desk.operation.amount
        assert amount <= int(exchange.usdc.scaleb(6))


@BOTH
def test_kill__at_every_boundary__there_is_one_order_and_it_is_found(
    empty: Path, kind: OperationKind
) -> None:
    desk, ledger = begin(empty, kind)
    recorder = Recorder()
    desk.exchange.reach = recorder.reach
    push(desk, recorder)
    desk.exchange.fill_all()
    push(desk, recorder)
    assert desk.leg.is_done
    ledger.close()
    trace = recorder.trace
    assert "convert: post" in trace
    assert "convert: taken" in trace
    for target in range(len(trace)):
        desk, ledger = begin(empty, kind)
        recorder = Recorder(target, die)
        desk.exchange.reach = recorder.reach
        push(desk, recorder)
        if desk.exchange.orders:
            desk.exchange.fill_all()
        push(desk, recorder)
        desk.exchange.reach = lambda _what: None
        to_the_end(desk)
        require_one_order(desk)
        assert desk.leg.is_done, trace[target]
        assert len(desk.exchange.orders) == 1
        ledger.close()


# Not a duplicate of nothing: that is for a person, and has a test of its own.
faults = st.sampled_from(["taken", "lost", "never", *REFUSALS])
events = st.one_of(
    st.tuples(st.just("push"), st.one_of(st.none(), st.integers(0, 25))),
    st.tuples(st.just("pass"), st.sampled_from([1, 2, 11, 31, 61, 150, 301])),
    st.tuples(st.just("answer"), faults),
    st.tuples(st.just("blind"), st.integers(1, 3)),
    st.tuples(st.just("fill"), st.sampled_from(["1000", "2500.1234567", "all"])),
    st.tuples(st.just("end"), st.sampled_from(["rejected", "canceled", "expired"])),
    st.tuples(st.just("cancels"), st.booleans()),
    st.tuples(st.just("position"), st.sampled_from(["0", "500", "4100"])),
)


def happen(desk: Desk, what: str, value: Any) -> None:
    exchange = desk.exchange
    alive = bool(exchange.orders) and exchange.one.is_open
    if what == "push":
        recorder = Recorder(value, die)
        exchange.reach = recorder.reach
        push(desk, recorder)
        exchange.reach = lambda _what: None
    elif what == "pass":
        desk.clock.pass_(seconds=value)
    elif what == "answer":
        exchange.answers.append(value)
    elif what == "blind":
        exchange.blind = value
    elif what == "cancels":
        exchange.cancels_at_once = value
    elif what == "position" and not (exchange.orders or desk.leg.is_done) and desk.operation.kind is TO_BASE:
        exchange.usdc = type(exchange.usdc)(value)
    elif what == "end" and alive:
        exchange.change(status=value)
    elif what == "fill" and alive and value == "all":
        exchange.fill_all()
    elif what == "fill" and alive and exchange.one.filled_qty == 0:
        exchange.fill(value, "partially_filled")


@BOTH
@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(story=st.lists(events, max_size=14))
def test_order__any_order_of_faults__is_one_at_most_and_has_an_end(
    empty: Path, kind: OperationKind, story: list[tuple[str, Any]]
) -> None:
    desk, ledger = begin(empty, kind)
    try:
        for what, value in story:
            happen(desk, what, value)
            require_one_order(desk)
        to_the_end(desk)
        require_one_order(desk)
        assert desk.leg.is_done or desk.status is OperationStatus.CANCELLED
        if kind is TO_ALPACA:
            assert isinstance(desk.push(), Done)
    finally:
        ledger.close()
