"""The report of a replay, from a ledger that the pipeline has written."""

from __future__ import annotations

import time
import uuid
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert

from include.check import Run
from include.domain.operation import OperationKind
from include.ledger import replays
from include.ledger.database import writing
from include.ledger.schema import CheckRow, ReplayRunRow
from include.replay import report as reports
from include.replay import terms
from include.replay.overrides import Overrides
from include.replay.report import TAKES, Reports, UnknownReplay
from include.replay.run import replay
from tests.support.books import BALANCED, cancel, mint, record, settings, settle
from tests.unit.replay.pipeline import policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.ledger.ledger import Ledger
    from include.replay import models
    from tests.support.clock import Clock

RUN = Run("backfill__1")
WIDE = Overrides.read({"deviation": "0.5", "replay_name": "wide"})


def past(ledger: Ledger, clock: Clock) -> None:
    """Five looks a minute apart: too many shares, a mint of 31 that takes 30 s, balanced, too many again."""
    check_id = record(ledger, clock)
    began = clock()
    settle(ledger, clock, mint(ledger, clock, check_id), gas=10**15, after=30)
    for number in range(1, 4):
        clock.moment = began + timedelta(minutes=number)
        record(ledger, clock, BALANCED)
    clock.pass_(minutes=1)
    record(ledger, clock, (Decimal(15), Decimal(85)))


def replayed(ledger: Ledger, clock: Clock, overrides: Overrides) -> str:
    """Replay everything up to now, and return the id of the replay."""
    first = clock() - timedelta(minutes=6)
    for number in range(7):
        moment = first + timedelta(minutes=number)
        replay(ledger, settings(), RUN, moment, overrides, now=clock())
    found = [one for one in Reports(ledger.engine).list().replays if one.name == overrides.replay_name]
    return found[0].id


def of(report: models.Report, name: str) -> models.Compared:
    (found,) = [one for one in (*report.together, *report.assets) if one.of == name]
    return found


def test_report__the_settings_in_force__does_what_was_done(ledger: Ledger, clock: Clock) -> None:
    past(ledger, clock)

    found = Reports(ledger.engine).report(replayed(ledger, clock, Overrides()))

    assert (found.looks, found.replay.done, found.replay.skipped) == (5, 5, {"nothing_recorded": 2})
    aapl = of(found, "AAPL")
    assert aapl.was.operations == {"mint": 1}
    assert aapl.was.moved == "31"
    assert aapl.would.operations == {"mint": 2}  # the last look found too many again, and nothing moved yet
    assert (aapl.was.known_seconds, aapl.was.outside_own_seconds) == (240, 60)
    assert aapl.would.outside_own_seconds == aapl.was.outside_own_seconds
    assert (aapl.was.largest_excess, aapl.was.furthest) == ("35", "0.35")
    assert aapl.short_seconds == 0


def test_report__a_wider_band__moves_less_and_says_how_long_it_would_have_been_out(
    ledger: Ledger, clock: Clock
) -> None:
    past(ledger, clock)

    found = Reports(ledger.engine).report(replayed(ledger, clock, WIDE))

    aapl = of(found, "AAPL")
    assert (aapl.would.operations, aapl.would.moved, aapl.would.fees.dollars) == ({}, "0", "0")
    assert aapl.would.outside_own_seconds == 0
    assert aapl.would.outside_base_seconds == 240  # 19 of 100 all the time
    assert aapl.would.furthest == "0.5"  # of what lay onchain at the end, 31 would not have been there
    everything = of(found, "everything")
    assert (everything.was.operations, everything.was.moved) == ({"mint": 1}, None)
    assert of(found, "all equities").would == aapl.would


def test_report__costs__are_those_paid_and_the_rate_of_the_kind(ledger: Ledger, clock: Clock) -> None:
    past(ledger, clock)

    found = Reports(ledger.engine).report(replayed(ledger, clock, Overrides()))

    # Gas was paid, and without a price of ETH nobody knows in dollars how much: not nothing.
    assert of(found, "AAPL").was.fees.partial
    assert of(found, "AAPL").would.fees.dollars is None
    assumed = found.assumed["mint"]
    assert (assumed.takes_seconds, assumed.takes_from, assumed.fixed_dollars) == (30, 1, None)
    other = found.assumed["redemption"]
    assert other.takes_seconds == TAKES[OperationKind.REDEMPTION].total_seconds()
    assert (other.takes_from, other.costs_from) == (0, 0)


def test_report__open_and_cancelled_operations__are_counted_as_what_they_are(
    ledger: Ledger, clock: Clock
) -> None:
    began = clock()
    cancel(ledger, clock, mint(ledger, clock, record(ledger, clock)))
    clock.moment = began + timedelta(minutes=1)
    mint(ledger, clock, record(ledger, clock))
    clock.moment = began + timedelta(minutes=2)
    record(ledger, clock)

    found = Reports(ledger.engine).report(replayed(ledger, clock, Overrides()))

    was = of(found, "AAPL").was
    assert (was.operations, was.cancelled, was.moved) == ({"mint": 1}, 1, "31")
    assert was.fees.partial


