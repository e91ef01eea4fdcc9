from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk.definitions.context import (
    _AIRFLOW_PARSING_CONTEXT_DAG_ID,
    _AIRFLOW_PARSING_CONTEXT_TASK_ID,
)
from airflow.serialization.serialized_objects import DagSerialization

from ballast.operators import LegOperator
from include.domain.operation import OperationKind
from tests.support.airflow_home import ROOT

FILE = ROOT / "dags" / "rebalancing.py"
MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
KINDS = [kind.value for kind in OperationKind]
SETTINGS = {
    "BALLAST_REBALANCING_CHECK_INTERVAL": "45s",
    "BALLAST_TOKEN_ADDRESSES": json.dumps({"AAPL": "0x" + "11" * 20, "TSLA": "0x" + "22" * 20}),
}


VAULTS = {
    "BALLAST_ORDERBOOK": "0x" + "33" * 20,
    "BALLAST_ASSETS": json.dumps(
        {"AAPL": {"vaults": ["0x" + "0a" * 32]}, "TSLA": {"wrapper": "0x" + "44" * 20}}
    ),
}
"""One stock has a vault and another one a wrapper."""


def environment(**settings: str) -> dict[str, str]:
    """Return this process's environment with no settings of Ballast but these."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("BALLAST_")}
    path = os.pathsep.join([str(ROOT), str(ROOT / "plugins")])
    return {**plain, "BALLAST_SETTINGS_FILE": os.devnull, "PYTHONPATH": path, **settings}


def dag_with(**settings: str) -> Any:
    """Return the DAG as these settings make it, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("BALLAST_")]:
            patch.delenv(name)
        for name, value in settings.items():
            patch.setenv(name, value)
        patch.setenv("BALLAST_SETTINGS_FILE", os.devnull)
        bag = DagBag(str(FILE))
    assert bag.import_errors == {}
    return bag.dags["rebalancing"]


@pytest.fixture(scope="module")
def dag() -> Any:
    return dag_with(**SETTINGS)


@pytest.fixture(scope="module")
def vaulted() -> Any:
    return dag_with(**SETTINGS, **VAULTS)


@pytest.fixture(scope="module")
def asking() -> Any:
    """The DAG where some operations of one stock need approval."""
    return dag_with(**SETTINGS, BALLAST_ASSETS=json.dumps({"TSLA": {"approval_above": 10}}))


@pytest.fixture(scope="module")
def readings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """What reading the file took, for several settings, and what reading an empty one took."""
    empty = tmp_path_factory.mktemp("dags") / "empty.py"
    empty.write_text(
        "from airflow.sdk import DAG, task\n"
        "with DAG('empty', schedule=None):\n"
        "    task(task_id='nothing')(lambda: None)()\n"
    )
    jobs = [
        *[("right", FILE, SETTINGS)] * 3,
        *[("empty", empty, {})] * 3,
        ("vaulted", FILE, {**SETTINGS, **VAULTS}),
        ("asking", FILE, {**SETTINGS, "BALLAST_USDC_APPROVAL_ABOVE": "100"}),
        ("wrong", FILE, {**SETTINGS, "BALLAST_REBALANCING_TARGET_RATIO": "2"}),
        ("incomplete", FILE, {"BALLAST_REBALANCING_ENABLED": "true"}),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "tests.dags.reading"],
        cwd=ROOT,
        env=environment(),
        input=json.dumps([{"file": str(file), "environment": values} for _, file, values in jobs]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[dict[str, Any]]] = {}
    for (name, _, _), reading in zip(jobs, json.loads(done.stdout.splitlines()[-1]), strict=True):
        found.setdefault(name, []).append(reading)
    return found


@pytest.mark.parametrize("name", ["right", "vaulted", "asking"])
def test_reading__with_right_settings__gives_the_dag_and_loads_nothing_heavy(
    readings: Any, name: str
) -> None:
    found = readings[name][0]

    assert found["errors"] == []
    assert found["dags"] == ["rebalancing"]
    assert found["heavy"] == []


def test_reading__with_a_wrong_setting__is_an_import_error_that_names_it(readings: Any) -> None:
    found = readings["wrong"][0]

    assert found["dags"] == []
    assert "rebalancing_target_ratio" in found["errors"][0]


def test_reading__enabled_without_what_that_needs__names_each_missing_setting(readings: Any) -> None:
    found = readings["incomplete"][0]

    for name in ("wallet", "token_addresses", "redemption_wallet", "ethereum_rpc_url", "base_rpc_url"):
        assert f"{name}: is missing" in found["errors"][0]


