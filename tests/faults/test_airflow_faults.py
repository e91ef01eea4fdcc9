"""Airflow's own faults, on a real Airflow: whatever breaks in it, the money moves once and arrives.

The tests share one Airflow. Each ends, in `Stage.case`, with counting on the chains and at the broker: every
operation did each of its effects once, everything has arrived, and nothing is claimed.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from include.domain.amounts import USDC
from include.domain.operation import Leg, OperationKind
from scripts.local_ballast import DAG_ID

if TYPE_CHECKING:
    from include.ledger.records import Operation
    from tests.faults.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

MINT, REDEMPTION = OperationKind.MINT, OperationKind.REDEMPTION
TO_BASE, TO_ALPACA = OperationKind.USDC_ALPACA_TO_BASE, OperationKind.USDC_BASE_TO_ALPACA
OUTAGE_SECONDS = 20


def test_task_killed__in_the_middle_of_a_leg__the_next_try_goes_on(stage: Stage) -> None:
    with stage.case("task killed") as case:
        stage.hold()
        [mint] = stage.open((MINT, "AAPL"))
        stage.wait_effect(mint, "mint_request")

        stage.kill_task(stage.wait_state(mint, Leg.MINT, "running"))
        stage.wait_state(mint, Leg.MINT, "up_for_retry")
        stage.release()

        case.mended()
        stage.wait_settled(mint)
        case.recovered()
        assert stage.wait_run(mint.run_id) == "success"
        assert stage.tries(mint, Leg.MINT) == ["failed", "success"]


def test_scheduler_killed__long_enough_to_orphan_its_tasks__they_run_again(stage: Stage) -> None:
    with stage.case("scheduler killed") as case:
        stage.hold()
        [transfer] = stage.open((TO_ALPACA, USDC))
        stage.wait_effect(transfer, "burn")
        stage.wait_state(transfer, Leg.BRIDGE, "deferred")
        [mint] = stage.open((MINT, "MSFT"))
        stage.wait_effect(mint, "mint_request")
        stage.wait_state(mint, Leg.MINT, "running")

        stage.kill("scheduler")
        stage.release()
        stage.wait(lambda: stage.health("scheduler") == "unhealthy", "the scheduler given up")
        stage.start("scheduler")

        case.mended()
        stage.wait_settled(mint, transfer)
        case.recovered()
        assert {stage.wait_run(one.run_id) for one in (mint, transfer)} == {"success"}
        assert len(stage.tries(mint, Leg.MINT)) == 2
        assert stage.tries(transfer, Leg.BRIDGE) == ["success"]  # deferred, so it was not the scheduler's
        assert re.search(r"Reset the following \d+ orphaned TaskInstances", stage.output("scheduler"))


def test_triggerer_killed__while_a_leg_is_deferred__the_next_one_wakes_it(stage: Stage) -> None:
    with stage.case("triggerer killed") as case:
        stage.hold()
        [transfer] = stage.open((TO_BASE, USDC))
        stage.wait_effect(transfer, "withdrawal_request")
        stage.wait_state(transfer, Leg.WITHDRAW, "deferred")

        stage.kill("triggerer")
        stage.release()
        stage.start("triggerer")

        case.mended()
        stage.wait_settled(transfer)
        case.recovered()
        assert stage.wait_run(transfer.run_id) == "success"
        assert stage.tries(transfer, Leg.WITHDRAW) == ["success"]


def test_task_cleared__running_and_deferred_and_done__goes_on_where_it_was(stage: Stage) -> None:
    with stage.case("task cleared") as case:
        stage.hold()
        [transfer] = stage.open((TO_ALPACA, USDC))
        stage.wait_effect(transfer, "burn")

        stage.wait_state(transfer, Leg.BRIDGE, "running")
        clear(stage, transfer, Leg.BRIDGE)
        stage.wait_state(transfer, Leg.BRIDGE, "deferred", tries=2)
        clear(stage, transfer, Leg.BRIDGE)
        stage.wait_state(transfer, Leg.BRIDGE, "running", tries=3)
        stage.release(but="deposit")
        stage.wait_effect(transfer, "usdc_transfer")
        stage.wait_state(transfer, Leg.DEPOSIT, "deferred")
        clear(stage, transfer, Leg.BRIDGE, include_downstream=True)
        stage.wait_state(transfer, Leg.BRIDGE, "success", tries=4)
        stage.wait_state(transfer, Leg.DEPOSIT, "running", tries=2)
        stage.release()

        case.mended()
        stage.wait_settled(transfer)
        case.recovered()
        assert stage.wait_run(transfer.run_id) == "success"
        assert len(stage.tries(transfer, Leg.BRIDGE)) == 4
        assert len(stage.tries(transfer, Leg.DEPOSIT)) == 2


def test_task_marked_failed__money_between_the_chains__the_next_run_adopts_it(stage: Stage) -> None:
    with stage.case("task marked failed") as case:
        stage.hold()
        [transfer] = stage.open((TO_BASE, USDC))
        stage.release_broker()
        stage.wait_effect(transfer, "burn")
        task = stage.wait_state(transfer, Leg.BRIDGE, "deferred")

        stage.ask("PATCH", f"{stage.path(task)}", json={"new_state": "failed"})

        assert stage.wait_run(transfer.run_id) == "failed"
        case.mended()
        adopted = wait_adopted(stage, transfer)
        stage.release()
        stage.wait_settled(transfer)
        case.recovered()
        assert stage.wait_run(adopted.run_id) == "success"
        assert stage.reasons(adopted.run_id)[USDC] == "claimed"
        assert_returned_at_once(stage, transfer, adopted, Leg.WITHDRAW)


def test_run_marked_failed__money_on_its_way_to_alpaca__the_next_run_adopts_it(stage: Stage) -> None:
    with stage.case("run marked failed") as case:
        stage.hold()
        [transfer] = stage.open((TO_ALPACA, USDC))
        stage.wait_effect(transfer, "burn")
        stage.release(but="deposit")
        stage.wait_effect(transfer, "usdc_transfer")

        stage.ask("PATCH", f"/dagRuns/{transfer.run_id}", json={"state": "failed"})

        assert stage.wait_run(transfer.run_id) == "failed"
        case.mended()
        adopted = wait_adopted(stage, transfer)
        stage.release()
        stage.wait_settled(transfer)
        case.recovered()
        assert stage.wait_run(adopted.run_id) == "success"
        assert stage.reasons(adopted.run_id)[USDC] == "claimed"
        assert_returned_at_once(stage, transfer, adopted, Leg.BRIDGE)


def test_dag_paused__legs_under_way__stand_still_until_it_is_unpaused(stage: Stage) -> None:
    with stage.case("DAG paused") as case:
        stage.hold()
        mint, redemption = stage.open((MINT, "NVDA"), (REDEMPTION, "TSLA"))
        stage.wait_state(mint, Leg.MINT, "deferred")
        stage.wait_state(redemption, Leg.REDEEM, "deferred")

        stage.ask("PATCH", "", json={"is_paused": True})
        stage.release()
        stage.wait_state(mint, Leg.MINT, "scheduled")
        stage.wait_state(redemption, Leg.REDEEM, "scheduled")
        assert len(stage.ballast.ledger.open_operations()) == 2
        stage.ask("PATCH", "", json={"is_paused": False})

        case.mended()
        stage.wait_settled(mint, redemption)
        case.recovered()
        assert {stage.wait_run(one.run_id) for one in (mint, redemption)} == {"success"}
        for operation, leg in ((mint, Leg.MINT), (redemption, Leg.REDEEM)):
            assert stage.tries(operation, leg) == ["success"], first_log(stage, operation, leg)


def test_runs_and_a_backfill__all_at_once__claim_each_asset_once(stage: Stage) -> None:
    wanted = {(REDEMPTION, "AAPL"), (MINT, "MSFT"), (REDEMPTION, "NVDA"), (MINT, "TSLA"), (TO_BASE, USDC)}
    with stage.case("runs at once") as case:
        before = {run["dag_run_id"] for run in stage.ballast.runs()}

        def started(run_type: str) -> list[str]:
            return [
                run["dag_run_id"]
                for run in stage.ballast.runs()
                if run["run_type"] == run_type and run["dag_run_id"] not in before
            ]

        stage.set_checks_at_once(0)
        try:
            stage.trade(*wanted)
            for _ in range(2):
                stage.trigger()
            backfill = start_backfill(stage)
            stage.wait(lambda: started("scheduled") and started("backfill"), "runs of every type")
        finally:
            stage.set_checks_at_once(8)
        case.mended()
        stage.wait(lambda: {(one.kind, one.asset) for one in case.operations()} == wanted, "all are opened")
        stage.wait_settled(*case.operations())
        case.recovered()

        assert len(case.operations()) == len(wanted)
        stage.set_checks_at_once(1)
        assert len(started("manual")) == 2
        assert {stage.wait_run(run) for run in started("manual")} == {"success"}
        stage.wait(lambda: is_complete(stage, backfill), "the backfill over")
        replays = started("backfill")
        assert {stage.wait_run(run) for run in replays} == {"success"}
        assert {mode for run in replays for mode in stage.modes(run)} == {"replay"}
        opened_by = {one.run_id for one in stage.ballast.ledger.operations()}
        assert opened_by.isdisjoint(replays)


def test_api_server_away__legs_running_and_deferred__they_go_on_when_it_is_back(stage: Stage) -> None:
    with stage.case("API server away") as case:
        stage.hold()
        [transfer] = stage.open((TO_ALPACA, USDC))
        stage.wait_effect(transfer, "burn")
        stage.wait_state(transfer, Leg.BRIDGE, "deferred")
        [mint] = stage.open((MINT, "AAPL"))
        stage.wait_effect(mint, "mint_request")
        stage.wait_state(mint, Leg.MINT, "running")

        for server in ("api-server", "task-server"):
            stage.kill(server)
        end = time.monotonic() + OUTAGE_SECONDS
        stage.release()
        stage.wait(lambda: time.monotonic() > end, "the outage over")
        for server in ("api-server", "task-server"):
            stage.start(server)

        case.mended()
        stage.wait_settled(mint, transfer)
        case.recovered()
        for operation in (mint, transfer):
            last = stage.ballast.ledger.operation(operation.id)
            assert stage.wait_run(last.run_id) == "success"


def test_afterwards__another_run__finds_nothing_to_do_and_nothing_to_show(stage: Stage) -> None:
    known = len(stage.ballast.ledger.operations())

    run_id = stage.trigger()

    assert stage.wait_run(run_id) == "success"
    assert set(stage.reasons(run_id).values()) == {"balanced"}
    assert len(stage.ballast.ledger.operations()) == known
    variables = stage.call("GET", "/variables", params={"limit": 100}).json()
    known_names = {"rebalancing_switch", "rebalancing_hold"}
    assert {entry["key"] for entry in variables["variables"]} == known_names


def first_log(stage: Stage, operation: Operation, leg: Leg) -> str:
    """Return what the first try of a leg has logged, for a failed assertion to show."""
    task = stage.task(operation, leg)
    assert task is not None
    return stage.log(task, 1)


def clear(stage: Stage, operation: Operation, leg: Leg, *, include_downstream: bool = False) -> None:
    task = stage.task(operation, leg)
    assert task is not None
    wanted = {
        "dry_run": False,
        "dag_run_id": task["dag_run_id"],
        "task_ids": [[task["task_id"], task["map_index"]]],
        "only_failed": False,
        "include_downstream": include_downstream,
    }
    stage.ask("POST", "/clearTaskInstances", json=wanted)


def wait_adopted(stage: Stage, operation: Operation) -> Operation:
    """Let another run take an operation over; no other has been opened for its asset."""
    stage.trigger()
    ledger = stage.ballast.ledger
    stage.wait(lambda: ledger.operation(operation.id).run_id != operation.run_id, "adopted")
    assert [one.id for one in ledger.open_operations()] == [operation.id]
    return ledger.operation(operation.id)


def assert_returned_at_once(stage: Stage, before: Operation, after: Operation, leg: Leg) -> None:
    """Require that a leg that was done returned the same in the next run, and waited for nothing."""
    first, second = (stage.task(before, leg, one.run_id) for one in (before, after))
    assert first is not None
    assert second is not None
    assert second["state"] == "success"
    assert result(stage, second) == result(stage, first)
    assert stage.tries(before, leg, after.run_id) == ["success"]
    assert "waits for" not in stage.log(second, 1)


def result(stage: Stage, task: dict[str, Any]) -> Any:
    path = f"/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}/xcomEntries/return_value"
    return stage.ask("GET", path, params={"map_index": task["map_index"]}).json()["value"]


def start_backfill(stage: Stage) -> int:
    now = datetime.now(UTC)
    since = now - timedelta(minutes=2)
    wanted = {"dag_id": DAG_ID, "from_date": since.isoformat(), "to_date": now.isoformat()}
    return int(stage.call("POST", "/backfills", json=wanted).json()["id"])


def is_complete(stage: Stage, backfill: int) -> bool:
    answer = stage.call("GET", f"/backfills/{backfill}").json()
    return answer["completed_at"] is not None
