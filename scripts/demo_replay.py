"""Three days decided again under two other settings, by backfills of a real Airflow; nothing is moved.

The past is made up first: a random walk of trades, with the looks and operations of the pipeline itself. The
last line is for programs; everything before it is for people.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import httpx
from rich.console import Console
from sqlalchemy import select

from include.ledger.database import open_engine, reading
from include.ledger.records import CheckMode
from include.ledger.replays import heads
from include.ledger.schema import Base, CheckRow, DecisionRow, ReplayRow, ReplayRunRow
from include.replay.report import Reports
from scripts.local_airflow import AirflowFailed, LocalAirflow
from scripts.local_ballast import DAG_ID, RUN
from scripts.progress import Progress
from scripts.replay_history import Past, environment
from scripts.replay_table import replay_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sqlalchemy import Engine

DAYS: Final = 3
INTERVAL: Final = timedelta(hours=3)
OUTAGE: Final = (12, 16)
"""The looks that were never taken, so that some runs have nothing to decide on."""
PATIENCE_SECONDS: Final = 900
ATTEMPTS: Final = 20
WRITTEN_BY_REPLAYS: Final = frozenset(
    row.__tablename__ for row in (CheckRow, DecisionRow, ReplayRow, ReplayRunRow)
)
REPLAYS: Final[tuple[Mapping[str, Any], ...]] = (
    {"replay_name": "a narrower band", "deviation": 0.12},
    {
        "replay_name": "stop half-way, not below 60",
        "stop_deviation": 0.1,
        "equity_minimum": 60,
        "per_asset": {"USDC": {"deviation": 0.3}},
    },
)


class DemoFailed(RuntimeError):
    """What the demo is to show did not happen."""


def untouched(engine: Engine) -> str:
    """Return what is another text as soon as one row changes that says what was moved, or is to be."""
    digest = hashlib.sha256()
    with engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            if table.name in WRITTEN_BY_REPLAYS:
                continue
            for row in connection.execute(select(table).order_by(*table.primary_key.columns)):
                digest.update(f"{table.name} {tuple(row)!r}\n".encode())
    return digest.hexdigest()


def checks_of_venues(engine: Engine) -> int:
    """Count the checks that looked at the venues."""
    with reading(engine) as session:
        return len(session.scalars(select(CheckRow.id).where(CheckRow.mode != CheckMode.REPLAY.value)).all())


@dataclass
class ReplayDesk:
    """An Airflow over a past that was made up, and no venue anywhere. Everything ends with it.

    :param home: where logs, Airflow's database and the ledger are; emptied at the start.
    :param past: with how many intervals, and which were never recorded.
    """

    home: Path
    tell: Progress
    interval: timedelta = INTERVAL
    steps: int = DAYS * 24 * 3600 // int(INTERVAL.total_seconds())
    outage: tuple[int, int] = OUTAGE
    start: datetime = field(init=False)
    engine: Engine = field(init=False)
    airflow: LocalAirflow = field(init=False)
    looks: int = field(init=False)

    def __enter__(self) -> ReplayDesk:
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        ledger = self.home / "ledger.db"
        now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        self.start = now - (self.steps + 1) * self.interval
        past = Past(f"sqlite:///{ledger}", self.start, self.interval, outage=self.outage)
        past.make(self.steps)
        self.looks = past.looks
        self.engine = open_engine(f"sqlite:///{ledger}")
        connection = f'{{"conn_type": "sqlite", "host": "{ledger}"}}'
        hours = self.steps * self.interval / timedelta(hours=1)
        self.tell(f"{self.looks} looks of {hours:g} hours are recorded; starting Airflow")
        self.airflow = LocalAirflow(
            self.home / "airflow",
            extra=environment(self.interval) | {"AIRFLOW_CONN_REBALANCING_LEDGER": connection},
        )
        try:
            self.airflow.__enter__()
            self.airflow.wait_until(self._is_read, f"done reading {DAG_ID}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.airflow.stop()
        self.engine.dispose()

    def _is_read(self) -> bool:
        with suppress(httpx.TransportError), self.airflow.client() as client:
            return client.get(f"/api/v2/dags/{DAG_ID}").is_success
        return False

    def pause(self, *, paused: bool) -> None:
        """Pause the DAG, or let its runs go on. A backfill's runs wait while it is paused."""

        def done() -> bool:
            with suppress(httpx.TransportError), self.airflow.client() as client:
                return client.patch(f"/api/v2/dags/{DAG_ID}", json={"is_paused": paused}).is_success
            return False

        self.airflow.wait_until(done, "paused" if paused else "unpaused")

    def span(self) -> tuple[datetime, datetime]:
        """Return from when to when a backfill covers the whole past, and one run before it."""
        return self.start - self.interval / 2, self.start + self.steps * self.interval

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the processes that write to Airflow's database now and then.

        On SQLite, Airflow gives up creating a backfill when another of them writes.
        """
        groups = [self.airflow.pid(name) for name in ("scheduler", "dag-processor", "triggerer")]
        for group in groups:
            os.killpg(group, signal.SIGSTOP)
        try:
            yield
        finally:
            for group in groups:
                os.killpg(group, signal.SIGCONT)

    def backfill(self, number: int, conf: Mapping[str, Any]) -> int:
        """Create a backfill of the whole past, and return its id.

        :param number: which one it is: a date has one run in Airflow, so each takes dates of its own.
        """
        first, last = self.span()
        for attempt in range(ATTEMPTS):
            shift = timedelta(seconds=number, milliseconds=attempt)
            asked = {
                "dag_id": DAG_ID,
                "from_date": (first + shift).isoformat(),
                "to_date": last.isoformat(),
                "dag_run_conf": dict(conf),
            }
            with self.airflow.client() as client:
                with self.alone():
                    answer = client.post("/api/v2/backfills", json=asked, timeout=PATIENCE_SECONDS)
                if answer.is_success:
                    created: int = answer.json()["id"]
                    return created
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    break
                self.tell(f"Airflow could not create the backfill: {answer.json()['detail']} Trying again")
            time.sleep(1)
        raise DemoFailed(f"Airflow refused the backfill: {answer.text}")

    def wait(self, backfill: int) -> None:
        """Wait until a backfill is over, and say now and then how far it is.

        :raises AirflowFailed: if it takes too long, or Airflow ends.
        """
        told = 0.0

        def over() -> bool:
            nonlocal told
            if time.monotonic() - told > 5:
                told = time.monotonic()
                self.tell(f"backfill {backfill}: {self.recorded()} runs have decided, or found nothing to")
            # A machine with much else to do may not answer in time; it is asked again.
            with suppress(httpx.HTTPError), self.airflow.client() as client:
                found = client.get(f"/api/v2/backfills/{backfill}").raise_for_status().json()
                return found["completed_at"] is not None
            return False

        self.airflow.wait_until(over, f"over: backfill {backfill}", timeout=PATIENCE_SECONDS)

    def recorded(self) -> int:
        """Count the runs of all replays that are recorded."""
        with reading(self.engine) as session:
            return sum(one.done + sum(one.skipped.values()) for one in heads(session))

    def failed_runs(self) -> list[str]:
        """Return the runs of backfills that failed."""
        with self.airflow.client() as client:
            asked = {"run_type": "backfill", "state": "failed"}
            found = client.get(f"/api/v2/dags/{DAG_ID}/dagRuns", params=asked).raise_for_status().json()
        return [run["dag_run_id"] for run in found["dag_runs"]]


def main() -> int:
    """Run the demo, and end everything it started."""
    tell = Progress()
    home = RUN / "demo-replay"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with ReplayDesk(home, tell) as desk:
            before, looks = untouched(desk.engine), checks_of_venues(desk.engine)
            tell(f"Airflow is up: {desk.airflow.url}")
            for number, conf in enumerate(REPLAYS):
                tell(f"replay {number + 1}: {conf}")
                created = desk.backfill(number, conf)
                desk.pause(paused=False)
                desk.wait(created)
                desk.pause(paused=True)
            if failed := desk.failed_runs():
                raise DemoFailed(f"runs failed: {', '.join(failed)}")
            if (untouched(desk.engine), checks_of_venues(desk.engine)) != (before, looks):
                raise DemoFailed("the replays changed what was moved, or looked at a venue")
            reports = Reports(desk.engine)
            found = [reports.report(one.id) for one in reversed(reports.list().replays)]
            if len(found) != len(REPLAYS):
                raise DemoFailed(f"{len(found)} replays are recorded instead of {len(REPLAYS)}")
            tell("stopping everything")
    except (DemoFailed, AirflowFailed, httpx.HTTPError) as failure:
        sys.stderr.write(f"demo-replay failed: {failure}\nThe logs are in {home / 'airflow'}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("demo-replay: interrupted; everything it started has been ended\n")
        return 130
    console = Console(width=None if sys.stdout.isatty() else 150)
    for report in found:
        console.print(replay_table(report))
    runs = sum(one.replay.done + sum(one.replay.skipped.values()) for one in found)
    sys.stdout.write(
        f"\ndemo-replay: days={DAYS} checks={desk.looks} replays={len(found)} runs={runs} "
        f"moved=nothing seconds={tell.seconds}\n"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