def test_reading__compared_with_an_empty_dag__costs_little(readings: Any) -> None:
    """What every task's process pays for this file, over what it pays for any DAG that has a task."""
    ours, least = (
        statistics.median(reading["seconds"] for reading in readings[name]) for name in ("right", "empty")
    )

    assert ours / least < 3, (ours, least)


def test_schedule__comes_from_the_settings_and_catches_up_on_nothing(dag: Any) -> None:
    assert dag.schedule == timedelta(seconds=45)
    assert dag.catchup is False
    assert dag.is_paused_upon_creation is True
    assert dag.dagrun_timeout is None


def test_schedule__reaction__is_the_interval_or_an_asset_that_the_triggerer_watches() -> None:
    wallet, issuer = "0x" + "0a" * 20, "0x" + "0b" * 20
    live = {"REBALANCING_ENABLED": "true", "WALLET": wallet, "REDEMPTION_WALLET": issuer}
    live |= {"ETHEREUM_RPC_URL": "http://ethereum.test", "BASE_RPC_URL": "http://base.test"}
    dag = dag_with(
        **SETTINGS,
        **{f"BALLAST_{name}": value for name, value in live.items()},
        BALLAST_REBALANCING_REACTION="true",
    )

    stored: Any = DagSerialization.from_dict(DagSerialization.to_dict(dag))
    planned = stored.iter_dagrun_infos_between(MIDNIGHT, MIDNIGHT + timedelta(seconds=100))

    [watched] = dag.timetable.asset_condition.watchers
    assert watched.trigger.serialize() == ("ballast.watcher.BalanceTrigger", {"every": 1.0, "rest": 5.0})
    # What a backfill makes is what it makes of the interval alone.
    assert stored.timetable.periodic
    moments = [MIDNIGHT + timedelta(seconds=45 * number) for number in range(3)]
    assert [info.logical_date for info in planned] == moments


def test_runs__overlap_and_always_leave_a_place_for_a_check(dag: Any) -> None:
    assert dag.max_active_runs >= len(("AAPL", "TSLA", "USDC")) + 1
    assert dag.max_active_runs >= 16


def test_many_symbols__never_fill_up_all_places() -> None:
    tokens = {f"S{number}": f"0x{number + 1:040x}" for number in range(40)}

    dag = dag_with(BALLAST_TOKEN_ADDRESSES=json.dumps(tokens))

    assert dag.max_active_runs > 41  # forty stocks and USDC, each in a run of its own, and the check


def test_tasks__are_a_check_a_claim_for_each_kind_and_a_leg_each(dag: Any) -> None:
    legs = {f"{kind.value}.{leg.value}" for kind in OperationKind for leg in kind.legs}

    assert set(dag.task_ids) == {"check", *(f"claim_{kind}" for kind in KINDS), *legs}


def tasks_of(dag: Any, kind: OperationKind) -> list[str]:
    """Return the legs that have a task, in the order in which they are pushed."""
    ids = {task_id for task_id in dag.task_ids if task_id.startswith(f"{kind.value}.")}

    def place(task_id: str) -> int:
        before = dag.get_task(task_id).upstream_task_ids & ids
        return 1 + max(map(place, before), default=0)

    return [dag.get_task(task_id).leg.value for task_id in sorted(ids, key=place)]


def test_tasks__of_a_kind__are_the_legs_that_any_of_its_assets_needs(vaulted: Any) -> None:
    assert {kind.value: tasks_of(vaulted, kind) for kind in OperationKind} == {
        "mint": ["mint", "wrap", "vault_deposit"],
        "redemption": ["vault_withdraw", "unwrap", "redeem"],
        "usdc_alpaca_to_base": ["withdraw", "bridge"],  # USDC has no vault in these settings
        "usdc_base_to_alpaca": ["bridge", "deposit"],
    }


def test_tasks__the_last_of_each_group__pushes_all_that_is_left(dag: Any, vaulted: Any) -> None:
    for found in (dag, vaulted):
        for kind in OperationKind:
            order = tasks_of(found, kind)
            marked = {leg: found.get_task(f"{kind.value}.{leg}").last for leg in order}
            assert marked == {leg: leg == order[-1] for leg in order}


def test_approval__wanted_of_no_asset__has_no_task(dag: Any) -> None:
    assert [task_id for task_id in dag.task_ids if task_id.endswith("approve")] == []


