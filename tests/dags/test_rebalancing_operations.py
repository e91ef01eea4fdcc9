from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag

from tests.dags.test_rebalancing import environment
from tests.support.airflow_home import ROOT

FILE = ROOT / "dags" / "rebalancing_operations.py"
OPTIONAL = ("operation", "reason", "reference", "outcome", "delivered", "effect")


@pytest.fixture(scope="module")
def dag() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BALLAST_SETTINGS_FILE", os.devnull)
        bag = DagBag(str(FILE))
    assert bag.import_errors == {}
    return bag.dags["rebalancing_operations"]


def test_reading__loads_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.dags.reading"],
        cwd=ROOT,
        env=environment(),
        input=json.dumps([{"file": str(FILE), "environment": {}}]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    [found] = json.loads(done.stdout.splitlines()[-1])
    assert (found["errors"], found["dags"], found["heavy"]) == ([], ["rebalancing_operations"], [])


def test_schedule__only_people_start_it_and_it_is_ready(dag: Any) -> None:
    assert dag.schedule is None
    assert dag.catchup is False
    assert dag.is_paused_upon_creation is False
    assert dag.tags == {"ballast"}


def test_tasks__are_one_that_is_not_tried_again(dag: Any) -> None:
    [task] = dag.tasks
    assert task.task_id == "intervene"
    assert task.retries == 0


def test_form__as_it_opens__only_lists(dag: Any) -> None:
    assert dag.params.get_param("verb").resolve() == "list"
    assert {name: dag.params.get_param(name).resolve() for name in OPTIONAL} == dict.fromkeys(OPTIONAL)


def test_form__takes_the_known_verbs_and_outcomes_only(dag: Any) -> None:
    verb, outcome = dag.params.get_param("verb"), dag.params.get_param("outcome")
    for known in ("list", "resume", "cancel", "reconcile", "adopt"):
        assert verb.resolve(known) == known
    for stated in (None, "not_done", "closed"):
        assert outcome.resolve(stated) == stated
    with pytest.raises(Exception, match="delete"):
        verb.resolve("delete")
    with pytest.raises(Exception, match="maybe"):
        outcome.resolve("maybe")


def test_doc__explains_each_verb(dag: Any) -> None:
    for verb in ("list", "resume", "cancel", "adopt", "reconcile", "not_done", "closed"):
        assert verb in dag.doc_md
