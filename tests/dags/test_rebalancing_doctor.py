from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag

from ballast.doctor import pools_of
from include.settings import Names
from tests.dags.test_rebalancing import dag_with, environment
from tests.support.airflow_home import ROOT

FILE = ROOT / "dags" / "rebalancing_doctor.py"


@pytest.fixture(scope="module")
def dag() -> Any:
    bag = DagBag(str(FILE))
    assert bag.import_errors == {}
    return bag.dags["rebalancing_doctor"]


def test_schedule__is_none_and_a_trigger_runs_at_once(dag: Any) -> None:
    assert dag.schedule is None
    assert dag.catchup is False
    assert dag.is_paused_upon_creation is False
    assert dag.max_active_runs == 1


def test_tasks__are_one_that_is_tried_once(dag: Any) -> None:
    (task,) = dag.tasks
    assert task.task_id == "doctor"
    assert task.retries == 0
    assert task.pool == "default_pool"
    assert task.execution_timeout is not None
    assert not dag.params


def test_doc__tells_when_to_run_it_and_what_it_cannot_see(dag: Any) -> None:
    for word in ("before going live", "Nothing is changed", "make doctor"):
        assert word in dag.doc_md
    assert dag.tags == {"ballast"}


def test_reading__with_wrong_settings__still_gives_the_dag_and_loads_nothing_heavy() -> None:
    job = {"file": str(FILE), "environment": {"BALLAST_REBALANCING_TARGET_RATIO": "2"}}
    done = subprocess.run(
        [sys.executable, "-m", "tests.dags.reading"],
        cwd=ROOT,
        env=environment(),
        input=json.dumps([job]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout.splitlines()[-1])
    assert found["errors"] == []
    assert found["dags"] == ["rebalancing_doctor"]
    assert found["heavy"] == []


def test_pools__that_the_doctor_looks_for__are_those_of_the_rebalancing_dag() -> None:
    used = {task.pool for task in dag_with().tasks}
    assert used - {"default_pool"} == set(pools_of(Names()))
