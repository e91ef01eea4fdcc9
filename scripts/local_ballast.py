"""Ballast on this machine: the local world, and an Airflow that rebalances in it."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from include.ledger.ledger import Ledger
from include.sandbox.scenario import DEFAULT, Scenario
from include.sandbox.world import World
from include.settings.names import Names
from scripts.astro_settings import ROOT
from scripts.local_airflow import LocalAirflow

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from include.sandbox.attestation_rules import AttestationSettings

DAG_ID = Names().dag
RUN = ROOT / ".run"


@dataclass
class LocalBallast:
    """Starts everything when entered, and ends all that it started.

    :param home: where logs, Airflow's database and the ledger are; emptied at the start.
    :param tell: told of each step of the start.
    :param attestation: how Circle's service behaves at first.
    :param extra: environment variables that win over those of the world.
    :param people: who may log in to Airflow, and their roles; everybody as an administrator when empty.
    """

    home: Path
    tell: Callable[[str], None]
    scenario: Scenario = DEFAULT
    attestation: AttestationSettings | None = None
    port: int | None = None
    extra: dict[str, str] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)
    world: World = field(init=False)
    airflow: LocalAirflow = field(init=False)
    ledger: Ledger = field(init=False)
    _stack: ExitStack = field(init=False, default_factory=ExitStack)

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self._stack.close)
            shutil.rmtree(self.home, ignore_errors=True)
            self.home.mkdir(parents=True)
            self.tell("starting two chains, Circle's attestation service and Alpaca's Broker API")
            self.world = self._stack.enter_context(World(self.scenario, attestation=self.attestation))
            self.ledger = self._open_ledger()
            self._stack.callback(self.ledger.close)
            self.tell("starting Airflow")
            self.airflow = self._make_airflow()
            self._stack.enter_context(self.airflow)
            self.tell(f"Airflow is up: {self.airflow.url}")
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _open_ledger(self) -> Ledger:
        return Ledger.open(f"sqlite:///{self.home / 'ledger.db'}")

    def _make_airflow(self) -> LocalAirflow:
        return LocalAirflow(
            self.home / "airflow", port=self.port, extra=self._environment(), people=self.people
        )

    def _environment(self) -> dict[str, str]:
        ledger = f'{{"conn_type": "sqlite", "host": "{self.home / "ledger.db"}"}}'
        environment = self.world.settings_environment() | {"AIRFLOW_CONN_REBALANCING_LEDGER": ledger}
        return environment | self.extra

    def unpause(self, dag: str = DAG_ID) -> None:
        """Let the schedule of a DAG begin, once Airflow has read it.

        :raises AirflowFailed: when it does not get there, with the DAG's import error where there is one.
        """

        def is_unpaused() -> bool:
            with self.airflow.client() as client:
                return client.patch(f"/api/v2/dags/{dag}", json={"is_paused": False}).is_success

        self.airflow.wait_until(is_unpaused, f"ready to unpause {dag}: {self.import_errors()}")

    def import_errors(self) -> list[str]:
        """Return what keeps Airflow from reading a DAG."""
        with self.airflow.client() as client:
            errors = client.get("/api/v2/importErrors").raise_for_status().json()["import_errors"]
            return [error["stack_trace"] for error in errors]

    def runs(self, dag: str = DAG_ID) -> list[dict[str, Any]]:
        """Return the runs of a DAG, newest first, as Airflow's API shows them."""
        with self.airflow.client() as client:
            answer = client.get(
                f"/api/v2/dags/{dag}/dagRuns", params={"order_by": "-run_after", "limit": 100}
            )
            runs: list[dict[str, Any]] = answer.raise_for_status().json()["dag_runs"]
            return runs
