from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from ballast import interventions, operations
from include.domain.operation import OperationStatus
from include.ledger.ledger import Ledger, utc_now
from tests.unit.plugins.fakes import opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from include.exits.situation import Situation


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """A ledger that is named by a Connection in the environment, as of a real installation."""
    path = tmp_path / "book.db"
    connection = json.dumps({"conn_type": "sqlite", "host": str(path)})
    monkeypatch.setenv("AIRFLOW_CONN_REBALANCING_LEDGER", connection)
    monkeypatch.setenv("BALLAST_SETTINGS_FILE", os.devnull)
    monkeypatch.delenv("_AIRFLOW_PROCESS_CONTEXT", raising=False)
    own = Ledger.open(f"sqlite:///{path}")
    yield own
    own.close()
    monkeypatch.delenv("_AIRFLOW_PROCESS_CONTEXT", raising=False)


def test_list__nothing_open__says_so(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert operations.main(["list"]) == 0
    assert capsys.readouterr().out == "no operation is open\n"


def test_list__json__is_what_programs_read(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    operation = opened(ledger, utc_now)["operation_id"]  # type: ignore[arg-type]  # any clock will do
    assert operations.main(["--json", "list"]) == 0
    [found] = json.loads(capsys.readouterr().out)
    assert found["operation"] == operation


def test_show__unknown__is_refused(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    assert operations.main(["show", "nowhere"]) == 1
    assert capsys.readouterr().err == "refused: the ledger has no operation nowhere\n"


def test_show__known__is_told(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    operation = opened(ledger, utc_now)["operation_id"]  # type: ignore[arg-type]  # any clock will do
    assert operations.main(["show", operation]) == 0
    assert f"{operation}  mint 31 AAPL, open" in capsys.readouterr().out


def test_ledger__no_connection__is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BALLAST_SETTINGS_FILE", os.devnull)
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")
    assert operations.main(["list"]) == 1
    assert "'rebalancing_ledger' is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        (["resume", "x", "--reason", "why"], {"verb": "resume"}),
        (["cancel", "x", "--reason", "why"], {"verb": "cancel"}),
        (
            ["adopt", "x", "0xabc", "--reason", "why", "--effect", "burn"],
            {"verb": "adopt", "reference": "0xabc", "effect": "burn"},
        ),
        (["reconcile", "x", "not_done", "--reason", "why"], {"verb": "reconcile", "outcome": "not_done"}),
        (
            ["reconcile", "x", "closed", "--delivered", "0", "--reason", "why"],
            {"verb": "reconcile", "outcome": "closed", "delivered": "0"},
        ),
    ],
)
def test_verb__as_written__becomes_the_request(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, arguments: list[str], given: dict[str, str]
) -> None:
    asked: list[tuple[str, object]] = []

    def perform(_settings: object, _ledger: object, actor: str, request: object) -> Situation:
        asked.append((actor, request))
        return interventions.listed(ledger)[0]

    monkeypatch.setattr(interventions, "perform", perform)
    opened(ledger, utc_now)  # type: ignore[arg-type]  # any clock will do
    assert operations.main([*arguments, "--actor", "ada"]) == 0
    [(actor, request)] = asked
    wanted = {
        "operation_id": "x",
        "reason": "why",
        "effect": "",
        "reference": "",
        "outcome": "",
        "delivered": "",
    }
    assert actor == "ada"
    assert {name: getattr(request, name) for name in (*wanted, "verb")} == wanted | given


def test_verb__without_a_reason__is_an_error_of_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        operations.main(["cancel", "x"])
    assert ended.value.code == 2
    assert "--reason" in capsys.readouterr().err


def test_verb__without_a_name__takes_the_login(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names: list[str] = []

    def perform(_settings: object, _ledger: object, actor: str, _request: object) -> Situation:
        names.append(actor)
        return interventions.listed(ledger)[0]

    monkeypatch.setattr(interventions, "perform", perform)
    monkeypatch.setenv("LOGNAME", "grace")
    opened(ledger, utc_now)  # type: ignore[arg-type]  # any clock will do
    assert operations.main(["resume", "x", "--reason", "why"]) == 0
    assert names == ["grace"]
    assert OperationStatus.OPEN.value in capsys.readouterr().out
