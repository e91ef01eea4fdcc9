"""Ballast as on several machines: PostgreSQL, Redis, Celery workers, and Airflow's other processes in pairs.

For `make up-distributed` and `make test-distributed`. All of them are on this machine and share its cores,
clock and files; everything else between them is as between machines.
"""

from __future__ import annotations

import json
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

import celery  # type: ignore[import-untyped]  # it has no types
import kombu.exceptions
import psutil

from include.ledger.database import migrate, open_engine
from include.ledger.ledger import Ledger
from scripts.local_airflow import HOST, TASKS_TALK_TO, LocalAirflow, free_port
from scripts.local_ballast import LocalBallast
from scripts.servers import USER, Postgres, Redis, missing, of_airflow, record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

SCHEDULERS: Final = 2
TRIGGERERS: Final = 2
WORKERS: Final = 2
SLOTS: Final = 4
"""Tasks that a worker runs at once."""
LOCAL_SETTINGS: Final = {
    "AIRFLOW__CELERY__TASK_ACKS_LATE": "True",
    "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
    # Longer than any task: a check may take five minutes, and what waits longer is deferred.
    "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "900",
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    # What a worker had taken and not begun when it died is handed out again after this, not after 600 s.
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "120",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "15",
}
_JOBS: Final = {"scheduler": "SchedulerJob", "triggerer": "TriggererJob", "dag-processor": "DagProcessorJob"}


class Unprepared(RuntimeError):
    """Something is not installed. The message says how to install it."""


def require_installed() -> None:
    """Refuse to begin where a server is not installed.

    :raises Unprepared: naming the packages.
    """
    if absent := missing():
        raise Unprepared(
            f"several machines need {' and '.join(absent)}, which this one does not have; on Debian: "
            f"apt-get install --no-install-recommends {' '.join(absent)}"
        )


def numbered(kind: str, count: int) -> tuple[str, ...]:
    """Return the names of so many processes of a kind."""
    return tuple(f"{kind}-{number}" for number in range(1, count + 1))


def kind_of(component: str) -> str:
    """Return of which kind a numbered process is."""
    name, _, number = component.rpartition("-")
    return name if number.isdigit() else component


