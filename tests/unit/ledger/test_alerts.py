"""Alerts are told once: when they appear, when they end, across restarts and two at once."""

from __future__ import annotations

import threading
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from include.ledger.alerts import CLAIM, AlertBook, Condition, Reading, Stage, Telling

if TYPE_CHECKING:
    from include.ledger.ledger import Ledger
    from tests.support.clock import Clock

QUIET = timedelta(minutes=5)
BOTH = ("mail", "chat")


@pytest.fixture
def book(ledger: Ledger, clock: Clock) -> AlertBook:
    return AlertBook(ledger.engine, now=clock)


def condition(clock: Clock, key: str = "overdue:1", text: str = "late") -> Condition:
    return Condition(key, key.partition(":")[0], text, clock(), "AAPL", "op-1")


def tell(book: AlertBook, *notifiers: str, repeat: timedelta | None = None) -> list[tuple[str, Stage]]:
    """Tell everything that is to be told, and return it."""
    found = book.take(notifiers or ("mail",), repeat=repeat)
    for telling in found:
        book.told(telling)
    return [(telling.notifier, telling.stage) for telling in found]


def test_take__a_condition_appears__is_told_once_to_each(book: AlertBook, clock: Clock) -> None:
    book.observe([condition(clock)], {"overdue"}, quiet=QUIET)
    assert tell(book, *BOTH) == [("mail", Stage.HOLDS), ("chat", Stage.HOLDS)]
    clock.pass_(minutes=1)
    book.observe([condition(clock, text="later")], {"overdue"}, quiet=QUIET)
    assert tell(book, *BOTH) == []
    (standing,) = book.standing()
    assert (standing.text, standing.asset, standing.operation_id) == ("later", "AAPL", "op-1")
    assert standing.since == standing.first_seen_at == clock() - timedelta(minutes=1)


def test_take__after_a_restart__is_not_told_again(book: AlertBook, ledger: Ledger, clock: Clock) -> None:
    book.observe([condition(clock)], {"overdue"}, quiet=QUIET)
    tell(book)
    again = AlertBook(ledger.engine, now=clock)
    again.observe([condition(clock)], {"overdue"}, quiet=QUIET)
    assert tell(again) == []


def test_take__a_notifier_that_is_new__is_told_what_holds(book: AlertBook, clock: Clock) -> None:
    book.observe([condition(clock)], {"overdue"}, quiet=QUIET)
    tell(book, "mail")
    assert tell(book, "mail", "chat") == [("chat", Stage.HOLDS)]


def test_take__again_after_a_while__tells_that_it_still_holds(book: AlertBook, clock: Clock) -> None:
    hour = timedelta(hours=1)
    book.observe([condition(clock)], {"overdue"}, quiet=QUIET)
    assert tell(book, repeat=hour) == [("mail", Stage.HOLDS)]
    clock.pass_(minutes=59)
    assert tell(book, repeat=hour) == []
    clock.pass_(minutes=1)
    assert tell(book, repeat=hour) == [("mail", Stage.STILL_HOLDS)]
    assert tell(book, repeat=hour) == []


def test_failed__a_notifier__is_told_again_and_the_others_are_not(book: AlertBook, clock: Clock) -> None:
    book.observe([condition(clock)], {"overdue"}, quiet=QUIET)
    mail, chat = book.take(BOTH, repeat=None)
    book.failed(mail, "ConnectionError")
    book.told(chat)
    assert tell(book, *BOTH) == [("mail", Stage.HOLDS)]
    assert tell(book, *BOTH) == []


def test_take__claimed_by_one_that_died__is_told_again_after_the_claim(book: AlertBook, clock: Clock) -> None:
    book.observe([condition(clock)], {"overdue"}, quiet=QUIET)
    assert len(book.take(["mail"], repeat=None)) == 1
    assert book.take(["mail"], repeat=None) == []
    clock.pass_(seconds=CLAIM.total_seconds())
    assert tell(book) == [("mail", Stage.HOLDS)]


def test_observe__gone_for_the_quiet_time__ends_and_is_told(book: AlertBook, clock: Clock) -> None:
    book.observe([condition(clock)], {"overdue"}, quiet=QUIET)
    tell(book)
    clock.pass_(minutes=4)
    book.observe([], {"overdue"}, quiet=QUIET)
    assert tell(book) == []
    assert len(book.standing()) == 1
    clock.pass_(minutes=1)
    book.observe([], {"overdue"}, quiet=QUIET)
    assert tell(book) == [("mail", Stage.RESOLVED)]
    assert tell(book) == []
    assert book.standing() == []


