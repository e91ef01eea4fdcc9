"""In a real Airflow: one operation by hand, one that a person approves, and one that a person rejects."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from include.domain.operation import OperationStatus
from include.ledger.records import Verb
from include.sandbox.scenario import Holding, Scenario
from scripts.local_ballast import DAG_ID, LocalBallast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from include.ledger.records import Operation

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

SCENARIO = Scenario(
    stocks={
        "AAPL": Holding(offchain=Decimal(55), onchain=Decimal(45)),
        "MSFT": Holding(offchain=Decimal(81), onchain=Decimal(19)),
        "TSLA": Holding(offchain=Decimal(90), onchain=Decimal(10)),
    },
    usdc=Holding(offchain=Decimal(5000), onchain=Decimal(5000)),
)
ABOVE_20 = {"BALLAST_EQUITY_APPROVAL_ABOVE": "20", "BALLAST_REBALANCING_CHECK_INTERVAL": "20s"}
KEY = "e2e-by-hand-1"
WISH = {"kind": "mint", "asset": "AAPL", "amount": "5.5", "reason": "month end", "key": KEY}


@pytest.fixture(scope="module")
def ballast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBallast]:
    """An Airflow in which two large mints wait for approval, and a small one was asked for by hand."""
    home = tmp_path_factory.mktemp("by-hand") / "home"
    with LocalBallast(home, lambda _text: None, scenario=SCENARIO, extra=ABOVE_20) as started:
        started.unpause()
        assert page(started, "start", WISH)["run_id"] == f"by_hand__{KEY}"
        for asset in ("MSFT", "TSLA"):
            wait(started, partial(waits, started, asset), f"the question about {asset}")
        yield started


def wait(ballast: LocalBallast, condition: Callable[[], object], what: str) -> None:
    ballast.airflow.wait_until(condition, what, timeout=300)


def page(ballast: LocalBallast, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Do something as the page does."""
    with ballast.airflow.client() as client:
        # The first request of a server makes the page, and others have the machine too.
        answer = client.post(f"/ballast/api/{path}", json=body, headers={"X-Ballast": "1"}, timeout=120)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found


def newest(ballast: LocalBallast, asset: str) -> Operation | None:
    return next((one for one in reversed(ballast.ledger.operations()) if one.asset == asset), None)


def waits(ballast: LocalBallast, asset: str) -> bool:
    """Tell whether Airflow asks about an operation of an asset."""
    operation = newest(ballast, asset)
    return operation is not None and any(
        detail["params"]["operation"]["value"] == operation.id
        for detail in details(ballast, operation.run_id)
        if detail["task_instance"]["state"] == "awaiting_input"
    )


def details(ballast: LocalBallast, run_id: str) -> list[dict[str, Any]]:
    path = f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}/hitlDetails"
    with ballast.airflow.client() as client:
        found: list[dict[str, Any]] = client.get(path).raise_for_status().json()["hitl_details"]
        return found


def states_of(ballast: LocalBallast, operation: Operation) -> dict[str, str | None]:
    """Return the states of the tasks of an operation. What is skipped unrun has no name in the grid."""
    path = f"/api/v2/dags/{DAG_ID}/dagRuns/{operation.run_id}/taskInstances"
    with ballast.airflow.client() as client:
        found = client.get(path, params={"limit": 100}).raise_for_status().json()["task_instances"]
    place = next(
        one["map_index"]
        for one in found
        if one["task_id"] == "mint.approve" and one["rendered_map_index"] == operation.label
    )
    return {one["task_id"]: one["state"] for one in found if one["map_index"] == place}


def settled(ballast: LocalBallast, asset: str) -> bool:
    operation = newest(ballast, asset)
    return operation is not None and operation.status is OperationStatus.SETTLED


def test_by_hand__a_balanced_asset__is_moved_by_exactly_that_and_once(ballast: LocalBallast) -> None:
    wait(ballast, lambda: settled(ballast, "AAPL"), "what was asked for by hand")
    [operation] = [one for one in ballast.ledger.operations() if one.asset == "AAPL"]
    assert (operation.quantity, operation.run_id) == (Decimal("5.5"), f"by_hand__{KEY}")
    [decision] = [one for one in ballast.ledger.decisions(operation.check_id) if one.asset == "AAPL"]
    assert decision.asked is not None
    assert decision.asked.reason == "month end"
    with ballast.airflow.client() as client:
        again = client.post("/ballast/api/start", json=WISH, headers={"X-Ballast": "1"})
    assert again.status_code == 409


def test_waiting__nothing_has_begun_and_people_are_told(ballast: LocalBallast) -> None:
    operation = newest(ballast, "MSFT")
    assert operation is not None
    assert ballast.ledger.effects(operation.id) == []
    [asked] = [one for one in details(ballast, operation.run_id) if one["subject"] == "mint: 31 MSFT shares"]
    assert "| Estimated cost |" in asked["body"]
    leg = ballast.ledger.legs(operation.id)[0]
    assert leg.waiting_for == "a person to approve it"


def test_approved__moves_exactly_what_was_asked(ballast: LocalBallast) -> None:
    operation = newest(ballast, "MSFT")
    assert operation is not None
    page(ballast, f"operations/{operation.id}/approve", {"reason": "looks right"})
    wait(ballast, lambda: settled(ballast, "MSFT"), "what was approved")
    after = ballast.ledger.operation(operation.id)
    assert (after.quantity, after.delivered) == (Decimal(31), 31 * 10**9)
    [done] = ballast.ledger.interventions(operation.id)
    assert (done.verb, done.reason) == (Verb.APPROVE, "looks right")
    assert done.actor
    assert ballast.world.conservation() == []


def test_rejected__is_cancelled_and_skipped_and_not_asked_again(ballast: LocalBallast) -> None:
    operation = newest(ballast, "TSLA")
    assert operation is not None
    page(ballast, f"operations/{operation.id}/reject", {"reason": "not before the split"})
    both = {"mint.approve": "skipped", "mint.mint": "skipped"}
    wait(ballast, lambda: states_of(ballast, operation) == both, "the group to be skipped")
    after = ballast.ledger.operation(operation.id)
    assert after.status is OperationStatus.CANCELLED
    assert (after.outcome or "").startswith("rejected: not before the split (")
    assert ballast.ledger.effects(operation.id) == []
    runs = len(ballast.runs())
    wait(ballast, lambda: len(ballast.runs()) > runs + 1, "further checks")
    assert newest(ballast, "TSLA") == after
