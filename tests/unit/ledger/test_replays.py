"""What the ledger keeps of replays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from include.ledger import replays
from include.ledger.database import reading
from include.ledger.records import CheckMode
from tests.support.plans import recorded_check, snapshot

if TYPE_CHECKING:
    import pytest

    from include.ledger.ledger import Ledger
    from tests.support.clock import Clock

ONE = replays.Replay("one", "a name", {"deviation": "0.1"}, {"assets": {}}, {"assets": {}}, 60)
OTHER = replace(ONE, id="other", name=None)
HALF = (Decimal(50), Decimal(50))


def run(clock: Clock, replay: replays.Replay = ONE, **more: Any) -> replays.ReplayRun:
    return replays.ReplayRun(replay.id, clock(), "backfill__1", **more)


def heads(ledger: Ledger, replay_id: str | None = None) -> list[replays.ReplayHead]:
    with reading(ledger.engine) as session:
        return replays.heads(session, replay_id)


def test_record_run__several__are_counted_by_what_became_of_them(ledger: Ledger, clock: Clock) -> None:
    source = recorded_check(ledger, clock(), AAPL=HALF)
    began = clock()
    replays.record_run(ledger.engine, ONE, run(clock, source_id=source, check_id=source), clock())
    for why in ("nothing_recorded", "outside_tolerance", "outside_tolerance"):
        clock.pass_(minutes=1)
        replays.record_run(ledger.engine, ONE, run(clock, skipped=why), clock())

    (head,) = heads(ledger)
    assert head.replay == ONE
    assert (head.created_at, head.first, head.last) == (began, began, clock())
    assert (head.done, head.skipped) == (1, {"nothing_recorded": 1, "outside_tolerance": 2})


def test_record_run__tried_again__takes_the_place_of_the_first(ledger: Ledger, clock: Clock) -> None:
    replays.record_run(ledger.engine, ONE, run(clock, skipped="nothing_recorded"), clock())
    source = recorded_check(ledger, clock(), AAPL=HALF)
    replays.record_run(ledger.engine, ONE, run(clock, source_id=source, check_id=source), clock())

    assert [(head.done, head.skipped) for head in heads(ledger)] == [(1, {})]


def test_record_run__another_run_introduced_the_replay_in_between__is_recorded_all_the_same(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    introduce = replays._introduce

    def late(*args: Any) -> None:
        introduce(*args)
        introduce(*args)

    monkeypatch.setattr(replays, "_introduce", late)
    replays.record_run(ledger.engine, ONE, run(clock, skipped="nothing_recorded"), clock())
    assert len(heads(ledger)) == 1


def test_heads__newest_first_or_one_alone(ledger: Ledger, clock: Clock) -> None:
    for one in (ONE, OTHER):
        replays.record_run(ledger.engine, one, run(clock, one, skipped="nothing_recorded"), clock())
        clock.pass_(seconds=1)

    assert [head.replay for head in heads(ledger)] == [OTHER, ONE]
    assert [head.replay for head in heads(ledger, "one")] == [ONE]
    assert heads(ledger, "none") == []


def test_snapshots__two_runs_on_the_same__yields_it_once_and_in_order(ledger: Ledger, clock: Clock) -> None:
    newer = recorded_check(ledger, clock() + timedelta(minutes=1), AAPL=HALF)
    older = recorded_check(ledger, clock(), AAPL=HALF)
    recorded_check(ledger, clock(), AAPL=HALF)  # of no replay
    for source in (newer, older, older):
        clock.pass_(minutes=2)
        replays.record_run(ledger.engine, ONE, run(clock, source_id=source, check_id=source), clock())

    with reading(ledger.engine) as session:
        assert [one["id"] for one in replays.snapshots(session, "one")] == [older, newer]


def test_version__changes_with_a_run_and_with_an_operation(ledger: Ledger, clock: Clock) -> None:
    def version() -> tuple[Any, ...]:
        with reading(ledger.engine) as session:
            return replays.version(session, "one")

    first = version()
    replays.record_run(ledger.engine, ONE, run(clock, skipped="nothing_recorded"), clock())
    second = version()
    replays.record_run(ledger.engine, OTHER, run(clock, OTHER, skipped="nothing_recorded"), clock())
    assert first != second == version()


def test_snapshot_before_and_after__a_replay__is_not_a_look(ledger: Ledger, clock: Clock) -> None:
    taken = snapshot(clock(), AAPL=HALF)
    ledger.record_check(taken.id, "backfill__1", CheckMode.REPLAY, taken, ())
    assert ledger.snapshot_before(clock()) is None
    assert ledger.snapshot_after(clock() - timedelta(seconds=1)) is None
