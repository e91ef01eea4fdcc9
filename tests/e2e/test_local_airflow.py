"""The local Airflow for real: it comes up, holds what `airflow_settings.yaml` says, and leaves no trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.local_airflow import COMPONENTS, LocalAirflow
from scripts.processes import members

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

NOT_OURS = {
    "AIRFLOW_CONN_CIRCLE": '{"conn_type": "circle", "host": "http://127.0.0.1:1"}',
}


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    with LocalAirflow(tmp_path_factory.mktemp("airflow") / "home", extra=NOT_OURS) as started:
        yield started


def test_prepared__pools_variables_and_connections__are_those_of_the_file(airflow: LocalAirflow) -> None:
    with airflow.client() as client:
        pools = client.get("/api/v2/pools").raise_for_status().json()["pools"]
        connections = client.get("/api/v2/connections").raise_for_status().json()["connections"]
        switch = client.get("/api/v2/variables/rebalancing_switch").raise_for_status().json()

    assert {pool["name"]: (pool["slots"], pool["include_deferred"]) for pool in pools} == {
        "default_pool": (128, False),
        "rebalancing_check": (1, False),
        "rebalancing_operations": (32, True),
    }
    # `circle` is given in the environment, and so is not stored.
    assert {entry["connection_id"] for entry in connections} == {"alpaca", "evm_wallet", "rebalancing_ledger"}
    assert (switch["value"], switch["is_encrypted"]) == ("run", True)


def test_connection_form__our_types__have_their_fields(airflow: LocalAirflow) -> None:
    with airflow.client() as client:
        answer = client.get("/ui/connections/hook_meta").raise_for_status().json()
    forms = {form["connection_type"]: form for form in answer}

    assert forms["alpaca"]["hook_name"] == "Alpaca Broker"
    assert set(forms["alpaca"]["extra_fields"]) == {"account_id", "auth", "token_url"}
    assert forms["evm"]["standard_fields"]["password"]["title"] == "Private key"
    assert forms["circle"]["standard_fields"]["password"]["hidden"] is True


def test_prepare__again__keeps_what_a_person_changed(airflow: LocalAirflow) -> None:
    changes = (
        ("variables/rebalancing_switch", {"key": "rebalancing_switch", "value": "drain"}),
        ("connections/alpaca", {"connection_id": "alpaca", "conn_type": "alpaca", "login": "KEY"}),
        (
            "pools/rebalancing_operations",
            {"name": "rebalancing_operations", "slots": 5, "include_deferred": False},
        ),
    )
    with airflow.client() as client:
        for path, body in changes:
            client.patch(f"/api/v2/{path}", json=body).raise_for_status()

        airflow.prepare()

        switch, connection, pool = (client.get(f"/api/v2/{path}").json() for path, _ in changes)
    assert switch["value"] == "drain"
    assert connection["login"] == "KEY"
    # Except that a pool which is to count deferred tasks does.
    assert (pool["slots"], pool["include_deferred"]) == (5, True)


def test_scheduler__killed_and_started_again__is_another_process_and_all_is_healthy(
    airflow: LocalAirflow,
) -> None:
    before = airflow.pid("scheduler")
    airflow.kill("scheduler")
    airflow.start(["scheduler"])
    assert not airflow.is_healthy()  # though Airflow's own report says so, from the old one's last heartbeat
    airflow.wait_healthy()
    assert airflow.pid("scheduler") != before
    assert members(before)  # what it left behind


def test_stop__everything__leaves_no_process(airflow: LocalAirflow) -> None:
    groups = [*(airflow.pid(component) for component in COMPONENTS), *airflow.orphans]
    assert len(groups) > len(COMPONENTS)
    airflow.stop()
    assert [member for group in groups for member in members(group)] == []
    assert not (airflow.home / "processes.json").exists()
    assert (airflow.home / "airflow.db").exists()
