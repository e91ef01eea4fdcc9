from __future__ import annotations

import json
from typing import TYPE_CHECKING

import httpx
import pytest

from include.doctor.report import Finding, Level
from scripts import doctor, local_airflow, up

if TYPE_CHECKING:
    from pathlib import Path

OK = Finding("thing", Level.OK, "fine")
WARNING = Finding("thing", Level.WARNING, "meh", "Nothing.")
BAD = Finding("other", Level.FAILURE, "bad", "Mend it.")


@pytest.mark.parametrize(("findings", "code"), [([OK], 0), ([OK, WARNING], 0), ([BAD, OK], 1)])
def test_main__ends_with_1_for_a_failure_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], findings: list[Finding], code: int
) -> None:
    asked: list[str] = []

    def examine(book: str) -> list[Finding]:
        asked.append(book)
        return findings

    monkeypatch.setattr(doctor, "examine", examine)

    assert doctor.main([]) == code
    assert asked == [""]

    shown = capsys.readouterr().out.splitlines()
    assert shown[:-2] == [line for finding in findings for line in finding.lines()]
    assert shown[-1].startswith("doctor: ")


def test_main__of_a_book__looks_at_that_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda book: [OK] if book == "fund" else [BAD])

    assert doctor.main(["--book", "fund"]) == 0


@pytest.mark.parametrize("record", [None, {"pid": 1, "started": 1.0}])
def test_local__nothing_is_running_or_ready__says_how_to_start_it(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    record: dict[str, str | int | float] | None,
) -> None:
    monkeypatch.setattr(up, "running", lambda: record)

    assert doctor.main(["--local"]) == 1
    assert "make up" in capsys.readouterr().err


def test_local_environment__is_that_of_the_airflow_that_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(up, "HOME", tmp_path)
    monkeypatch.setattr(
        up, "running", lambda: {"ui": "http://127.0.0.1:4711", "control": "http://world.test"}
    )
    monkeypatch.setattr(local_airflow, "free_port", lambda: 1)
    world = {"BALLAST_WALLET": "0x1"}
    answer = httpx.Response(200, json=world, request=httpx.Request("GET", "http://world.test"))
    monkeypatch.setattr(
        httpx, "get", lambda url, **_: answer if url == "http://world.test/environment" else None
    )

    found = doctor.local_environment()

    assert found["BALLAST_WALLET"] == "0x1"
    assert found["AIRFLOW_HOME"] == str(tmp_path / "airflow")
    assert found["AIRFLOW__API__PORT"] == "4711"
    assert json.loads(found["AIRFLOW_CONN_REBALANCING_LEDGER"])["host"] == str(tmp_path / "ledger.db")