def test_approval__wanted_of_any_asset__comes_first_in_the_groups_that_may_move_it(asking: Any) -> None:
    assert {task_id for task_id in asking.task_ids if task_id.endswith("approve")} == {
        "mint.approve",
        "redemption.approve",
    }
    for kind in (OperationKind.MINT, OperationKind.REDEMPTION):
        task = asking.get_task(f"{kind.value}.approve")
        assert type(task).__name__ == "ApproveOperator"
        assert task.upstream_task_ids == {f"claim_{kind.value}"}
        assert f"{kind.value}.{kind.legs[0].value}" in task.downstream_task_ids
        assert task.map_index_template == "{{ task.operation['label'] }}"
        assert task.execution_timeout is None
        assert task.response_timeout is None  # the ledger knows until when
        assert task.defaults is None  # nobody's silence is an answer
        assert (task.retries, task.trigger_rule) == (3, "all_success")
        assert task.pool == "default_pool"  # it waits for a person, and is no work in progress


def test_claims__follow_the_check_and_feed_their_own_group(dag: Any) -> None:
    assert dag.get_task("check").downstream_task_ids == {f"claim_{kind}" for kind in KINDS}
    for kind in OperationKind:
        first = f"{kind.value}.{kind.legs[0].value}"
        assert dag.get_task(first).upstream_task_ids == {f"claim_{kind.value}"}
        for before, after in zip(kind.legs, kind.legs[1:], strict=False):
            follower = dag.get_task(f"{kind.value}.{after.value}")
            assert f"{kind.value}.{before.value}" in follower.upstream_task_ids


def test_groups__are_mapped_over_what_the_claim_returns(dag: Any) -> None:
    for kind in OperationKind:
        group = dag.task_group.get_child_by_label(kind.value)
        assert type(group).__name__ == "MappedTaskGroup"


def test_legs__take_a_slot_of_the_operations_and_are_named_after_what_they_move(dag: Any) -> None:
    for kind in OperationKind:
        for leg in kind.legs:
            task = dag.get_task(f"{kind.value}.{leg.value}")
            assert isinstance(task, LegOperator)
            assert task.leg is leg
            assert task.pool == "rebalancing_operations"
            assert task.map_index_template == "{{ task.operation['label'] }}"
            assert task.execution_timeout is None


def test_check__has_the_one_slot_of_its_pool(dag: Any) -> None:
    assert dag.get_task("check").pool == "rebalancing_check"
    assert dag.get_task("check").execution_timeout == timedelta(minutes=5)


def test_every_task__says_how_often_it_is_tried_and_fails_with_its_upstream(dag: Any) -> None:
    for task in dag.tasks:
        assert task.retries == 3
        assert task.retry_delay == timedelta(seconds=10)
        assert task.retry_exponential_backoff == 2
        # A task that ran whatever happened before it would turn a failed run green.
        assert task.trigger_rule == "all_success"


def test_params__let_a_person_try_without_moving_and_choose_known_assets(dag: Any) -> None:
    dry_run, assets = dag.params.get_param("dry_run"), dag.params.get_param("assets")

    assert dry_run.resolve() is False
    assert assets.resolve() == []
    assert assets.resolve(["AAPL", "USDC"]) == ["AAPL", "USDC"]
    with pytest.raises(Exception, match="MSFT"):
        assets.resolve(["MSFT"])


def test_params__ask_for_one_operation_of_known_kinds_and_assets(dag: Any) -> None:
    for name in ("kind", "asset", "amount", "reason"):
        assert dag.params.get_param(name).resolve() is None
    assert [dag.params.get_param("kind").resolve(kind) for kind in KINDS] == KINDS
    assert dag.params.get_param("asset").resolve("USDC") == "USDC"
    assert dag.params.get_param("amount").resolve("12.5") == "12.5"
    for name, wrong in (("kind", "burn"), ("asset", "MSFT"), ("amount", 12.5), ("reason", 1)):
        with pytest.raises(Exception, match=str(wrong)):
            dag.params.get_param(name).resolve(wrong)


@pytest.mark.parametrize(
    ("task_id", "has_form"), [("check", True), ("claim_mint", False), ("mint.mint", False)]
)
def test_params__in_the_process_of_a_task__are_there_for_the_one_that_reads_them(
    dag: Any, monkeypatch: pytest.MonkeyPatch, task_id: str, has_form: bool
) -> None:
    monkeypatch.setenv(_AIRFLOW_PARSING_CONTEXT_DAG_ID, "rebalancing")
    monkeypatch.setenv(_AIRFLOW_PARSING_CONTEXT_TASK_ID, task_id)

    read = dag_with(**SETTINGS)

    assert set(read.params) == (set(dag.params) if has_form else set())
    assert read.task_ids == dag.task_ids


def test_doc__tells_how_to_try_how_to_stop_and_what_a_pause_does(dag: Any) -> None:
    for word in (
        "dry_run",
        "rebalancing_switch",
        "drain",
        "halt",
        "pause",
        "backfill",
        "amount",
        "approval_above",
    ):
        assert word in dag.doc_md
    assert dag.tags == {"ballast"}
