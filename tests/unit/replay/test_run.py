"""What one run of a replay makes of the past. The plan has tests of its own."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from include.check import Checked, Run
from include.domain.decision import Reason
from include.domain.operation import Leg
from include.ledger import replays
from include.ledger.database import reading
from include.ledger.records import CheckMode
from include.replay.overrides import Overrides, OverridesRefused
from include.replay.run import Skip, Skipped, replay
from tests.support.books import (
    BALANCED,
    MINUTE,
    TOO_MANY_SHARES,
    cancel,
    mint,
    record,
    settings,
    settle,
)

if TYPE_CHECKING:
    from datetime import datetime

    from include.domain.decision import Decision
    from include.ledger.ledger import Ledger
    from include.settings import Settings
    from tests.support.clock import Clock

RUN = Run("backfill__1")
LONG = Overrides(replay_tolerance=timedelta(days=60))


def again(
    ledger: Ledger, moment: datetime, own: Settings | None = None, overrides: Overrides = LONG
) -> Checked:
    """Replay what was recorded by a moment; it must not be skipped."""
    found = replay(ledger, own or settings(), RUN, moment, overrides, now=moment)
    assert isinstance(found, Checked)
    return found


def decisions(ledger: Ledger, clock: Clock, **values: str) -> dict[str, Decision]:
    """Replay what was recorded by now."""
    found = again(ledger, clock(), settings(**values))
    return {decision.asset: decision for decision in found.decisions}


def reason_of(checked: Checked) -> Reason:
    return checked.decisions[0].reason


def heads(ledger: Ledger) -> list[replays.ReplayHead]:
    with reading(ledger.engine) as session:
        return replays.heads(session)


def test_replay__nothing_was_recorded_by_then__is_skipped_and_says_so(ledger: Ledger, clock: Clock) -> None:
    before = clock() - MINUTE
    record(ledger, clock)

    found = replay(ledger, settings(), RUN, before, now=clock())

    assert isinstance(found, Skip)
    assert (found.reason, str(before) in found.words) == (Skipped.NOTHING_RECORDED, True)
    assert [(head.done, head.skipped) for head in heads(ledger)] == [(0, {"nothing_recorded": 1})]


def test_replay__asset_out_of_its_band__proposes_and_plans_nothing(ledger: Ledger, clock: Clock) -> None:
    record(ledger, clock)

    found = decisions(ledger, clock)

    assert found["AAPL"].reason is Reason.DRY_RUN
    assert found["AAPL"].operation is None
    assert found["AAPL"].proposed is not None
    assert found["AAPL"].proposed.amount == 31
    assert found["USDC"].reason is Reason.BALANCED


def test_replay__long_after__is_not_stale(ledger: Ledger, clock: Clock) -> None:
    record(ledger, clock)
    clock.pass_(days=30)

    assert decisions(ledger, clock)["AAPL"].reason is Reason.DRY_RUN


def test_replay__takes_the_newest_balances_up_to_the_moment(ledger: Ledger, clock: Clock) -> None:
    record(ledger, clock, BALANCED)
    clock.pass_(minutes=1)
    record(ledger, clock, TOO_MANY_SHARES)
    moment = clock()
    clock.pass_(minutes=1)
    record(ledger, clock, BALANCED)

    checked = again(ledger, moment)

    assert checked.snapshot.taken_at == moment
    assert checked.decisions[0].reason is Reason.DRY_RUN


def test_replay__uses_the_settings_of_today(ledger: Ledger, clock: Clock) -> None:
    record(ledger, clock)

    assert decisions(ledger, clock, rebalancing_deviation="0.4")["AAPL"].reason is Reason.BALANCED


def test_replay__operation_was_open_then__is_claimed_though_it_is_closed_now(
    ledger: Ledger, clock: Clock
) -> None:
    operation = mint(ledger, clock, record(ledger, clock))
    clock.pass_(minutes=1)
    record(ledger, clock)
    moment = clock()
    clock.pass_(minutes=1)
    with ledger.lease(operation, "somebody", MINUTE) as lease:
        lease.cancel("the market is closed")

    checked = again(ledger, moment)

    assert checked.decisions[0].reason is Reason.CLAIMED


def test_replay__operation_was_opened_later__claims_nothing(ledger: Ledger, clock: Clock) -> None:
    check_id = record(ledger, clock)
    moment = clock()
    mint(ledger, clock, check_id)

    checked = again(ledger, moment)

    assert checked.decisions[0].reason is Reason.DRY_RUN


def test_replay__operation_was_closed_just_before__is_settling(ledger: Ledger, clock: Clock) -> None:
    operation = mint(ledger, clock, record(ledger, clock))
    clock.pass_(minutes=1)
    with ledger.lease(operation, "somebody", MINUTE) as lease:
        lease.finish(Leg.MINT, amount_out=31_000_000_000, base_block=101)  # the next snapshot is of 100
    clock.pass_(seconds=1)
    record(ledger, clock)

    found = decisions(ledger, clock)

    assert found["AAPL"].reason is Reason.SETTLING


def test_replay__day_was_used_up_then__says_so_though_it_is_cancelled_now(
    ledger: Ledger, clock: Clock
) -> None:
    check_id = record(ledger, clock)
    settle(ledger, clock, mint(ledger, clock, check_id))
    record(ledger, clock)
    day_is_full = clock()
    clock.pass_(seconds=1)
    later = mint(ledger, clock, check_id)
    clock.pass_(seconds=1)
    record(ledger, clock)
    while_open = clock()
    cancel(ledger, clock, later)

    def reason(moment: datetime, maximum: str) -> Reason:
        return reason_of(again(ledger, moment, settings(equity_daily_maximum=maximum)))

    assert reason(day_is_full, "31") is Reason.OVER_DAILY_LIMIT
    assert reason(day_is_full, "62") is Reason.DRY_RUN
    assert reason(while_open, "62") is Reason.CLAIMED


def test_replay__was_resting_then__says_so(ledger: Ledger, clock: Clock) -> None:
    check_id = record(ledger, clock)
    for _ in range(2):
        cancel(ledger, clock, mint(ledger, clock, check_id))
        clock.pass_(seconds=1)
    clock.pass_(minutes=9)
    record(ledger, clock)
    assert decisions(ledger, clock)["AAPL"].reason is Reason.COOLING_DOWN
    clock.pass_(minutes=1)
    record(ledger, clock)
    assert decisions(ledger, clock)["AAPL"].reason is Reason.DRY_RUN


def test_replay__is_recorded_as_one_and_repeats_itself(ledger: Ledger, clock: Clock) -> None:
    record(ledger, clock)

    first, second = again(ledger, clock()), again(ledger, clock())

    assert first.mode is CheckMode.REPLAY
    assert first.id != second.id
    assert ledger.decisions(first.id) == list(first.decisions) == list(second.decisions)
    assert ledger.snapshot(first.id).inventories == first.snapshot.inventories
    assert ledger.operations() == []


def test_replay__rebalancing_disabled__says_so(ledger: Ledger, clock: Clock) -> None:
    record(ledger, clock)

    found = decisions(ledger, clock, rebalancing_enabled="false")

    assert found["AAPL"].reason is Reason.REBALANCING_DISABLED


def test_replay__balances_older_than_tolerated__is_skipped_and_says_of_when_they_are(
    ledger: Ledger, clock: Clock
) -> None:
    record(ledger, clock)
    taken = clock()
    on_the_edge = taken + 2 * settings().rebalancing_check_interval

    assert isinstance(replay(ledger, settings(), RUN, on_the_edge, now=clock()), Checked)
    found = replay(ledger, settings(), RUN, on_the_edge + timedelta(seconds=1), now=clock())

    assert isinstance(found, Skip)
    assert found.reason is Skipped.OUTSIDE_TOLERANCE
    assert str(taken) in found.words
    (head,) = heads(ledger)
    assert (head.done, head.skipped) == (1, {"outside_tolerance": 1})


def test_replay__another_replay_was_recorded_since__is_not_taken_for_a_look(
    ledger: Ledger, clock: Clock
) -> None:
    source = record(ledger, clock)
    again(ledger, clock())

    found = again(ledger, clock() + MINUTE)

    assert found.snapshot.taken_at == ledger.snapshot(source).taken_at
    with reading(ledger.engine) as session:
        (head,) = replays.heads(session)
        assert [one["id"] for one in replays.snapshots(session, head.replay.id)] == [source]


def test_replay__overridden__decides_by_the_overrides_and_keeps_them(ledger: Ledger, clock: Clock) -> None:
    record(ledger, clock)

    wide = again(ledger, clock(), overrides=Overrides.read({"deviation": "0.4", "replay_name": "wide"}))
    half = again(ledger, clock(), overrides=Overrides.read({"per_asset": {"AAPL": {"maximum": 7}}}))

    assert reason_of(wide) is Reason.BALANCED
    assert half.decisions[0].proposed is not None
    assert half.decisions[0].proposed.amount == 7
    found = {head.replay.name: head for head in heads(ledger)}
    assert found["wide"].replay.overrides == {"deviation": "0.4"}
    assert found["wide"].replay.policy["assets"]["AAPL"]["deviation"] == "0.4"
    assert found["wide"].replay.base_policy["assets"]["AAPL"]["deviation"] == "0.3"
    assert found[None].replay.overrides == {"per_asset": {"AAPL": {"maximum": "7"}}}


def test_replay__overrides_do_not_fit_the_settings__is_refused_and_records_nothing(
    ledger: Ledger, clock: Clock
) -> None:
    record(ledger, clock)
    overrides = Overrides.read({"stop_deviation": "0.5"})

    with pytest.raises(OverridesRefused, match="stop_deviation"):
        replay(ledger, settings(), RUN, clock(), overrides, now=clock())
    assert heads(ledger) == []


def test_replay__the_same_settings__is_the_same_replay_and_others_are_others(
    ledger: Ledger, clock: Clock
) -> None:
    record(ledger, clock)
    for own, given in (
        (settings(), {}),
        (settings(rebalancing_enabled="false"), {}),  # may money move? it does not matter here
        (settings(), {"replay_name": "another"}),
        (settings(), {"deviation": "0.1"}),
        (settings(rebalancing_deviation="0.1"), {}),
    ):
        again(ledger, clock(), own, Overrides.read(given))
        clock.pass_(seconds=1)

    assert sorted(head.done for head in heads(ledger)) == [1, 1, 1, 2]