def test_observe__its_kind_was_not_judged__does_not_end(book: AlertBook, clock: Clock) -> None:
    book.observe([condition(clock)], {"overdue"}, quiet=QUIET)
    clock.pass_(hours=1)
    book.observe([], {"gas_low"}, quiet=QUIET)
    assert len(book.standing()) == 1


def test_take__it_ended_before_a_notifier_was_told__tells_it_nothing(book: AlertBook, clock: Clock) -> None:
    book.observe([condition(clock)], {"overdue"}, quiet=QUIET)
    (mail,) = book.take(["mail"], repeat=None)
    book.failed(mail, "TimeoutError")
    clock.pass_(hours=1)
    book.observe([], {"overdue"}, quiet=QUIET)
    assert tell(book, *BOTH) == []


def test_observe__comes_and_goes__is_one_alert(book: AlertBook, clock: Clock) -> None:
    told = []
    for minute in range(24):
        book.observe([condition(clock)] if minute % 4 == 0 else [], {"overdue"}, quiet=QUIET)
        told += tell(book)
        clock.pass_(minutes=1)
    assert told == [("mail", Stage.HOLDS)]


def test_observe__comes_again_and_again__waits_longer_each_time(book: AlertBook, clock: Clock) -> None:
    """A condition that holds for a moment in every quarter of an hour is told ever more seldom."""
    told = []
    for minute in range(0, 240, 5):
        book.observe([condition(clock)] if minute % 15 == 0 else [], {"overdue"}, quiet=QUIET)
        told += tell(book)
        clock.pass_(minutes=5)
    # After 5 minutes, after 10, and then never, as it comes again before 20 minutes have passed.
    assert len(told) == 5


def test_observe__no_quiet_time__ends_at_once(book: AlertBook, clock: Clock) -> None:
    for _ in range(3):
        book.observe([condition(clock)], {"overdue"}, quiet=timedelta(0))
        assert tell(book) == [("mail", Stage.HOLDS)]
        book.observe([], {"overdue"}, quiet=timedelta(0))
        assert tell(book) == [("mail", Stage.RESOLVED)]


def test_two_at_once__tell_it_once(ledger: Ledger, clock: Clock) -> None:
    barrier, lock = threading.Barrier(4), threading.Lock()
    found: list[tuple[str, str]] = []

    def work() -> None:
        book = AlertBook(ledger.engine, now=clock)
        barrier.wait()
        book.observe([condition(clock, f"overdue:{number}") for number in range(5)], (), quiet=QUIET)
        mine: list[Telling] = book.take(BOTH, repeat=None)
        with lock:
            found.extend((one.alert.key, one.notifier) for one in mine)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted((f"overdue:{number}", name) for number in range(5) for name in BOTH)
    assert len(AlertBook(ledger.engine).standing()) == 5


def test_readings__are_replaced_and_know_their_age(book: AlertBook, clock: Clock) -> None:
    assert book.readings() == {}
    book.keep_readings({"gas:base": 10**30})
    then = clock()
    clock.pass_(minutes=5)
    book.keep_readings({"nonce:base": 7})
    book.keep_readings({"nonce:base": 8})
    assert book.readings() == {"gas:base": Reading(10**30, then), "nonce:base": Reading(8, clock())}


STEPS = st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 400)), max_size=20)


@given(steps=STEPS)
@hypothesis_settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_order__what_is_told_alternates_and_never_storms(
    ledger: Ledger, clock: Clock, steps: list[tuple[bool, bool, int]]
) -> None:
    """Whatever comes and goes, and however often a notifier fails: that it holds, that it ended, in turn."""
    book, key = AlertBook(ledger.engine, now=clock), f"overdue:{clock.pass_(days=2)}"
    told: list[tuple[Stage, float]] = []
    began = clock()
    for holds, takes_it, pause in steps:
        book.observe([condition(clock, key)] if holds else [], {"overdue"}, quiet=QUIET)
        for telling in book.take(["mail"], repeat=None):
            if telling.alert.key != key:
                continue
            if takes_it:
                book.told(telling)
                told.append((telling.stage, (clock() - began).total_seconds()))
            else:
                book.failed(telling, "no")
        clock.pass_(seconds=pause)
    stages = [stage for stage, _ in told]
    assert stages == [Stage.HOLDS, Stage.RESOLVED] * (len(stages) // 2) + [Stage.HOLDS] * (len(stages) % 2)
    resolved = [at for stage, at in told if stage is Stage.RESOLVED]
    assert all(later - earlier >= QUIET.total_seconds() for earlier, later in pairwise(resolved))
