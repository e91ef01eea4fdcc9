from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psutil
import pytest

from scripts import local_airflow, processes
from scripts.local_airflow import TASKS_TALK_TO, AirflowFailed, LocalAirflow, environment
from scripts.processes import stop_recorded

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _no_port_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_airflow, "free_port", lambda: 4711)


class TestEnvironment:
    def test_environment__any__listens_on_loopback_only(self, tmp_path: Path) -> None:
        own = environment(tmp_path, 8123)
        assert own["AIRFLOW__API__HOST"] == "127.0.0.1"
        assert own["AIRFLOW__API__PORT"] == "8123"
        assert own["AIRFLOW__API__BASE_URL"] == "http://127.0.0.1:8123"
        assert own["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8123/execution/"

    def test_environment__any__finds_the_project_and_nothing_else(self, tmp_path: Path) -> None:
        own = environment(tmp_path, 8123)
        assert own["AIRFLOW_HOME"] == str(tmp_path)
        assert own["AIRFLOW__CORE__DAGS_FOLDER"] == str(ROOT / "dags")
        assert own["AIRFLOW__CORE__PLUGINS_FOLDER"] == str(ROOT / "plugins")
        assert own["AIRFLOW__CORE__LOAD_EXAMPLES"] == "False"
        assert own["PYTHONPATH"].split(os.pathsep) == [str(ROOT / part) for part in ("", "plugins", "config")]

    def test_environment__second_start__keeps_the_keys(self, tmp_path: Path) -> None:
        first, second = environment(tmp_path, 1), environment(tmp_path, 2)
        for name in (
            "AIRFLOW__CORE__FERNET_KEY",
            "AIRFLOW__API_AUTH__JWT_SECRET",
            "AIRFLOW__API__SECRET_KEY",
        ):
            assert first[name] == second[name]
        assert len(first["AIRFLOW__API_AUTH__JWT_SECRET"]) >= 64

    def test_environment__keys__are_for_their_owner_only_and_differ_between_homes(
        self, tmp_path: Path
    ) -> None:
        one, two = environment(tmp_path / "one", 1), environment(tmp_path / "two", 1)
        assert one["AIRFLOW__CORE__FERNET_KEY"] != two["AIRFLOW__CORE__FERNET_KEY"]
        mode = (tmp_path / "one" / "secrets.json").stat().st_mode
        assert stat.S_IMODE(mode) == 0o600

    def test_environment__proxy_exceptions_of_the_machine__are_kept(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NO_PROXY", "intranet.example")
        assert environment(tmp_path, 1)["NO_PROXY"] == "intranet.example,127.0.0.1,localhost"


def test_arguments__of_the_two_servers__keep_tasks_apart_from_people(tmp_path: Path) -> None:
    airflow = LocalAirflow(tmp_path, port=8123)
    told = airflow.environment[TASKS_TALK_TO]
    people, tasks = airflow.arguments_of("api-server"), airflow.arguments_of("task-server")
    assert people == ("api-server", "--apps", "core")
    assert tasks[:-1] == ("api-server", "--apps", "execution", "--port")
    assert told == f"http://127.0.0.1:{tasks[-1]}/execution/" != f"{airflow.url}/execution/"


class TestProcesses:
    """With processes that are not Airflow: what is started is a stand-in that sleeps."""

    @pytest.fixture
    def airflow(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalAirflow:
        stand_in = tmp_path / "python"
        stand_in.write_text(
            "#!/bin/sh\n"
            # $1 $2 $3 are -m airflow COMPONENT
            'echo "this is $3"\n'
            'if [ "$3" = triggerer ]; then exit 3; fi\n'
            "if [ \"$3\" = dag-processor ]; then trap '' TERM; fi\n"
            "sleep 60 & wait; sleep 60\n",
            encoding="utf-8",
        )
        stand_in.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(stand_in))
        monkeypatch.setattr(LocalAirflow, "health", lambda _: {})
        return LocalAirflow(tmp_path / "home")

    def test_start__twice__starts_each_once(self, airflow: LocalAirflow) -> None:
        try:
            airflow.start(["scheduler"])
            pid = airflow.pid("scheduler")
            airflow.start(["scheduler"])
            assert airflow.pid("scheduler") == pid
            assert os.getpgid(pid) == pid
        finally:
            airflow.stop(patience=0)

    def test_stop__process_that_ignores_it__is_killed_with_its_children(self, airflow: LocalAirflow) -> None:
        airflow.start(["dag-processor"])
        pid = airflow.pid("dag-processor")
        airflow.wait_until(lambda: len(processes.members(pid)) == 2, "started", 10)

        airflow.stop(patience=0.2)

        assert not airflow.is_running("dag-processor")
        _wait_gone(pid)

    def test_kill__scheduler__leaves_its_children_as_a_crash_would(self, airflow: LocalAirflow) -> None:
        airflow.start(["scheduler"])
        pid = airflow.pid("scheduler")
        airflow.wait_until(lambda: len(processes.members(pid)) == 2, "started", 10)
        try:
            airflow.kill("scheduler")
            assert not airflow.is_running("scheduler")
            assert len(processes.members(pid)) == 1
            assert airflow.orphans == [pid]
        finally:
            airflow.stop(patience=1)
        _wait_gone(pid)
        assert airflow.orphans == []

    def test_wait_healthy__a_process_ended__is_named_with_its_output(self, airflow: LocalAirflow) -> None:
        airflow.start(["triggerer"])
        try:
            with pytest.raises(AirflowFailed, match=r"triggerer ended with 3:\nthis is triggerer"):
                airflow.wait_healthy(10)
        finally:
            airflow.stop()

    def test_wait_healthy__never_healthy__gives_up(self, airflow: LocalAirflow) -> None:
        airflow.start(["scheduler"])
        try:
            with pytest.raises(AirflowFailed, match="not healthy in 0 s"):
                airflow.wait_healthy(0)
        finally:
            airflow.stop(patience=1)

    def test_stop_recorded__from_another_process__stops_what_runs(self, airflow: LocalAirflow) -> None:
        airflow.start(["scheduler"])
        pid = airflow.pid("scheduler")
        try:
            assert stop_recorded(airflow.home, patience=2) == ["scheduler"]
            _wait_gone(pid)
            assert stop_recorded(airflow.home) == []
        finally:
            airflow.stop(patience=0)

    def test_stop_recorded__process_id_is_someone_elses_now__is_left_alone(self, tmp_path: Path) -> None:
        with subprocess.Popen(["sleep", "60"], start_new_session=True) as other:
            try:
                entry = {"pid": other.pid, "started": psutil.Process(other.pid).create_time() - 100}
                (tmp_path / "processes.json").write_text(json.dumps({"processes": {"scheduler": entry}}))
                assert stop_recorded(tmp_path) == []
                assert other.poll() is None
            finally:
                other.kill()


def _wait_gone(group: int) -> None:
    for _ in range(100):
        if not processes.members(group):
            return
        psutil.wait_procs([], timeout=0.05)
    pytest.fail(f"group {group} still has members")


class TestHealth:
    @pytest.mark.parametrize(
        ("database", "scheduler", "heartbeat", "healthy"),
        [
            ("healthy", "healthy", "2030-01-01T00:00:05+00:00", True),
            ("healthy", "healthy", "2029-12-31T23:59:59+00:00", False),  # that of the one before
            ("healthy", "healthy", None, False),
            ("healthy", "unhealthy", "2030-01-01T00:00:05+00:00", False),
            ("unhealthy", "healthy", "2030-01-01T00:00:05+00:00", False),
        ],
    )
    def test_is_healthy__only_the_scheduler_started__needs_its_own_heartbeat(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        database: str,
        scheduler: str,
        heartbeat: str | None,
        healthy: bool,
    ) -> None:
        airflow = LocalAirflow(tmp_path)
        report = {
            "metadatabase": {"status": database},
            "scheduler": {"status": scheduler, "latest_scheduler_heartbeat": heartbeat},
            "triggerer": {"status": None},
        }
        monkeypatch.setattr(airflow, "_processes", {"scheduler": None})
        monkeypatch.setattr(airflow, "_began", {"scheduler": datetime(2030, 1, 1, tzinfo=UTC)})
        monkeypatch.setattr(airflow, "health", lambda: report)
        assert airflow.is_healthy() is healthy

    def test_is_healthy__tasks_find_no_server__is_not(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        airflow = LocalAirflow(tmp_path)
        monkeypatch.setattr(airflow, "health", lambda: {"metadatabase": {"status": "healthy"}})
        assert airflow.is_healthy()
        asked = []

        def refuse(url: str, **_: object) -> httpx.Response:
            asked.append(url)
            raise httpx.ConnectError("refused")

        monkeypatch.setattr(httpx, "get", refuse)
        monkeypatch.setattr(airflow, "is_running", lambda name: name == "task-server")
        assert not airflow.is_healthy()
        assert asked == [f"{airflow.environment[TASKS_TALK_TO]}health/ping"]

    def test_is_healthy__nothing_answers__is_not(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        airflow = LocalAirflow(tmp_path)
        monkeypatch.setattr(airflow, "health", dict)
        assert airflow.is_healthy() is False
