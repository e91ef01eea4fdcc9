"""A backfill of a real Airflow decides the past again, skips what it cannot, and moves nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from include.ledger.database import reading
from include.ledger.schema import ReplayRunRow
from include.replay.report import Reports
from scripts.astro_settings import ROOT
from scripts.demo_replay import ReplayDesk, checks_of_venues, untouched
from scripts.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.replay import models

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

STEPS, OUTAGE = 6, (2, 5)
CONF = {"deviation": 0.1, "replay_name": "narrow", "replay_tolerance": "2h"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplayDesk]:
    home = tmp_path_factory.mktemp("replay") / "home"
    with ReplayDesk(home, Progress(), interval=timedelta(hours=2), steps=STEPS, outage=OUTAGE) as started:
        yield started


def create(desk: ReplayDesk, *more: str) -> subprocess.CompletedProcess[str]:
    """Create a backfill of the whole past by Airflow's command line."""
    first, last = desk.span()
    command = [sys.executable, "-m", "airflow", "backfill", "create", "--dag-id", "rebalancing"]
    command += ["--from-date", first.isoformat(), "--to-date", last.isoformat(), *more]
    with desk.alone():
        return subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | desk.airflow.environment,
            capture_output=True,
            text=True,
            check=False,
        )


def newest_backfill(desk: ReplayDesk) -> int:
    with desk.airflow.client() as client:
        found = client.get("/api/v2/backfills", params={"dag_id": "rebalancing"}).raise_for_status().json()
    return max(int(one["id"]) for one in found["backfills"])


@pytest.fixture(scope="module")
def report(desk: ReplayDesk) -> models.Report:
    """The report of one backfill, which moved nothing."""
    before = (untouched(desk.engine), checks_of_venues(desk.engine))
    created = create(desk, "--dag-run-conf", json.dumps(CONF))
    assert created.returncode == 0, created.stderr[-2000:]
    desk.pause(paused=False)
    desk.wait(newest_backfill(desk))
    desk.pause(paused=True)
    assert desk.failed_runs() == []
    assert (untouched(desk.engine), checks_of_venues(desk.engine)) == before
    reports = Reports(desk.engine)
    (one,) = reports.list().replays
    return reports.report(one.id)


def test_backfill__every_run__decided_or_was_skipped_for_its_reason(
    desk: ReplayDesk, report: models.Report
) -> None:
    """A run before the first look, and those of an outage that is longer than what is tolerated."""
    assert report.replay.overrides == {"deviation": "0.1", "replay_tolerance": "7200s"}
    with reading(desk.engine) as session:
        runs = session.scalars(select(ReplayRunRow).order_by(ReplayRunRow.moment)).all()
    first = desk.span()[0]
    expected: list[str | None] = []
    for number in range(len(runs)):
        assert runs[number].moment == first + number * desk.interval
        newest = number - 1  # the look half an interval before
        if newest < 0:
            expected.append("nothing_recorded")
        else:
            expected.append("outside_tolerance" if OUTAGE[0] <= newest < OUTAGE[1] else None)
    assert [run.skipped for run in runs] == expected
    assert len(runs) == STEPS + 1
    assert report.looks == STEPS - (OUTAGE[1] - OUTAGE[0])


def test_backfill__a_run_outside_the_tolerance__says_so_in_airflow(desk: ReplayDesk) -> None:
    with desk.airflow.client() as client:
        path = "/api/v2/dags/rebalancing/dagRuns/~/taskInstances"
        found = client.get(path, params={"task_ids": "check", "limit": 100}).raise_for_status().json()
    states: dict[Any, int] = {}
    for task in found["task_instances"]:
        if task["task_id"] == "check" and task["dag_run_id"].startswith("backfill__"):
            states[task["state"]] = states.get(task["state"], 0) + 1
    assert states == {"skipped": 1 + OUTAGE[1] - OUTAGE[0], "success": STEPS - (OUTAGE[1] - OUTAGE[0])}


def test_backfill__conf_of_the_wrong_type__is_refused_by_airflow_at_once(
    desk: ReplayDesk, report: models.Report
) -> None:
    refused = create(desk, "--dag-run-conf", json.dumps({"deviation": [0.1]}))
    assert refused.returncode != 0
    assert report.replay.name == "narrow"
