from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from include.sandbox.alpaca.settings import Latencies
from scripts.distributed import DistributedBallast
from scripts.progress import Progress
from scripts.servers import missing
from tests.distributed.work import SIZES, Size, scenario

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS = {
    # What keeps the others waiting when a process is killed, as short as this machine allows.
    "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "15",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
    "BALLAST_LEASE_SECONDS": "10",
    "BALLAST_WORKER_PATIENCE": "5s",
}


@pytest.fixture(scope="session")
def size() -> Size:
    return SIZES[os.environ.get("DISTRIBUTED_SIZE", "small")]


@pytest.fixture(scope="session")
def tell() -> Progress:
    return Progress()


@pytest.fixture(scope="session")
def ballast(
    size: Size, tell: Progress, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DistributedBallast]:
    """Start it all. Nothing is done yet: the DAG is paused."""
    if absent := missing():
        pytest.skip(f"not installed: {', '.join(absent)}")
    home = tmp_path_factory.mktemp("distributed") / "home"
    extra = SETTINGS | {"BALLAST_REBALANCING_CHECK_INTERVAL": size.interval}
    with DistributedBallast(home, tell, scenario=scenario(size.assets), extra=extra) as started:
        started.world.broker.core.latencies = Latencies(whitelist_approval=0)
        yield started
