"""What is done on the page is what was asked for, once, and it is known who did it and why."""

from __future__ import annotations

import json
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.models import DagModel, DagRun, Log
from airflow.models.variable import Variable
from airflow.utils.session import create_session
from sqlalchemy import select

from ballast import interventions
from include.domain.operation import OperationStatus
from include.settings import Names
from tests.support.airflow_home import ROOT
from tests.unit.plugins.fakes import opened, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

    from include.ledger.ledger import Ledger
    from include.settings import Settings
    from tests.support.clock import Clock
    from tests.unit.plugins.page.conftest import Browser, Given

SWITCH, HOLD, SHOWN = Names().switch, Names().hold, Names().in_progress("AAPL")


def audited() -> list[tuple[str, str | None, str | None, Any]]:
    """Return event, DAG, user and content of every line of the audit log."""
    with create_session() as session:
        rows = session.scalars(select(Log).order_by(Log.id))
        return [(row.event, row.dag_id, row.owner, json.loads(row.extra or "{}")) for row in rows]


def described(name: str) -> str | None:
    with create_session() as session:
        return session.scalar(select(Variable.description).where(Variable.key == name))


# -- the switch ------------------------------------------------------------------------------------


def test_switch__is_turned_shown_and_recorded(ulla: Browser) -> None:
    Variable.set(SWITCH, "run", description="What is allowed")
    answer = ulla.post("api/switch", {"to": "halt", "reason": " a split\r\n tonight "})
    assert (answer.status_code, answer.json()) == (200, {"switch": "halt", "was": "run"})
    assert Variable.get(SWITCH) == "halt"
    assert described(SWITCH) == "What is allowed"
    assert ulla.get("api/overview").json()["switch"] == "halt"
    entry = {"was": "run", "to": "halt", "reason": "a split tonight"}
    assert audited() == [("ballast_switch", "rebalancing", "ulla", entry)]


@pytest.mark.parametrize(
    ("body", "about"),
    [
        ({"to": "halt"}, "reason"),
        ({"to": "halt", "reason": " \n"}, "reason"),
        ({"to": "stop", "reason": "x"}, "to"),
        ({"to": "halt", "reason": "x", "force": True}, "force"),
        ({"to": "halt", "reason": "x" * 1001}, "reason"),
    ],
)
def test_switch__something_is_wrong_with_the_form__says_what(
    ulla: Browser, body: dict[str, Any], about: str
) -> None:
    answer = ulla.post("api/switch", body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][-1] == about
    assert audited() == []