def test_history__both_ratios__and_what_was_moved_and_would_have_been(ledger: Ledger, clock: Clock) -> None:
    past(ledger, clock)
    found = Reports(ledger.engine).history(replayed(ledger, clock, WIDE), "AAPL")

    assert [(was, would) for _, was, would in found.points] == [
        ("0.19", "0.19"),
        ("0.5", "0.19"),
        ("0.5", "0.19"),
        ("0.5", "0.19"),
        ("0.15", "0"),
    ]
    assert (found.lower, found.base_lower, found.target) == ("0", "0.2", "0.5")
    assert [(one.amount, one.status) for one in found.real] == [("31", "settled")]
    assert found.virtual == []


def test_history__nothing_was_recorded_for_long__has_a_gap(ledger: Ledger, clock: Clock) -> None:
    record(ledger, clock, BALANCED)
    clock.pass_(minutes=4)
    record(ledger, clock, BALANCED)

    found = Reports(ledger.engine).history(replayed(ledger, clock, Overrides()), "USDC")

    assert [ratio for _, ratio, _ in found.points] == ["0.5", None, "0.5"]


def test_report__nothing_but_skipped_runs__is_empty(ledger: Ledger, clock: Clock) -> None:
    found = Reports(ledger.engine)
    replay_id = replayed(ledger, clock, Overrides())

    report = found.report(replay_id)

    assert (report.looks, report.since, report.replay.skipped) == (0, None, {"nothing_recorded": 7})
    assert of(report, "USDC").was.furthest is None
    assert found.history(replay_id, "USDC").points == []


def test_reports__unknown_replay_or_asset__says_so(ledger: Ledger, clock: Clock) -> None:
    found = Reports(ledger.engine)
    assert found.list().replays == []
    with pytest.raises(UnknownReplay, match="no replay nothing"):
        found.report("nothing")
    with pytest.raises(UnknownReplay, match="TSLA"):
        found.history(replayed(ledger, clock, Overrides()), "TSLA")


def test_reports__asked_again__works_it_out_only_if_something_has_changed(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    past(ledger, clock)
    replay_id = replayed(ledger, clock, Overrides())
    found, worked, work_out = Reports(ledger.engine), list[int](), reports.work_out

    def counted(*args: Any) -> reports.Worked:
        worked.append(1)
        return work_out(*args)

    monkeypatch.setattr(reports, "work_out", counted)

    assert found.report(replay_id) == found.report(replay_id)
    found.history(replay_id, "AAPL")
    assert len(worked) == 1
    clock.pass_(seconds=1)
    replay(ledger, settings(), RUN, clock(), Overrides(), now=clock())
    found.report(replay_id)
    assert len(worked) == 2


def test_reports__many_replays__keeps_only_the_last_ones(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "KEPT", 1)
    found = Reports(ledger.engine)
    for overrides in (Overrides(), WIDE):
        found.report(replayed(ledger, clock, overrides))
    assert len(found._kept) == 1


def test_report__three_days_every_minute_of_ten_assets__is_soon_there(
    ledger: Ledger, clock: Clock, record_property: Callable[[str, object], None]
) -> None:
    assets = [*(f"A{number}" for number in range(9)), "USDC"]
    wanted = terms.to_dict(policy("0.1", assets=assets))
    head = replays.Replay("r" * 32, None, {}, wanted, wanted, 60)
    replays.record_run(
        ledger.engine, head, replays.ReplayRun(head.id, clock(), "run", skipped="nothing_recorded"), clock()
    )
    checks, runs = [], []
    for number in range(4320):
        at = clock() + timedelta(minutes=number + 1)
        checks.append(_check(str(uuid.UUID(int=number)), at.isoformat(), assets, number) | {"taken_at": at})
        runs.append(
            {
                "replay_id": head.id,
                "moment": at,
                "run_id": "r",
                "source_id": checks[-1]["id"],
                "recorded_at": at,
            }
        )
    with writing(ledger.engine) as session:
        session.execute(insert(CheckRow), [{**one, "recorded_at": clock()} for one in checks])
        session.execute(insert(ReplayRunRow), runs)

    began = time.process_time()
    found = Reports(ledger.engine).report(head.id)
    took = time.process_time() - began

    record_property("report_seconds", round(took, 2))
    print(f"report of {found.looks} looks of {len(assets)} assets: {took:.2f} s of this process")
    assert found.looks == 4320
    assert sum(of(found, "everything").would.operations.values()) > 100
    assert took < 10  # about 1 s where nothing else runs; a loop over all pairs would take minutes


def _check(check_id: str, at: str, assets: list[str], number: int) -> dict[str, object]:
    inventories = {}
    for place, asset in enumerate(assets):
        onchain = 500 + (number * 7 + place * 131) % 400
        sides = [
            {"available": f"{amount}.25", "in_flight": "0", "held": "0"}
            for amount in (onchain, 1400 - onchain)
        ]
        inventories[asset] = {"onchain": sides[0], "offchain": sides[1]}
    snapshot = {
        "id": check_id,
        "taken_at": at,
        "base_block": number,
        "ethereum_block": number,
        "inventories": inventories,
    }
    return {
        "id": check_id,
        "run_id": "r",
        "mode": "live",
        "base_block": number,
        "ethereum_block": number,
        "snapshot": snapshot,
    }
