"""Ballast in a real Airflow that follows the balances: a trade starts a check, and a thousand trades one."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from include.domain.operation import OperationKind, OperationStatus
from include.ledger.ledger import utc_now
from include.sandbox.scenario import SCENARIOS, Shift, Side
from scripts.local_ballast import LocalBallast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from include.ledger.records import Operation

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

# An interval that never comes: what runs was started by the balances.
SETTINGS = {"BALLAST_REBALANCING_REACTION": "true", "BALLAST_REBALANCING_CHECK_INTERVAL": "1d"}
WATCHED = "asset_triggered"


@pytest.fixture(scope="module")
def ballast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBallast]:
    home = tmp_path_factory.mktemp("ballast") / "home"
    with LocalBallast(home, lambda _text: None, SCENARIOS["balanced"], extra=SETTINGS) as started:
        started.unpause()
        wait(started, lambda: started.ledger.snapshot_before(utc_now()), "looked at once")
        yield started


def wait(ballast: LocalBallast, condition: Callable[[], object], what: str) -> None:
    ballast.airflow.wait_until(condition, what, timeout=300)


def settled(ballast: LocalBallast, asset: str) -> Operation:
    """Wait until an operation of an asset is closed, and return it."""

    def closed() -> list[Operation]:
        return [one for one in ballast.ledger.operations() if one.asset == asset and one.closed_at]

    wait(ballast, closed, f"settled: {asset}")
    [operation] = closed()
    return operation


def watched_runs(ballast: LocalBallast) -> set[str]:
    return {run["dag_run_id"] for run in ballast.runs() if run["run_type"] == WATCHED}


def test_trade__breaks_the_band__a_check_starts_by_itself_and_settles_it(ballast: LocalBallast) -> None:
    ballast.world.shift(Shift("MSFT", Decimal(35), Side.ONCHAIN))

    mint = settled(ballast, "MSFT")

    assert (mint.kind, mint.status, mint.quantity) == (
        OperationKind.MINT,
        OperationStatus.SETTLED,
        Decimal(35),
    )
    assert watched_runs(ballast) == {mint.run_id}
    assert ballast.world.conservation() == []


def test_thousand_changes__in_a_second__one_operation_and_hardly_a_run_more(ballast: LocalBallast) -> None:
    before = watched_runs(ballast)
    for _ in range(500):
        ballast.world.broker.sell("AAPL", Decimal(45), "storm")
        ballast.world.broker.buy("AAPL", Decimal(45), "storm")
    ballast.world.broker.sell("AAPL", Decimal(45), "storm")

    redemption = settled(ballast, "AAPL")

    assert redemption.kind is OperationKind.REDEMPTION
    runs = watched_runs(ballast) - before
    assert redemption.run_id in runs
    # A look in the middle may have seen it out of its band, and another one in it, and out again at the end.
    assert len(runs) <= 2
    wait(ballast, lambda: not ballast.ledger.open_operations(), "nothing open")
    assert [one.asset for one in ballast.ledger.operations()] == ["MSFT", "AAPL"]
    assert ballast.world.conservation() == []