class DistributedAirflow(LocalAirflow):
    """An Airflow whose tasks are run by Celery workers, with two schedulers and two triggerers.

    :param broker: the URL of the Redis that carries the tasks to the workers.
    :param workers: how many there are.
    :param slots: tasks that each of them runs at once.
    """

    def __init__(
        self,
        home: Path,
        *,
        broker: str,
        port: int | None = None,
        extra: Mapping[str, str] | None = None,
        people: Mapping[str, str] | None = None,
        workers: int = WORKERS,
        slots: int = SLOTS,
    ) -> None:
        # No more is queued than the workers have room for: what waits in Redis would look lost.
        own = LOCAL_SETTINGS | {
            "AIRFLOW__CELERY__BROKER_URL": broker,
            "AIRFLOW__CORE__PARALLELISM": str(max(workers * slots // SCHEDULERS, 1)),
        }
        super().__init__(home, port=port, extra=own | dict(extra or {}), people=people)
        # One server is enough for people and tasks: PostgreSQL lets several write at once.
        self.environment[TASKS_TALK_TO] = f"{self.url}/execution/"
        self.slots = slots
        self.components = (
            "api-server",
            "dag-processor",
            *numbered("scheduler", SCHEDULERS),
            *numbered("triggerer", TRIGGERERS),
            *numbered("worker", workers),
        )
        self._broker = broker
        self._left: list[psutil.Process] = []

    def arguments_of(self, component: str) -> tuple[str, ...]:
        """Return the command that Airflow is to run for a component."""
        kind = kind_of(component)
        if kind != "worker":
            return (kind,)
        options = ("--celery-hostname", component, "--concurrency", str(self.slots), "--without-gossip")
        return ("celery", "worker", *options, "--without-mingle")

    def environment_of(self, component: str) -> dict[str, str]:
        """Return what a component has to find in its environment: a port of its own, to serve logs."""
        ports = {
            f"AIRFLOW__LOGGING__{kind}_LOG_SERVER_PORT": str(free_port()) for kind in ("TRIGGER", "WORKER")
        }
        return super().environment_of(component) | ports

    def is_healthy(self) -> bool:
        """Tell whether everything that was started is up, each with a heartbeat of its own."""
        health = self.health()
        if not health or health["metadatabase"]["status"] != "healthy":
            return False
        running = [name for name in self.components if self.is_running(name)]
        if not all(self._beat([name for name in running if kind_of(name) == kind]) for kind in _JOBS):
            return False
        return {name for name in running if kind_of(name) == "worker"} <= self.workers_ready()

    def _beat(self, names: list[str]) -> bool:
        """Tell whether each of these processes has had a heartbeat since the last of them was started.

        :param names: all of one kind, and all of that kind.
        """
        if not names:
            return True
        wanted = {"job_type": _JOBS[kind_of(names[0])], "job_state": "running", "is_alive": "true"}
        with self.client() as client:
            jobs = client.get("/api/v2/jobs", params=wanted).raise_for_status().json()["jobs"]
        since = max(self.began(name) for name in names)
        return sum(datetime.fromisoformat(job["latest_heartbeat"]) >= since for job in jobs) >= len(names)

    def workers_ready(self) -> set[str]:
        """Return which workers answer through Redis."""
        with celery.Celery(broker=self._broker) as app:
            try:
                answers = app.control.ping(timeout=1)
            except kombu.exceptions.OperationalError:
                return set()
        return {name.partition("@")[2] or name for answer in answers or () for name in answer}

    def crash(self, component: str, *, whole: bool) -> None:
        """Kill a process as if its machine lost its power, or only the process itself.

        :param whole: whether what it has started dies too; otherwise that goes on by itself.
        """
        children = psutil.Process(self.pid(component)).children(recursive=True)
        self.kill(component)
        for child in children:
            if whole:
                with suppress(psutil.NoSuchProcess):
                    child.send_signal(signal.SIGKILL)
            else:
                self._left.append(child)

    def stop(self, components: Iterable[str] | None = None, *, patience: float = 15) -> None:
        """Stop processes with everything they started, and all that crashes have left."""
        super().stop(components, patience=patience)
        if components is None:
            for child in self._left:
                with suppress(psutil.NoSuchProcess):
                    child.kill()  # only if it is still the same process
            self._left = []


@dataclass
class DistributedBallast(LocalBallast):
    """A local Ballast on servers of its own.

    :param workers: how many Celery workers there are.
    :param slots: tasks that each of them runs at once.
    """

    workers: int = WORKERS
    slots: int = SLOTS
    airflow: DistributedAirflow = field(init=False)
    postgres: Postgres = field(init=False)
    redis: Redis = field(init=False)

    def _open_ledger(self) -> Ledger:
        require_installed()
        servers = self.home / "servers"
        servers.mkdir()
        self.tell("starting PostgreSQL and Redis")
        self.postgres = self._stack.enter_context(Postgres(servers / "postgres.log"))
        self.redis = self._stack.enter_context(Redis(servers / "redis.log"))
        record(servers, self.postgres, self.redis)
        url = self.postgres.create("ledger")
        engine = open_engine(url)
        migrate(engine)
        engine.dispose()
        return Ledger.open(url)

    def _make_airflow(self) -> DistributedAirflow:
        return DistributedAirflow(
            self.home / "airflow",
            broker=self.redis.url,
            port=self.port,
            extra=self._environment(),
            people=self.people,
            workers=self.workers,
            slots=self.slots,
        )

    def _environment(self) -> dict[str, str]:
        database = self.postgres.create("airflow")
        ledger = {
            "conn_type": "postgres",
            "host": HOST,
            "port": self.postgres.port,
            "login": USER,
            "password": self.postgres.password,
            "schema": "ledger",
        }
        own = {
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{database}",
            "AIRFLOW_CONN_REBALANCING_LEDGER": json.dumps(ledger),
        }
        return super()._environment() | of_airflow(database) | own | self.extra


__all__ = ["DistributedAirflow", "DistributedBallast", "Unprepared", "require_installed"]
