"""What has to be told, from books and readings as a test wants them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.alerts.detect import detect, gas_name, named, nonce_name, run_overdue
from include.alerts.kinds import Kind
from include.alerts.state import Books, LostEffect, OpenLeg, Rules, Steering, Unread, Verdict
from include.ledger.alerts import Condition, Reading

NOW = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ETH = 10**18
RULES = Rules(
    check_interval=MINUTE,
    missed_checks=5,
    cost_after=timedelta(hours=6),
    gas={"ethereum": 2 * ETH, "base": ETH},
    readings_last=15 * MINUTE,
    reports_stray=True,
)
FRESH = {
    gas_name("ethereum"): Reading(5 * ETH, NOW),
    nonce_name("ethereum"): Reading(8, NOW),
    gas_name("base"): Reading(5 * ETH, NOW),
    nonce_name("base"): Reading(3, NOW),
}
QUIET = Books(checked_at=NOW - MINUTE, seen_at=NOW - MINUTE, readings=FRESH, known_nonces={"ethereum": 7})
CALM = Steering(paused=False, held_wholly="")
LEG = OpenLeg("op-1", "AAPL", "mint of 31 AAPL", "mint", NOW - 10 * MINUTE, "the tokens", NOW + MINUTE)


def found(books: Books = QUIET, steering: Steering = CALM, rules: Rules = RULES) -> list[Condition]:
    return list(detect(books, steering, rules, NOW).conditions)


def one(books: Books = QUIET, steering: Steering = CALM, rules: Rules = RULES) -> Condition:
    (only,) = found(books, steering, rules)
    return only


def test_nothing_amiss__tells_nothing_and_has_judged_everything() -> None:
    quiet = detect(replace(QUIET, legs=(LEG,)), CALM, RULES, NOW)
    assert quiet.conditions == ()
    assert quiet.judged == set(Kind)


def test_leg__past_its_deadline__is_overdue_since_then() -> None:
    late = one(replace(QUIET, legs=(replace(LEG, due_at=NOW - MINUTE),)))
    assert late == Condition(
        "overdue:op-1:mint",
        Kind.OVERDUE,
        "mint of 31 AAPL, leg mint, waits for the tokens",
        NOW - MINUTE,
        "AAPL",
        "op-1",
    )


def test_leg__that_asks_for_a_person__is_not_also_overdue() -> None:
    asks = one(replace(QUIET, legs=(replace(LEG, attention="decide", due_at=NOW - MINUTE),)))
    assert (asks.kind, asks.text) == (Kind.ATTENTION, "mint of 31 AAPL, leg mint: the tokens: decide")
    same = one(replace(QUIET, legs=(replace(LEG, attention="the tokens", waiting_for="the tokens"),)))
    assert same.text == "mint of 31 AAPL, leg mint: the tokens"


def test_leg__that_waits_for_approval__says_until_when_and_nothing_after() -> None:
    waits = replace(LEG, approve_by=NOW + 30 * MINUTE, attention="this operation needs approval")
    told = one(replace(QUIET, legs=(waits,)))
    assert told.kind == Kind.APPROVAL
    assert told.text == "mint of 31 AAPL waits until 2026-03-02 15:00 UTC for a person who approves it"
    late = replace(LEG, approve_by=NOW, due_at=NOW + MINUTE)
    assert found(replace(QUIET, legs=(late,))) == []


def test_effect__whose_answer_was_lost__is_told() -> None:
    lost = LostEffect("op-1", "USDC", "usdc_alpaca_to_base of 40 USDC", "withdraw", "withdrawal_request", NOW)
    told = one(replace(QUIET, lost=(lost,)))
    assert told.key == "unknown_effect:op-1:withdraw:withdrawal_request"
    assert "the answer to withdrawal_request was lost" in told.text


@pytest.mark.parametrize(("age", "told"), [(5 * MINUTE, 0), (5 * MINUTE + timedelta(seconds=1), 1)])
def test_checks__stopped__are_told_after_so_many_intervals(age: timedelta, told: int) -> None:
    stopped = found(replace(QUIET, checked_at=NOW - age))
    assert [one.kind for one in stopped] == [Kind.NO_CHECK] * told
    assert all(one.since == NOW - age for one in stopped)


def test_checks__never_made__have_not_stopped() -> None:
    assert found(replace(QUIET, checked_at=None)) == []


def test_checks__that_read_nothing__name_a_few_assets() -> None:
    assets = tuple(f"A{letter}" for letter in "ABCDEFG")
    told = one(replace(QUIET, unread=Unread(assets, NOW - 5 * MINUTE, "onchain: no answer")))
    assert told.text == "AA, AB, AC, AD, AE and 2 more: onchain: no answer"
    assert told.since == NOW - 5 * MINUTE
    assert named(assets[:5]) == "AA, AB, AC, AD, AE"


def test_limits_and_budgets__are_told_for_each_asset() -> None:
    waited = Verdict("USDC", "costs 12 and the budget is 5", NOW - timedelta(hours=6))
    books = replace(
        QUIET,
        over_daily_limit=(Verdict("AAPL", "nothing is left", NOW),),
        costly=(waited, replace(waited, asset="OTHER", since=NOW - timedelta(hours=5))),
    )
    assert [(one.key, one.since) for one in found(books)] == [
        ("daily_limit:AAPL", NOW),
        ("cost_budget:USDC", NOW - timedelta(hours=6)),
    ]


def test_stray_tokens__only_where_they_are_reported_and_nothing_is_under_way() -> None:
    books = replace(QUIET, stray={"AAPL": Decimal("1.50")})
    assert one(books).text == "1.5 AAPL lies in the wallet, and is not moved from there"
    assert found(replace(books, legs=(LEG,))) == []
    assert found(replace(books, seen_at=None)) == []
    assert found(books, rules=replace(RULES, reports_stray=False)) == []


def test_gas__below_the_least__is_told_with_figures() -> None:
    low = one(replace(QUIET, readings={**FRESH, gas_name("ethereum"): Reading(2 * ETH - 1, NOW - MINUTE)}))
    expected = "the wallet holds 1.999999999999999999 ETH on ethereum, less than 2"
    assert (low.key, low.text, low.since) == ("gas_low:ethereum", expected, NOW - MINUTE)


def test_gas__not_read_lately__is_not_judged() -> None:
    old = Reading(0, NOW - 15 * MINUTE - timedelta(seconds=1))
    for readings in ({}, {**FRESH, gas_name("base"): old}):
        result = detect(replace(QUIET, readings=readings), CALM, RULES, NOW)
        assert result.conditions == ()
        assert Kind.GAS_LOW not in result.judged


@pytest.mark.parametrize(("mined", "known", "told"), [(8, 7, 0), (3, 7, 0), (9, 7, 1), (100, None, 0)])
def test_nonce__beyond_what_the_ledger_knows__is_told(mined: int, known: int | None, told: int) -> None:
    readings = {**FRESH, nonce_name("ethereum"): Reading(mined, NOW)}
    books = replace(QUIET, readings=readings, known_nonces={} if known is None else {"ethereum": known})
    assert [one.key for one in found(books)] == ["foreign_nonce:ethereum"] * told


def test_nonce__not_read__is_not_judged() -> None:
    readings = {name: one for name, one in FRESH.items() if name != nonce_name("base")}
    assert Kind.FOREIGN_NONCE not in detect(replace(QUIET, readings=readings), CALM, RULES, NOW).judged


def test_paused__with_money_under_way__is_told_since_the_leg_waits() -> None:
    paused = Steering(paused=True, held_wholly="")
    told = one(replace(QUIET, legs=(LEG, replace(LEG, operation_id="op-2", asset="TSLA"))), paused)
    assert (told.kind, told.text, told.since) == (Kind.PAUSED, "open: AAPL, TSLA", LEG.since)
    assert found(QUIET, paused) == []


def test_airflow__cannot_be_asked__leaves_it_open() -> None:
    result = detect(QUIET, Steering(), RULES, NOW)
    assert result.conditions == ()
    assert set(Kind) - result.judged == {Kind.PAUSED, Kind.HELD_WHOLLY}


def test_everything_held__is_told() -> None:
    assert one(steering=Steering(False, "the list cannot be read")).kind == Kind.HELD_WHOLLY


def test_late_run__is_told_until_it_is_over() -> None:
    books = replace(QUIET, late_runs={"run-1": NOW - MINUTE})
    assert one(books) == run_overdue("run-1", NOW - MINUTE)
    assert one(books, replace(CALM, running={"run-1": True})) == run_overdue("run-1", NOW - MINUTE)
    assert found(books, replace(CALM, running={"run-1": False})) == []


LEGS = st.builds(
    OpenLeg,
    operation_id=st.sampled_from(["a", "b", "c"]),
    asset=st.sampled_from(["AAPL", "USDC"]),
    what=st.just("it"),
    leg=st.sampled_from(["mint", "bridge"]),
    since=st.datetimes(timezones=st.just(UTC)),
    waiting_for=st.none() | st.text(),
    due_at=st.none() | st.datetimes(timezones=st.just(UTC)),
    attention=st.none() | st.text(min_size=1),
    approve_by=st.none() | st.datetimes(timezones=st.just(UTC)),
)


@given(legs=st.lists(LEGS, max_size=5, unique_by=lambda leg: (leg.operation_id, leg.leg)))
def test_any_legs__each_is_told_once_at_most_and_by_a_kind_that_was_judged(legs: list[OpenLeg]) -> None:
    result = detect(replace(QUIET, legs=tuple(legs)), CALM, RULES, NOW)
    keys = [one.key for one in result.conditions]
    assert len(keys) == len(set(keys)) <= len(legs)
    assert {one.kind for one in result.conditions} <= result.judged
    assert all("\n" not in one.key for one in result.conditions)
