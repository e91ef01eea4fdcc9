"""Checks, claims, adoption and leases."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from include.domain.decision import Decision, PlannedOperation, Reason
from include.domain.imbalance import TooMuchOffchain
from include.domain.operation import Leg, OperationKind, OperationStatus
from include.ledger.lease import LeaseLost
from include.ledger.ledger import AssetClaimed, LeaseHeld, Ledger, SnapshotOutdated, new_id, utc_now
from tests.support.plans import recorded_check, snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from include.ledger.records import Operation
    from tests.support.clock import Clock

MINUTE = timedelta(minutes=1)
MINT, TO_BASE = OperationKind.MINT, OperationKind.USDC_ALPACA_TO_BASE


def claim(
    ledger: Ledger,
    clock: Clock,
    asset: str = "AAPL",
    kind: OperationKind = MINT,
    *,
    run_id: str = "run-1",
    taken_at: datetime | None = None,
    amount: int = 31 * 10**9,
    legs: Sequence[Leg] | None = None,
) -> Operation:
    taken_at = taken_at or clock()
    check_id = recorded_check(ledger, taken_at, run_id=run_id)
    return ledger.claim(
        kind=kind,
        asset=asset,
        amount=amount,
        decimals=kind.decimals,
        check_id=check_id,
        run_id=run_id,
        taken_at=taken_at,
        legs=legs,
    )


def settle(ledger: Ledger, operation: Operation, **blocks: int) -> None:
    with ledger.lease(operation.id, "test", MINUTE) as lease:
        for leg in operation.kind.legs:
            lease.finish(leg, amount_out=operation.amount, **blocks)


def test_check__recorded__comes_back_whole(ledger: Ledger, clock: Clock) -> None:
    planned = Decision(
        "AAPL",
        Reason.PLANNED,
        "19 of 100 is onchain",
        TooMuchOffchain(Decimal(31)),
        PlannedOperation(MINT, "AAPL", Decimal(31)),
    )
    skipped = Decision("NVDA", Reason.BALANCED, "50 of 100 is onchain")
    check_id = recorded_check(ledger, clock(), planned, skipped, AAPL=(Decimal(19), Decimal(81)))
    taken = ledger.snapshot(check_id)
    assert taken.taken_at == clock()
    assert taken.inventories["AAPL"].ratio == Decimal("0.19")
    assert ledger.decisions(check_id) == [planned, skipped]


def test_snapshot_before__several__is_the_newest_not_after(ledger: Ledger, clock: Clock) -> None:
    assert ledger.snapshot_before(clock()) is None
    first = recorded_check(ledger, clock())
    second = recorded_check(ledger, clock.pass_(seconds=60))
    recorded_check(ledger, clock.pass_(seconds=60))
    found = [ledger.snapshot_before(clock() - timedelta(seconds=s)) for s in (1, 60, 61, 121)]
    assert [taken and taken.id for taken in found] == [second, second, first, None]


def test_snapshot_after__several__is_the_oldest_that_is_newer(ledger: Ledger, clock: Clock) -> None:
    start = clock()
    recorded_check(ledger, start)
    second = recorded_check(ledger, clock.pass_(seconds=60))
    recorded_check(ledger, clock.pass_(seconds=60))
    after = ledger.snapshot_after(start)
    assert after is not None
    assert after.id == second
    assert ledger.snapshot_after(clock()) is None


def test_claim__free_asset__opens_with_its_legs(ledger: Ledger, clock: Clock) -> None:
    operation = claim(ledger, clock, "USDC", TO_BASE, amount=1_000_000_000)
    assert operation.status is OperationStatus.OPEN
    assert operation.quantity == Decimal(1000)
    assert [(leg.name, leg.amount_in, leg.is_done) for leg in ledger.legs(operation.id)] == [
        (Leg.WITHDRAW, 1_000_000_000, False),
        (Leg.BRIDGE, None, False),
    ]
    assert [claimed.asset for claimed in ledger.open_operations()] == ["USDC"]


def test_claim__with_legs_and_terms__opens_with_those(ledger: Ledger, clock: Clock) -> None:
    operation = ledger.claim(
        kind=TO_BASE,
        asset="USDC",
        amount=7,
        decimals=6,
        check_id=recorded_check(ledger, clock()),
        run_id="run-1",
        taken_at=clock(),
        legs=(Leg.WITHDRAW, Leg.BRIDGE, Leg.VAULT_DEPOSIT),
        notes={"terms": {"vaults": ["0x1"]}},
    )
    legs = ledger.legs(operation.id)
    assert [(leg.name, leg.position, leg.amount_in) for leg in legs] == [
        (Leg.WITHDRAW, 0, 7),
        (Leg.BRIDGE, 1, None),
        (Leg.VAULT_DEPOSIT, 2, None),
    ]
    assert [leg.notes for leg in legs] == [{"terms": {"vaults": ["0x1"]}}] * 3
    with ledger.lease(operation.id, "test", MINUTE) as lease:
        assert lease.finish(Leg.WITHDRAW, amount_out=6) is False
        assert lease.finish(Leg.BRIDGE, amount_out=5) is False
        assert lease.finish(Leg.VAULT_DEPOSIT, amount_out=5) is True


def test_claim__asset_already_claimed__is_refused(ledger: Ledger, clock: Clock) -> None:
    claim(ledger, clock)
    with pytest.raises(AssetClaimed, match="AAPL"):
        claim(ledger, clock, kind=OperationKind.REDEMPTION)
    assert len(ledger.operations()) == 1


def test_claim__two_assets__are_independent(ledger: Ledger, clock: Clock) -> None:
    claim(ledger, clock, "AAPL")
    claim(ledger, clock, "NVDA")
    assert {operation.asset for operation in ledger.operations(only_open=True)} == {"AAPL", "NVDA"}


def test_claim__many_at_once__one_succeeds(ledger: Ledger, clock: Clock) -> None:
    outcomes: list[str] = []
    barrier = threading.Barrier(6)

    def attempt() -> None:
        barrier.wait()
        try:
            outcomes.append(claim(ledger, clock).id)
        except AssetClaimed:
            outcomes.append("refused")

    threads = [threading.Thread(target=attempt) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 6
    assert outcomes.count("refused") == 5
    assert len(ledger.operations(only_open=True)) == 1


def test_claim__snapshot_older_than_the_last_settlement__is_refused(ledger: Ledger, clock: Clock) -> None:
    taken_at = clock()
    settle(ledger, claim(ledger, clock))
    clock.pass_(seconds=1)
    with pytest.raises(SnapshotOutdated):
        claim(ledger, clock, taken_at=taken_at)
    assert ledger.operations(only_open=True) == []
    claim(ledger, clock)


def test_the_claim_is_cleared_after_completion(ledger: Ledger, clock: Clock) -> None:
    operation = claim(ledger, clock)
    clock.pass_(seconds=30)
    settle(ledger, operation, base_block=120)
    assert ledger.open_operations() == []
    closed = ledger.operation(operation.id)
    assert (closed.status, closed.delivered, closed.closed_at) == (
        OperationStatus.SETTLED,
        31 * 10**9,
        clock(),
    )
    watermark = ledger.settled()["AAPL"]
    assert (watermark.at, watermark.base_block, watermark.ethereum_block) == (clock(), 120, None)


def test_the_claim_is_cleared_on_failure(ledger: Ledger, clock: Clock) -> None:
    operation = claim(ledger, clock)
    with ledger.lease(operation.id, "test", MINUTE) as lease:
        lease.cancel("insufficient position")
    assert ledger.open_operations() == []
    assert ledger.operation(operation.id).outcome == "insufficient position"
    claim(ledger, clock, taken_at=clock.pass_(seconds=1))


def test_settled__several_operations__has_the_latest_of_each(ledger: Ledger, clock: Clock) -> None:
    settle(ledger, claim(ledger, clock, "AAPL"), base_block=110, ethereum_block=210)
    clock.pass_(seconds=60)
    settle(ledger, claim(ledger, clock, "AAPL", taken_at=clock()), base_block=130)
    watermark = ledger.settled()["AAPL"]
    assert (watermark.at, watermark.base_block, watermark.ethereum_block) == (clock(), 130, 210)


def test_finish__first_of_two_legs__hands_over_what_arrived(ledger: Ledger, clock: Clock) -> None:
    operation = claim(ledger, clock, "USDC", TO_BASE, amount=1_000_000_000)
    with ledger.lease(operation.id, "test", MINUTE) as lease:
        assert lease.finish(Leg.WITHDRAW, amount_out=998_000_000, ethereum_block=210) is False
        assert lease.leg(Leg.BRIDGE).amount_in == 998_000_000
        assert ledger.operation(operation.id).status is OperationStatus.OPEN
        assert lease.finish(Leg.BRIDGE, amount_out=997_900_000, base_block=110) is True
    closed = ledger.operation(operation.id)
    assert (closed.delivered, closed.base_block, closed.ethereum_block) == (997_900_000, 110, 210)


def test_operation__unknown_id__is_named(ledger: Ledger) -> None:
    with pytest.raises(LookupError, match="no-such-id"):
        ledger.operation("no-such-id")


def test_adopt__two_runs_try__one_succeeds(ledger: Ledger, clock: Clock) -> None:
    operation = claim(ledger, clock)
    assert ledger.adopt(operation, "run-2") is True
    assert ledger.adopt(operation, "run-3") is False
    assert ledger.operation(operation.id).run_id == "run-2"


def test_adopt__closed_operation__is_left_alone(ledger: Ledger, clock: Clock) -> None:
    operation = claim(ledger, clock)
    settle(ledger, operation)
    assert ledger.adopt(operation, "run-2") is False


def test_operations__by_kind__leaves_out_the_others(ledger: Ledger, clock: Clock) -> None:
    claim(ledger, clock, "AAPL")
    claim(ledger, clock, "USDC", TO_BASE)
    assert [operation.asset for operation in ledger.operations(kind=TO_BASE)] == ["USDC"]


def test_lease__held__is_refused_with_its_end(ledger: Ledger, clock: Clock) -> None:
    operation = claim(ledger, clock)
    with (
        ledger.lease(operation.id, "one", MINUTE),
        pytest.raises(LeaseHeld) as held,
        ledger.lease(operation.id, "two", MINUTE),
    ):
        pass
    assert held.value.until == clock() + MINUTE


def test_lease__given_back__is_free_at_once(ledger: Ledger, clock: Clock) -> None:
    operation = claim(ledger, clock)
    with ledger.lease(operation.id, "one", MINUTE):
        pass
    with ledger.lease(operation.id, "two", MINUTE) as lease:
        lease.note(Leg.MINT, seen="yes")
    assert ledger.legs(operation.id)[0].notes == {"seen": "yes"}


def test_lease__run_out_and_taken_over__the_sleeper_writes_nothing(ledger: Ledger, clock: Clock) -> None:
    operation = claim(ledger, clock)
    with ledger.lease(operation.id, "sleeper", MINUTE) as sleeper:
        clock.pass_(seconds=61)
        with ledger.lease(operation.id, "successor", MINUTE) as successor:
            for write in (
                lambda: sleeper.note(Leg.MINT, by="sleeper"),
                lambda: sleeper.intend(Leg.MINT, "mint_request", {}, irreversible=True),
                lambda: sleeper.finish(Leg.MINT, amount_out=1),
                lambda: sleeper.cancel("asleep"),
            ):
                with pytest.raises(LeaseLost):
                    write()
            successor.note(Leg.MINT, by="successor")
    assert ledger.effects(operation.id) == []
    assert ledger.operation(operation.id).status.is_open
    assert ledger.legs(operation.id)[0].notes == {"by": "successor"}


def test_lease__each_write_renews_it(ledger: Ledger, clock: Clock) -> None:
    operation = claim(ledger, clock)
    with ledger.lease(operation.id, "one", MINUTE) as lease:
        clock.pass_(seconds=50)
        lease.note(Leg.MINT, step=1)
        clock.pass_(seconds=50)
        with pytest.raises(LeaseHeld), ledger.lease(operation.id, "two", MINUTE):
            pass


def test_lease__many_at_once__one_has_it(ledger: Ledger, clock: Clock) -> None:
    operation = claim(ledger, clock)
    barrier, outcomes = threading.Barrier(6), []
    done = threading.Event()

    def attempt(name: str) -> None:
        barrier.wait()
        try:
            with ledger.lease(operation.id, name, MINUTE):
                outcomes.append("held")
                done.wait(10)
        except LeaseHeld:
            outcomes.append("refused")
        if outcomes.count("refused") == 5:
            done.set()

    threads = [threading.Thread(target=attempt, args=(str(number),)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["held"] + ["refused"] * 5


def test_wait__same_reason__keeps_its_beginning(ledger: Ledger, clock: Clock) -> None:
    operation = claim(ledger, clock)
    with ledger.lease(operation.id, "one", MINUTE) as lease:
        first = lease.wait(Leg.MINT, waiting_for="the issuer", due_in=MINUTE, attention=None)
        clock.pass_(seconds=20)
        again = lease.wait(Leg.MINT, waiting_for="the issuer", due_in=MINUTE, attention="look")
        other = lease.wait(Leg.MINT, waiting_for="the chain", due_in=MINUTE, attention=None)
    assert (again.waiting_since, again.due_at, again.attention) == (
        first.waiting_since,
        first.due_at,
        "look",
    )
    assert other.waiting_since == clock()
    assert other.started_at == first.started_at


def test_wait__with_notes__keeps_them_beside_the_others(ledger: Ledger, clock: Clock) -> None:
    operation = claim(ledger, clock)
    with ledger.lease(operation.id, "one", MINUTE) as lease:
        lease.note(Leg.MINT, a=1, b=1)
        state = lease.wait(Leg.MINT, waiting_for="it", due_in=MINUTE, attention=None, notes={"b": 2, "c": 2})
    assert {name: state.notes[name] for name in "abc"} == {"a": 1, "b": 2, "c": 2}


def test_lately__legs_that_are_done__come_newest_first(ledger: Ledger, clock: Clock) -> None:
    done = []
    for _ in range(3):
        clock.pass_(seconds=1)
        done.append(claim(ledger, clock))
        settle(ledger, done[-1])
    clock.pass_(seconds=1)
    settle(ledger, claim(ledger, clock, "TSLA", OperationKind.REDEMPTION))
    clock.pass_(seconds=1)
    claim(ledger, clock)

    assert [state.operation_id for state in ledger.lately(Leg.MINT, 2)] == [done[2].id, done[1].id]


def test_ids_and_clock__by_default__are_fresh_and_in_utc() -> None:
    assert new_id() != new_id()
    assert utc_now().utcoffset() == timedelta(0)


def test_snapshot_helper__is_a_snapshot(clock: Clock) -> None:
    assert snapshot(clock(), AAPL=(Decimal(1), Decimal(3))).inventories["AAPL"].ratio == Decimal("0.25")
