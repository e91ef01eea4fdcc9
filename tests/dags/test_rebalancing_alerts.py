from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from airflow._shared.module_loading import accepts_context, import_string
from airflow.dag_processing.dagbag import DagBag

from ballast.alerts import run_does_not_end
from tests.dags.test_rebalancing import dag_with, environment
from tests.support.airflow_home import ROOT

FILE = ROOT / "dags" / "rebalancing_alerts.py"


@pytest.fixture(scope="module")
def dag() -> Any:
    bag = DagBag(str(FILE))
    assert bag.import_errors == {}
    return bag.dags["rebalancing_alerts"]


def test_schedule__is_a_minute_and_it_is_not_paused(dag: Any) -> None:
    assert dag.schedule == timedelta(minutes=1)
    assert dag.catchup is False
    assert dag.is_paused_upon_creation is False
    assert dag.max_active_runs == 1


def test_tasks__are_one_that_is_tried_once_and_needs_no_pool(dag: Any) -> None:
    (task,) = dag.tasks
    assert (task.task_id, task.retries, task.pool) == ("watch", 0, "default_pool")
    assert task.execution_timeout < timedelta(minutes=5)


def test_doc__says_what_it_depends_on(dag: Any) -> None:
    for word in ("does not depend on the DAG `rebalancing`", "alert_notifiers", "Nothing is moved"):
        assert word in dag.doc_md


def test_reading__with_wrong_settings__still_gives_the_dag_and_loads_nothing_heavy() -> None:
    wrong = {"BALLAST_REBALANCING_TARGET_RATIO": "2", "BALLAST_ALERT_INTERVAL": "30s"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.dags.reading"],
        cwd=ROOT,
        env=environment(),
        input=json.dumps([{"file": str(FILE), "environment": wrong}]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout.splitlines()[-1])
    assert found["errors"] == []
    assert found["dags"] == ["rebalancing_alerts"]
    assert found["heavy"] == []


def test_deadline__of_the_rebalancing_dag__is_off_by_default_and_calls_what_can_be_awaited() -> None:
    assert not dag_with().deadline
    (alert,) = dag_with(BALLAST_ALERT_RUN_DEADLINE="2h").deadline
    assert alert.interval == timedelta(hours=2)
    assert type(alert.reference).__name__ == "DagRunQueuedAtDeadline"
    assert type(alert.callback).__name__ == "AsyncCallback"
    # The triggerer imports it by this path, and gives it the context where it takes one.
    assert import_string(alert.callback.path) is run_does_not_end
    assert accepts_context(run_does_not_end)
    assert alert.callback.kwargs == {}, "Airflow keeps them in its database"
