"""Several machines, some of which die: every operation is done once, and all money arrives."""

from __future__ import annotations

import os
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from include.domain.operation import OperationStatus
from tests.distributed.killer import Killer, plan
from tests.distributed.work import Work

if TYPE_CHECKING:
    from scripts.distributed import DistributedBallast
    from scripts.progress import Progress
    from tests.distributed.work import Size

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(0)]  # it has a limit of its own: see Size

SEED = int(os.environ.get("DISTRIBUTED_SEED", "1"))
PREFIX = "rebalancing_in_progress_"


@pytest.fixture(scope="module")
def worked(ballast: DistributedBallast, size: Size, tell: Progress) -> Work:
    """Do all the work, with everything that dies meanwhile."""
    work = Work(ballast, size.rounds)
    killer = Killer(ballast.airflow, plan(size, SEED), tell)
    ballast.unpause()
    began, shown = time.monotonic(), 0
    while not (work.is_done and killer.is_done):
        assert time.monotonic() - began < size.patience, f"{work.settled()} settled; {work.verdict()}"
        operations = work.operations()
        is_busy = any(one.status is OperationStatus.OPEN for one in operations)
        killer.look(len(operations), is_busy or work.is_done)
        work.trade()
        settled = sum(work.settled().values())
        if settled >= shown + max(size.operations // 10, 1):
            shown = settled
            tell(f"{settled} of {size.operations} operations have settled")
        time.sleep(0.2)
    statuses = Counter(one.status.value for one in work.operations())
    seconds = time.monotonic() - began
    tell(
        f"distributed: {dict(statuses)} operations over {size.assets} assets in {seconds:.0f} s, "
        f"{sum(size.kills.values())} kills, {len(killer.ended)} ended by themselves"
    )
    return work


def test_work__while_processes_are_killed__moves_the_money_once(worked: Work, size: Size) -> None:
    assert worked.verdict() == []
    assert worked.settled() == dict.fromkeys(worked.traded, size.rounds)


def test_work__when_it_is_over__leaves_no_claim(worked: Work, ballast: DistributedBallast) -> None:
    assert ballast.ledger.open_operations() == []
    ballast.airflow.wait_until(lambda: in_progress(ballast) == [], "no Variable of work in progress")


def test_parts__after_all_kills__are_healthy(worked: Work, ballast: DistributedBallast) -> None:
    ballast.airflow.wait_healthy()
    assert {name for name in ballast.airflow.components if ballast.airflow.is_running(name)} == set(
        ballast.airflow.components
    )


def in_progress(ballast: DistributedBallast) -> list[str]:
    with ballast.airflow.client() as client:
        found = client.get("/api/v2/variables", params={"limit": 200}).raise_for_status().json()["variables"]
    return [one["key"] for one in found if one["key"].startswith(PREFIX)]
