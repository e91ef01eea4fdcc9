"""`make doctor` as a person runs it: a process of its own, with Airflow's database and nothing running."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from include.ledger.ledger import Ledger
from include.sandbox.world import World
from scripts.astro_settings import ROOT
from scripts.local_airflow import LocalAirflow

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(400)]


def run(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    plain = {
        name: value for name, value in os.environ.items() if not name.startswith(("BALLAST_", "AIRFLOW"))
    }
    plain.pop("PYTHONPATH", None)
    return subprocess.run(
        [sys.executable, "-m", "scripts.doctor"],
        cwd=ROOT,
        env=plain | {"BALLAST_SETTINGS_FILE": os.devnull} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_doctor__connections_in_airflows_database_and_the_environment__are_both_found(tmp_path: Path) -> None:
    Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}").close()
    with World() as world:
        environment = world.settings_environment()
        ledger = {"conn_type": "sqlite", "host": str(tmp_path / "ledger.db")}
        in_database = {
            "alpaca": json.loads(environment.pop("AIRFLOW_CONN_ALPACA")),
            "evm_wallet": json.loads(environment.pop("AIRFLOW_CONN_EVM_WALLET")),
            "rebalancing_ledger": ledger,
        }
        stored = [
            {"conn_id": conn_id, "conn_type": values.pop("conn_type")}
            | {f"conn_{name}": value for name, value in values.items()}
            for conn_id, values in in_database.items()
        ]
        pools = [
            {"pool_name": "rebalancing_check", "pool_slot": 1},
            {"pool_name": "rebalancing_operations", "pool_slot": 32},
        ]
        switch = [{"variable_name": "rebalancing_switch", "variable_value": "run"}]
        file = tmp_path / "airflow_settings.yaml"
        file.write_text(
            json.dumps({"airflow": {"connections": stored, "pools": pools, "variables": switch}}),
            encoding="utf-8",
        )
        airflow = LocalAirflow(tmp_path / "airflow", port=1, extra=environment, settings_file=file)
        airflow.prepare()

        done = run(airflow.environment)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 warnings, 0 failures" in done.stdout
    for line in (
        "ok      pool: rebalancing_operations has 32 slots",
        "ok      switch: rebalancing_switch is 'run'",
        "ok      Connection: alpaca is complete",
        "ok      Connection: circle is complete",
        f"ok      wallet key: the key signs for {world.maker.address}",
    ):
        assert line in done.stdout
    shown = done.stdout + done.stderr
    assert bytes(world.maker.key).hex() not in shown


def test_doctor__no_airflow__says_so_and_makes_none(tmp_path: Path) -> None:
    done = run({"AIRFLOW_HOME": str(tmp_path)})

    assert done.returncode == 1
    assert "there is no Airflow here" in done.stdout
    assert not (tmp_path / "airflow.db").exists()
