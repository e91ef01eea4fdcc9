"""Ballast in a real Airflow: it settles what it found, and a crash half-way does not move money twice."""

from __future__ import annotations

import os
import signal
import time
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from include.domain.operation import OperationKind, OperationStatus
from include.ledger.records import EffectStatus
from include.sandbox.attestation_rules import AttestationSettings
from include.sandbox.chains import BASE_DOMAIN, ETHEREUM_DOMAIN
from include.sandbox.scenario import Holding, Scenario
from include.venues.cctp.contracts import DEPOSIT_FOR_BURN_TOPIC
from scripts.local_airflow import COMPONENTS
from scripts.local_ballast import DAG_ID, LocalBallast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from include.ledger.records import Operation

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

SCENARIO = Scenario(
    stocks={
        "AAPL": Holding(offchain=Decimal(60), onchain=Decimal(40)),
        "MSFT": Holding(offchain=Decimal(81), onchain=Decimal(19)),
    },
    usdc=Holding(offchain=Decimal(1000), onchain=Decimal(9000)),
)
SLOW = AttestationSettings(fast_latency={ETHEREUM_DOMAIN: 15.0, BASE_DOMAIN: 15.0})
TO_ALPACA = OperationKind.USDC_BASE_TO_ALPACA


@pytest.fixture(scope="module")
def ballast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBallast]:
    """An Airflow that was killed while USDC was between Base and Ethereum, and started again."""
    home = tmp_path_factory.mktemp("ballast") / "home"
    with LocalBallast(home, lambda _text: None, scenario=SCENARIO, attestation=SLOW) as started:
        started.unpause()
        wait(started, lambda: has_effect(started, "burn"), "a burn on Base")
        kill_everything(started)
        assert transfer(started).status is OperationStatus.OPEN
        started.airflow.start()
        started.airflow.wait_healthy()
        wait(started, lambda: not started.ledger.open_operations(), "everything settled")
        yield started


def wait(ballast: LocalBallast, condition: Callable[[], object], what: str) -> None:
    ballast.airflow.wait_until(condition, what, timeout=240)


def transfer(ballast: LocalBallast) -> Operation:
    [operation] = ballast.ledger.operations(kind=TO_ALPACA)
    return operation


def has_effect(ballast: LocalBallast, name: str) -> bool:
    return any(
        effect.name == name and effect.status is not EffectStatus.INTENDED
        for operation in ballast.ledger.operations(kind=TO_ALPACA)
        for effect in ballast.ledger.effects(operation.id)
    )


def kill_everything(ballast: LocalBallast) -> None:
    """Kill all of Airflow at once, workers and all, as a power cut would."""
    groups = [ballast.airflow.pid(component) for component in COMPONENTS]
    for group in groups:
        os.killpg(group, signal.SIGKILL)
    ballast.airflow.stop()


def burns(ballast: LocalBallast) -> int:
    """Count the burns on Base, on the chain itself."""
    world = ballast.world
    logs = world.base.rpc.request(
        "eth_getLogs",
        {
            "address": world.deployment.base.token_messenger,
            "topics": ["0x" + DEPOSIT_FOR_BURN_TOPIC.hex()],
            "fromBlock": "0x0",
        },
    )
    return len(list(logs))


def test_killed_in_the_middle__the_transfer_settles_exactly_once(ballast: LocalBallast) -> None:
    assert transfer(ballast).status is OperationStatus.SETTLED
    assert burns(ballast) == 1
    deposits = [
        row for row in ballast.world.broker.core.state.transfers.values() if row.direction == "INCOMING"
    ]
    assert len(deposits) == 1
    assert ballast.world.under_way() == {}
    assert ballast.world.conservation() == []


def test_killed_in_the_middle__the_other_operation_settles_too(ballast: LocalBallast) -> None:
    [mint] = ballast.ledger.operations(kind=OperationKind.MINT)
    assert (mint.asset, mint.status, mint.quantity) == ("MSFT", OperationStatus.SETTLED, Decimal(31))


def test_settled__the_variables_of_work_in_progress_are_gone(ballast: LocalBallast) -> None:
    def in_progress() -> list[str]:
        with ballast.airflow.client() as client:
            variables = client.get("/api/v2/variables").raise_for_status().json()["variables"]
        return [entry["key"] for entry in variables if entry["key"].startswith("rebalancing_in_progress_")]

    wait(ballast, lambda: in_progress() == [], "no work in progress shown")


def test_settled__each_leg_links_to_its_transaction(ballast: LocalBallast) -> None:
    [mint] = ballast.ledger.operations(kind=OperationKind.MINT)
    end = time.monotonic() + 60
    while True:
        url = link(ballast, mint.run_id, "mint.mint", map_index=0)
        if url or time.monotonic() > end:
            break
        time.sleep(0.5)
    assert url.startswith("https://basescan.org/tx/0x")


def link(ballast: LocalBallast, run_id: str, task_id: str, map_index: int) -> str:
    path = f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/{task_id}/links"
    with ballast.airflow.client() as client:
        answer = client.get(path, params={"map_index": map_index}).raise_for_status().json()
    return str(answer["extra_links"].get("Transaction") or "")


def test_balanced__later_runs_start_nothing(ballast: LocalBallast) -> None:
    before = len(ballast.ledger.operations())
    newest = {run["dag_run_id"] for run in ballast.runs()}

    def another_succeeded() -> bool:
        return any(run["state"] == "success" for run in ballast.runs() if run["dag_run_id"] not in newest)

    wait(ballast, another_succeeded, "another run")
    assert len(ballast.ledger.operations()) == before
