"""The same work by one worker and by two: what a second one brings, and what bounds it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil
import pytest

from scripts.local_ballast import DAG_ID
from tests.distributed.work import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from scripts.distributed import DistributedBallast
    from scripts.progress import Progress
    from tests.distributed.work import Size

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(0)]

PATIENCE = 1800
SECOND = "worker-2"


@dataclass
class Measured:
    """How one round of work went.

    :param busy: slots in use, in each sample.
    :param queued: tasks that waited for a slot, in each sample.
    :param used: seconds of processor time of everything that Ballast and Airflow run here.
    :param machine: seconds of processor time of the whole machine, whoever used them.
    """

    workers: int
    operations: int
    seconds: float = 0
    used: float = 0
    machine: float = 0
    busy: list[int] = field(default_factory=list)
    queued: list[int] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Operations a minute."""
        return 60 * self.operations / self.seconds

    def describe(self, slots: int) -> str:
        cores = self.seconds * (os.cpu_count() or 1)
        return (
            f"{self.workers} worker{'s' if self.workers > 1 else ''}: {self.operations} operations in "
            f"{self.seconds:.0f} s, {self.rate:.1f} a minute; {_mean(self.busy):.1f} of "
            f"{self.workers * slots} slots in use, {_mean(self.queued):.1f} tasks waiting for one; "
            f"processors {self.machine / cores:.0%} busy, {self.used / cores:.0%} by this"
        )


@pytest.fixture
def client(ballast: DistributedBallast) -> Iterator[httpx.Client]:
    with ballast.airflow.client() as opened:
        yield opened


def test_throughput__of_two_workers__is_measured_against_one(
    ballast: DistributedBallast, size: Size, tell: Progress, client: httpx.Client
) -> None:
    work, airflow = Work(ballast, rounds=3), ballast.airflow
    ballast.unpause()
    wait(lambda: work.is_done_with(1))  # what is out of balance at the start: it warms everything up
    airflow.stop([SECOND])
    one = measure(ballast, work, client, workers=1)
    airflow.start([SECOND])
    airflow.wait_healthy()
    two = measure(ballast, work, client, workers=2)
    for measured in (one, two):
        tell(measured.describe(airflow.slots))
    tell(f"two workers did {two.rate / one.rate:.2f} times as much as one, on {os.cpu_count()} cores")
    assert work.verdict() == []
    assert one.operations == two.operations == size.assets
    # What a second worker brings depends on the machine; that it costs nothing does not.
    assert two.rate > 0.8 * one.rate


def measure(ballast: DistributedBallast, work: Work, client: httpx.Client, *, workers: int) -> Measured:
    """Bring every asset out of balance while nothing may begin, let it begin, and watch until all is done."""
    turn = work.turns + 1
    set_switch(client, "drain")
    for asset in work.traded:
        work.unbalance(asset)
    measured = Measured(workers, operations=len(work.traded))
    used, machine, began = used_here(), machine_busy(), time.monotonic()
    set_switch(client, "run")

    def is_done() -> bool:
        measured.busy.append(count(client, "running"))
        measured.queued.append(count(client, "queued"))
        return work.is_done_with(turn)

    wait(is_done)
    measured.seconds = time.monotonic() - began
    measured.used, measured.machine = used_here() - used, machine_busy() - machine
    return measured


def wait(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "the work is not done"
        time.sleep(0.5)


def set_switch(client: httpx.Client, value: str) -> None:
    body = {"key": "rebalancing_switch", "value": value}
    client.patch("/api/v2/variables/rebalancing_switch", json=body).raise_for_status()


def count(client: httpx.Client, state: str) -> int:
    """Return how many tasks of the DAG are in a state."""
    path = f"/api/v2/dags/{DAG_ID}/dagRuns/~/taskInstances"
    found = client.get(path, params={"state": state, "limit": 1}).raise_for_status().json()
    return int(found["total_entries"])


def used_here() -> float:
    """Return the processor time of this process and all its children, those that have ended included."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def machine_busy() -> float:
    """Return the processor time that all processors have spent at work."""
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def _mean(values: list[int]) -> float:
    return sum(values) / len(values)