def test_switch__set_in_the_environment__is_refused(ulla: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written to the database would not be read by any task."""
    monkeypatch.setenv("AIRFLOW_VAR_REBALANCING_SWITCH", "run")
    answer = ulla.post("api/switch", {"to": "halt", "reason": "now"})
    assert answer.status_code == 409
    assert "AIRFLOW_VAR_REBALANCING_SWITCH" in answer.json()["detail"]
    assert ulla.get("api/overview").json()["switch"] == "run"
    assert audited() == []


@pytest.mark.parametrize(("value", "meaning"), [(None, "drain"), ("runn", "drain"), (" Run ", "run")])
def test_switch__is_shown_as_the_tasks_understand_it(ulla: Browser, value: str | None, meaning: str) -> None:
    if value is not None:
        Variable.set(SWITCH, value)
    assert ulla.get("api/overview").json()["switch"] == meaning


def test_variables__there_and_not_readable__stop_everything(
    ulla: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    Variable.set(SWITCH, "run")
    Variable.set(HOLD, "AAPL")
    monkeypatch.setattr(Variable, "get", lambda *_, **__: None)
    found = ulla.get("api/overview").json()
    assert found["switch"] == "halt"
    assert "could not be read" in found["hold_all"]
    assert all(asset["held"] for asset in found["assets"])


# -- the hold list ---------------------------------------------------------------------------------


def test_hold__is_added_and_taken_away_and_recorded(ulla: Browser) -> None:
    Variable.set(HOLD, '["tsla"]')
    held = ulla.post("api/hold", {"asset": "AAPL", "hold": True, "reason": "earnings"})
    assert held.json() == {"hold": ["AAPL", "TSLA"]}
    found = ulla.get("api/overview").json()
    assert found["hold"] == ["AAPL", "TSLA"]
    assert {one["asset"]: one["held"] for one in found["assets"]} == {"AAPL": True, "USDC": False}
    # TSLA is not watched any more, and can still be taken off the list.
    ulla.post("api/hold", {"asset": "TSLA", "hold": False, "reason": "gone"})
    last = ulla.post("api/hold", {"asset": "AAPL", "hold": False, "reason": "over"})
    assert last.json() == {"hold": []}
    assert ulla.get("api/overview").json()["hold"] == []
    assert [(event, user, entry["to"]) for event, _, user, entry in audited()] == [
        ("ballast_hold", "ulla", "AAPL, TSLA"),
        ("ballast_hold", "ulla", "AAPL"),
        ("ballast_hold", "ulla", ""),
    ]


def test_hold__the_list_is_not_one__is_not_overwritten(ulla: Browser) -> None:
    Variable.set(HOLD, "AAPL; TSLA")
    assert ulla.get("api/overview").json()["hold_all"] is not None
    answer = ulla.post("api/hold", {"asset": "AAPL", "hold": False, "reason": "x"})
    assert answer.status_code == 409
    assert "correct the Airflow Variable rebalancing_hold" in answer.json()["detail"]
    assert Variable.get(HOLD) == "AAPL; TSLA"


def test_hold__not_an_asset__is_not_found(ulla: Browser) -> None:
    assert ulla.post("api/hold", {"asset": "NVDA", "hold": True, "reason": "x"}).status_code == 404
    assert audited() == []


# -- a check ---------------------------------------------------------------------------------------


@pytest.fixture
def dag(airflow: FastAPI) -> Iterator[None]:
    """The DAG, as Airflow has it after reading the file."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager  # noqa: PLC0415 - once Airflow's database is there
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db  # noqa: PLC0415 - as above

    bundles: Any = DagBundlesManager
    bundles().sync_bundles_to_db()
    bag = DagBag(ROOT / "dags" / "rebalancing.py", bundle_path=ROOT / "dags", load_op_links=False)
    assert bag.import_errors == {}
    sync_bag_to_db(bag, "dags-folder", None)
    yield
    with create_session() as session:
        for model in (DagRun, DagModel):
            for row in session.scalars(select(model)):
                session.delete(row)


@pytest.mark.usefixtures("dag")
def test_check__starts_a_run_in_the_name_of_the_user(ulla: Browser) -> None:
    answer = ulla.post("api/check", {"dry_run": True, "reason": "after the split"})
    assert answer.status_code == 200
    started = answer.json()
    assert (started["state"], started["paused"]) == ("queued", True)
    with create_session() as session:
        (run,) = session.scalars(select(DagRun))
        assert (run.run_id, run.dag_id) == (started["run_id"], "rebalancing")
        assert run.triggering_user_name == "ulla"
        assert run.conf == {"dry_run": True}
        assert run.note == "after the split"
    assert [(event, user) for event, _, user, _ in audited()] == [("trigger_dag_run", "ulla")]
    assert ulla.get("api/overview").json()["paused"] is True


def test_check__airflow_does_not_know_the_dag__passes_on_what_it_says(ulla: Browser) -> None:
    answer = ulla.post("api/check", {})
    assert answer.status_code == 404
    assert answer.json()["detail"] == "Dag with dag_id: 'rebalancing' not found"


# -- operations ------------------------------------------------------------------------------------


@pytest.fixture
def operation(ledger: Ledger, clock: Clock, source: Given, monkeypatch: pytest.MonkeyPatch) -> str:
    """An open operation that has moved nothing, and venues that nobody has to ask about it."""

    @contextmanager
    def open_venues(own: Settings) -> Iterator[Any]:
        yield SimpleNamespace(settings=own, now=clock)

    monkeypatch.setattr(interventions, "open_venues", open_venues)
    return opened(ledger, clock)["operation_id"]


def test_cancel__is_done_recorded_and_shown(ulla: Browser, ledger: Ledger, operation: str) -> None:
    Variable.set(SHOWN, "shown")
    answer = ulla.post(f"api/operations/{operation}/cancel", {"reason": "a split"})
    assert answer.status_code == 200
    assert answer.json()["status"] == "cancelled"
    assert [(one["verb"], one["actor"]) for one in answer.json()["interventions"]] == [("cancel", "ulla")]
    assert ledger.operation(operation).status is OperationStatus.CANCELLED
    [done] = ledger.interventions(operation)
    assert (done.actor, done.reason) == ("ulla", "a split")
    entry = {"operation": operation, "asset": "AAPL", "reason": "a split"}
    assert audited() == [("ballast_cancel", "rebalancing", "ulla", entry)]
    assert Variable.get(SHOWN, default_var=None) is None


def test_resume__is_done_and_the_variable_follows(ulla: Browser, ledger: Ledger, operation: str) -> None:
    answer = ulla.post(f"api/operations/{operation}/resume", {"reason": "open again"})
    assert answer.status_code == 200
    assert answer.json()["status"] == "open"
    assert json.loads(Variable.get(SHOWN))["operation"] == operation


def test_verb__refused__says_why_and_changes_nothing(
    ulla: Browser, ledger: Ledger, operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = ulla.post(f"api/operations/{operation}/reconcile", {"reason": "x"})
    assert answer.status_code == 409
    assert answer.json()["detail"] == "to reconcile, an outcome is needed: not_done or closed"
    assert ledger.operation(operation).status.is_open
    assert ledger.interventions(operation) == []
    assert audited() == []


def test_verb__a_connection_is_missing__is_refused_and_names_it(
    ulla: Browser, ledger: Ledger, clock: Clock
) -> None:
    operation = opened(ledger, clock)["operation_id"]
    answer = ulla.post(f"api/operations/{operation}/resume", {"reason": "x"})
    assert answer.status_code == 409
    assert "'alpaca'" in answer.json()["detail"]


def test_verb__no_such_operation_or_verb__is_not_found_or_wrong(ulla: Browser, operation: str) -> None:
    assert ulla.post("api/operations/nowhere/resume", {"reason": "x"}).status_code == 404
    assert ulla.post(f"api/operations/{operation}/move", {"reason": "x"}).status_code == 422


# -- what cannot be read ---------------------------------------------------------------------------


def test_ledger__its_connection_is_missing__is_said(
    ulla: Browser, source: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ballast.page.source import Source  # noqa: PLC0415

    monkeypatch.setattr("ballast.page.source.load_settings", lambda book: settings())
    monkeypatch.setattr(source, "reader", Source("").reader, raising=False)
    answer = ulla.get("api/overview")
    assert answer.status_code == 503
    assert "'rebalancing_ledger' is missing" in answer.json()["detail"]


def test_ledger__cannot_be_read__is_said_without_its_address(ulla: Browser, source: Given) -> None:
    with source.opened.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE checks RENAME TO gone")
    answer = ulla.get("api/overview")
    assert answer.status_code == 503
    assert answer.json()["detail"] == "a database could not be read (OperationalError); the log says more"
