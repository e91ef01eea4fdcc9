"""What can be told of several machines without starting one."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from scripts import distributed, local_airflow, servers
from scripts.distributed import DistributedAirflow, Unprepared, kind_of, numbered, require_installed
from scripts.local_airflow import TASKS_TALK_TO
from tests.distributed.killer import plan
from tests.distributed.work import SIZES, Size, scenario

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def airflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DistributedAirflow:
    ports = iter(range(4711, 4800))
    monkeypatch.setattr(local_airflow, "free_port", lambda: next(ports))
    monkeypatch.setattr(distributed, "free_port", lambda: next(ports))
    return DistributedAirflow(tmp_path, broker="redis://127.0.0.1:1/0", workers=3, slots=4)


class TestAirflow:
    def test_components__with_three_workers__are_there_in_numbers(self, airflow: DistributedAirflow) -> None:
        assert airflow.components == (
            "api-server", "dag-processor", "scheduler-1", "scheduler-2", "triggerer-1", "triggerer-2",
            "worker-1", "worker-2", "worker-3",
        )  # fmt: skip

    def test_arguments__of_a_worker__name_it_and_its_slots(self, airflow: DistributedAirflow) -> None:
        command = " ".join(airflow.arguments_of("worker-2"))
        assert command.startswith("celery worker --celery-hostname worker-2 --concurrency 4")

    def test_arguments__of_others__are_their_kind(self, airflow: DistributedAirflow) -> None:
        assert airflow.arguments_of("scheduler-2") == ("scheduler",)
        assert airflow.arguments_of("dag-processor") == ("dag-processor",)

    def test_tasks__have_no_server_of_their_own__talk_to_that_of_people(
        self, airflow: DistributedAirflow
    ) -> None:
        assert airflow.environment_of("worker-1")[TASKS_TALK_TO] == f"{airflow.url}/execution/"
        assert airflow.arguments_of("api-server") == ("api-server",)

    def test_environment__of_two_processes__has_ports_of_their_own(self, airflow: DistributedAirflow) -> None:
        one, two = airflow.environment_of("worker-1"), airflow.environment_of("worker-2")
        differing = {name for name in one if one[name] != two[name]}
        assert differing == {f"AIRFLOW__LOGGING__{kind}_LOG_SERVER_PORT" for kind in ("TRIGGER", "WORKER")}

    def test_parallelism__of_all_schedulers__is_no_more_than_there_are_slots(
        self, airflow: DistributedAirflow
    ) -> None:
        schedulers = sum(kind_of(name) == "scheduler" for name in airflow.components)
        assert int(airflow.environment["AIRFLOW__CORE__PARALLELISM"]) * schedulers == 3 * 4

    def test_names__numbered_and_not__have_their_kind(self) -> None:
        assert [kind_of(name) for name in numbered("worker", 2)] == ["worker", "worker"]
        assert kind_of("api-server") == "api-server"


class TestServers:
    def test_missing__nothing_installed__says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(servers, "binaries", lambda: None)
        monkeypatch.setattr(shutil, "which", lambda _: None)
        with pytest.raises(Unprepared, match=r"apt-get install .*postgresql redis-server"):
            require_installed()

    def test_missing__all_installed__says_nothing(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(servers, "binaries", lambda: tmp_path)
        monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
        require_installed()


class TestPlan:
    @pytest.mark.parametrize("size", SIZES.values(), ids=list(SIZES))
    def test_kills__for_a_seed__are_always_the_same_and_all_there(self, size: Size) -> None:
        kills = plan(size, 1)
        assert kills == plan(size, 1) != plan(size, 2)
        assert {kind: sum(kill.kind == kind for kill in kills) for kind in size.kills} == size.kills
        assert [kill.after for kill in kills] == sorted({kill.after for kill in kills})
        assert all(0 < kill.after < size.operations for kill in kills)

    def test_scenario__of_fifty__is_out_of_balance_both_ways(self) -> None:
        made = scenario(50)
        more = [holding.onchain > holding.offchain for holding in made.stocks.values()]
        assert len(made.stocks) == 49
        assert sum(more) in (24, 25)
        totals = {holding.onchain + holding.offchain for holding in made.stocks.values()}
        assert len(totals) == 1
