"""A history has few enough points to be drawn, and shows where nothing was known."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.operation import OperationKind
from include.ledger.records import CheckMode
from include.overview import history
from include.overview.reader import Unknown
from tests.support.clock import Clock
from tests.unit.overview import books
from tests.unit.overview.conftest import settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from include.ledger.ledger import Ledger
    from include.overview.reader import Reader
    from tests.unit.exits.conftest import Stage

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
ASSETS = ["AAPL", "USDC"]


def test_history__few_checks__has_each_of_them(reader: Reader, ledger: Ledger, clock: Clock) -> None:
    begun = int(clock().timestamp())
    for number in range(3):
        books.check(ledger, clock(), ASSETS, onchain=str(40 + number))
        clock.pass_(seconds=200)
    found = reader.history(settings(rebalancing_check_interval="200"), "AAPL", DAY)
    assert found.points == [(begun, "0.4"), (begun + 200, "0.41"), (begun + 400, "0.42")]
    assert (found.asset, found.target, found.lower, found.upper) == ("AAPL", "0.5", "0.2", "0.8")


def test_history__a_symbol_with_a_dot__is_found(reader: Reader, ledger: Ledger, clock: Clock) -> None:
    books.check(ledger, clock(), ["BRK", "BRK.B"])
    own = settings(token_addresses='{"BRK.B": "0x' + "22" * 20 + '"}')
    assert [ratio for _, ratio in reader.history(own, "BRK.B", DAY).points] == ["0.43"]


def test_history__unread_or_not_looked_at__is_no_ratio(reader: Reader, ledger: Ledger, clock: Clock) -> None:
    books.check(ledger, clock(), ASSETS, unread=True)
    books.check(ledger, clock.pass_(seconds=200), ["USDC"])
    found = reader.history(settings(rebalancing_check_interval="200"), "AAPL", DAY)
    assert [ratio for _, ratio in found.points] == [None, None]


def test_history__no_check_for_long__has_a_gap(reader: Reader, ledger: Ledger, clock: Clock) -> None:
    begun = int(clock().timestamp())
    books.check(ledger, clock(), ASSETS)
    books.check(ledger, clock.pass_(hours=1), ASSETS)
    found = reader.history(settings(), "AAPL", DAY)
    assert found.points == [(begun, "0.43"), (begun + 1800, None), (begun + 3600, "0.43")]


def test_history__only_what_was_looked_at_in_that_time__counts(
    reader: Reader, ledger: Ledger, clock: Clock
) -> None:
    books.check(ledger, clock(), ASSETS)
    books.check(ledger, clock.pass_(hours=2), ASSETS, mode=CheckMode.REPLAY)
    books.check(ledger, clock.pass_(seconds=10), ASSETS, mode=CheckMode.OBSERVE)
    assert len(reader.history(settings(), "AAPL", timedelta(hours=1)).points) == 1


def test_history__asked_again_later__keeps_the_points_it_had(
    reader: Reader, ledger: Ledger, clock: Clock
) -> None:
    for _ in range(30):
        books.check(ledger, clock.pass_(seconds=60), ASSETS)
    before = reader.history(settings(), "AAPL", DAY).points
    books.check(ledger, clock.pass_(seconds=60), ASSETS, onchain="50")
    after = reader.history(settings(), "AAPL", DAY).points
    assert after[: len(before) - 1] == before[:-1]
    assert after[-1] == (int(clock().timestamp()), "0.5")


def test_history__marks_the_operations_of_the_asset(reader: Reader, stage: Stage) -> None:
    operation = stage.open(OperationKind.MINT)
    stage.open(OperationKind.USDC_ALPACA_TO_BASE)
    stage.exits.cancel(operation.id, "a split")
    (marked,) = reader.history(settings(), "AAPL", DAY).operations
    assert (marked.id, marked.amount, marked.status) == (operation.id, "31", "cancelled")
    assert marked.closed_at == stage.clock()
    stage.clock.pass_(days=2)
    assert reader.history(settings(), "AAPL", DAY).operations == []
    # What is open still reaches into the time that is shown, whenever it began.
    assert len(reader.history(settings(), "USDC", DAY).operations) == 1


def test_history__not_an_asset__is_unknown(reader: Reader) -> None:
    with pytest.raises(Unknown, match="NVDA"):
        reader.history(settings(), "NVDA", DAY)


@given(
    steps=st.lists(st.integers(1, 4000), max_size=800),
    hours=st.floats(0.01, 720),
    interval=st.integers(10, 3600),
)
def test_points__whatever_was_checked_when__are_500_at_most_and_in_order(
    steps: list[int], hours: float, interval: int
) -> None:
    span, clock = timedelta(hours=hours), Clock()
    end, checks = clock(), []
    for number, step in enumerate(steps):
        checks.append((str(number), end))
        end -= timedelta(seconds=step)
    checks = [(check_id, at) for check_id, at in reversed(checks) if at >= clock() - span]

    def ratios(check_ids: Sequence[str]) -> dict[str, str | None]:
        return dict.fromkeys(check_ids, "0.5")

    found = history.points(checks, span, timedelta(seconds=interval), ratios)
    assert len(found) <= history.POINTS
    assert sorted({at for at, _ in found}) == [at for at, _ in found]
    if checks:
        assert found[-1] == (int(checks[-1][1].timestamp()), "0.5")
