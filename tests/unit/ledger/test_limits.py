"""What the ledger knows of the day, and holds in the commit of a claim."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from include.domain.limits import DailyLimits, midnight
from include.domain.operation import OperationKind, OperationStatus
from include.ledger.ledger import DailyLimitReached, Ledger
from tests.support.plans import recorded_check

if TYPE_CHECKING:
    from include.ledger.records import Operation
    from tests.support.clock import Clock

MINT, REDEMPTION, TO_BASE, TO_ALPACA = OperationKind
MINUTE = timedelta(minutes=1)
HUNDRED = DailyLimits(equity=Decimal(100))


def claimed(
    ledger: Ledger,
    clock: Clock,
    asset: str,
    amount: int,
    *,
    kind: OperationKind = MINT,
    daily: DailyLimits | None = None,
) -> Operation:
    """Claim a whole number of shares or dollars, two seconds from now."""
    taken_at = clock.pass_(seconds=1)
    clock.pass_(seconds=1)
    return ledger.claim(
        kind=kind,
        asset=asset,
        amount=amount * 10**kind.decimals,
        decimals=kind.decimals,
        check_id=recorded_check(ledger, taken_at),
        run_id="run-1",
        taken_at=taken_at,
        daily=daily,
    )


def cancel(ledger: Ledger, clock: Clock, operation: Operation) -> None:
    clock.pass_(seconds=1)
    with ledger.lease(operation.id, "test", MINUTE) as lease:
        lease.cancel("no gas")


def settled(ledger: Ledger, clock: Clock, operation: Operation) -> None:
    clock.pass_(seconds=1)
    with ledger.lease(operation.id, "test", MINUTE) as lease:
        for leg in ledger.legs(operation.id):
            lease.finish(leg.name, amount_out=operation.amount)


def test_moved_since__open_and_settled__count_and_cancelled_does_not(ledger: Ledger, clock: Clock) -> None:
    began = clock()
    settled(ledger, clock, claimed(ledger, clock, "AAPL", 40))
    claimed(ledger, clock, "AAPL", 2, kind=REDEMPTION)
    cancel(ledger, clock, claimed(ledger, clock, "TSLA", 9))
    claimed(ledger, clock, "USDC", 500, kind=TO_BASE)
    assert ledger.moved_since(began) == {"AAPL": Decimal(42), "USDC": Decimal(500)}


def test_moved_since__opened_before_the_moment__does_not_count(ledger: Ledger, clock: Clock) -> None:
    claimed(ledger, clock, "AAPL", 40)
    opened_at = clock()
    assert ledger.moved_since(opened_at) == {"AAPL": Decimal(40)}
    assert ledger.moved_since(opened_at + timedelta(microseconds=1)) == {}


def test_claim__up_to_the_limit_of_the_day__is_opened_and_the_next_is_not(
    ledger: Ledger, clock: Clock
) -> None:
    claimed(ledger, clock, "AAPL", 60, daily=HUNDRED)
    claimed(ledger, clock, "TSLA", 40, kind=REDEMPTION, daily=HUNDRED)
    with pytest.raises(
        DailyLimitReached, match="of all equities is 100, and 101 would have been moved today"
    ):
        claimed(ledger, clock, "NVDA", 1, daily=HUNDRED)
    assert [one.asset for one in ledger.operations()] == ["AAPL", "TSLA"]


def test_claim__limit_of_the_day_reached_for_equities__opens_usdc(ledger: Ledger, clock: Clock) -> None:
    claimed(ledger, clock, "AAPL", 100, daily=HUNDRED)
    claimed(ledger, clock, "USDC", 500, kind=TO_ALPACA, daily=HUNDRED)
    limit = DailyLimits({"USDC": Decimal(500)}, usdc=Decimal(600))
    settled(ledger, clock, ledger.operations()[1])
    with pytest.raises(DailyLimitReached, match="the daily maximum of USDC is 500"):
        claimed(ledger, clock, "USDC", 100, kind=TO_BASE, daily=limit)


def test_claim__cancelled_operation__gives_its_part_of_the_day_back(ledger: Ledger, clock: Clock) -> None:
    cancel(ledger, clock, claimed(ledger, clock, "AAPL", 100, daily=HUNDRED))
    clock.pass_(seconds=1)
    assert claimed(ledger, clock, "TSLA", 100, daily=HUNDRED).quantity == 100


def test_claim__next_day__has_the_whole_limit_again(ledger: Ledger, clock: Clock) -> None:
    claimed(ledger, clock, "AAPL", 100, daily=HUNDRED)
    tomorrow = midnight(clock()) + timedelta(days=1)
    clock.pass_(seconds=(tomorrow - clock()).total_seconds() - 4)
    with pytest.raises(DailyLimitReached):
        claimed(ledger, clock, "TSLA", 100, daily=HUNDRED)  # two seconds before midnight
    assert claimed(ledger, clock, "TSLA", 100, daily=HUNDRED).opened_at == tomorrow


def test_claim__many_at_once__together_stay_within_the_limit_of_the_day(
    ledger: Ledger, ledger_url: str, clock: Clock
) -> None:
    """Twelve assets, each in a process of its own as it were, where there is room for five."""
    taken_at = clock()
    check_id = recorded_check(ledger, taken_at)
    clock.pass_(seconds=1)
    start, refused = threading.Barrier(12), []

    def try_to_claim(asset: str) -> None:
        own = Ledger.open(ledger_url, now=clock)
        start.wait()
        try:
            own.claim(
                kind=MINT,
                asset=asset,
                amount=20 * 10**9,
                decimals=9,
                check_id=check_id,
                run_id=asset,
                taken_at=taken_at,
                daily=HUNDRED,
            )
        except DailyLimitReached:
            refused.append(asset)
        finally:
            own.close()

    threads = [threading.Thread(target=try_to_claim, args=(f"A{n}",)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(ledger.operations()) == 5
    assert len(refused) == 7
    assert ledger.moved_since(midnight(clock())) == {one.asset: Decimal(20) for one in ledger.operations()}


def test_settled__cancelled_in_a_row__are_counted_until_one_moves_money(ledger: Ledger, clock: Clock) -> None:
    def refusals() -> int:
        return ledger.settled()["AAPL"].refusals

    for count in (1, 2, 3):
        cancel(ledger, clock, claimed(ledger, clock, "AAPL", 1))
        clock.pass_(seconds=1)
        assert refusals() == count
    settled(ledger, clock, claimed(ledger, clock, "AAPL", 1))
    assert refusals() == 0
    clock.pass_(seconds=1)
    cancel(ledger, clock, claimed(ledger, clock, "TSLA", 1))
    clock.pass_(seconds=1)
    cancel(ledger, clock, claimed(ledger, clock, "AAPL", 1))
    assert refusals() == 1
    assert ledger.settled()["TSLA"].refusals == 1


def test_settled__cancelled_more_than_a_day_ago__is_forgotten(ledger: Ledger, clock: Clock) -> None:
    cancel(ledger, clock, claimed(ledger, clock, "AAPL", 1))
    clock.pass_(days=1)
    assert ledger.settled()["AAPL"].refusals == 1
    clock.pass_(seconds=0.001)
    assert ledger.settled()["AAPL"].refusals == 0


def test_operations__after_a_refused_claim__leave_no_trace_of_it(ledger: Ledger, clock: Clock) -> None:
    with pytest.raises(DailyLimitReached):
        claimed(ledger, clock, "AAPL", 101, daily=HUNDRED)
    assert ledger.operations() == []
    assert ledger.moved_since(midnight(clock())) == {}
    assert claimed(ledger, clock, "AAPL", 100, daily=HUNDRED).status is OperationStatus.OPEN
