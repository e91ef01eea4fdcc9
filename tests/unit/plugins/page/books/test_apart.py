"""A right to one book opens nothing of another, and nothing that one shows or does is of another."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.models import DagModel, DagRun
from airflow.models.variable import Variable
from airflow.utils.session import create_session
from fastapi.routing import APIRoute
from sqlalchemy import select

from tests.support.airflow_home import ROOT
from tests.unit.plugins.fakes import opened
from tests.unit.plugins.page.books.conftest import ALL, ALPHA, BETA, NAMELESS, TOKENS, at
from tests.unit.plugins.page.conftest import browser, mounted
from tests.unit.plugins.page.test_access import BODIES, PAGES, READS, REASON
from tests.unit.plugins.page.test_acts import audited
from tests.unit.plugins.page.test_metrics import numbers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from include.ledger.ledger import Ledger
    from include.settings import Names
    from tests.support.clock import Clock
    from tests.unit.plugins.page.conftest import Browser


def filled(path: str) -> str:
    """Return a path with its parameters filled in."""
    for parameter, value in (
        ("{path:path}", "index.html"),
        ("{verb}", "resume"),
        ("{operation_id}", "x"),
        ("{replay_id}", "x"),
    ):
        path = path.replace(parameter, value)
    return path.removeprefix("/")


def routes(airflow: FastAPI, client: TestClient, names: Names) -> set[tuple[str, str]]:
    """Return method and path of everything that a book's app answers to, described or not."""
    ada = at(browser(client, "ada"), names)
    described = ada.get("api/openapi.json").json()["paths"]
    app: Any = mounted(airflow)._app_of(names.book)
    found = {(method.upper(), filled(path)) for path, methods in described.items() for method in methods}
    for route in app.routes:
        assert isinstance(route, APIRoute)
        found |= {(method, filled(route.path)) for method in route.methods}
    assert {path for _, path in found} >= {path.partition("?")[0] for path in READS} | set(BODIES)
    return found


def _variables() -> dict[str, str | None]:
    names = [name for one in ALL for name in (one.switch, one.hold, one.in_progress("AAPL"))]
    found = {name: Variable.get(name, default_var=None) for name in names}
    return {name: value for name, value in found.items() if value is not None}


# -- who may what ----------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [NAMELESS, BETA], ids=lambda names: names.label)
def test_every_route__somebody_with_a_right_to_another_book__is_forbidden(
    airflow: FastAPI, client: TestClient, anna: Browser, names: Names
) -> None:
    for method, path in routes(airflow, client, names):
        answer = at(anna, names).ask(method, path, json=BODIES.get(path, REASON), headers={"X-Ballast": "1"})
        assert (answer.status_code, answer.json()) == (403, {"detail": "Forbidden"}), (method, path)
    for path in READS:
        assert at(anna, names).get(path).status_code == 403, path
    assert {names.switch, names.hold} & set(_variables()) == set()


def test_every_route__somebody_with_a_right_to_the_book__is_not_forbidden(
    airflow: FastAPI, client: TestClient, anna: Browser
) -> None:
    for path in READS:
        assert at(anna, ALPHA).get(path).status_code == 200, path
    for method, path in routes(airflow, client, ALPHA):
        answer = at(anna, ALPHA).ask(method, path, json=BODIES.get(path, REASON), headers={"X-Ballast": "1"})
        assert answer.status_code not in (401, 403, 405, 500), (method, path)
    found = at(anna, ALPHA).get("api/overview").json()
    assert (found["book"], found["dag"], found["may_act"], found["may_steer"]) == (
        "alpha",
        "rebalancing_alpha",
        True,
        True,
    )


def test_every_route__nobody_is_logged_in__is_refused_or_led_to_the_login_and_back_to_the_book(
    airflow: FastAPI, client: TestClient, nobody: Browser
) -> None:
    for method, path in routes(airflow, client, ALPHA):
        answer = at(nobody, ALPHA).ask(method, path, json={}, headers={"X-Ballast": "1"})
        if path in PAGES:
            assert answer.status_code == 303
            expected = f"/api/v2/auth/login?next=%2Fballast%2Fbooks%2Falpha%2F{path}"
            assert answer.headers["location"] == expected
        else:
            assert answer.status_code == 401, (method, path)


def test_every_act__a_viewer__is_forbidden_in_each_book(client: TestClient, vera: Browser) -> None:
    for names in ALL:
        for path, body in BODIES.items():
            assert at(vera, names).post(path, body).status_code == 403, (names, path)


def test_steering__a_right_to_variables_of_another_book__is_not_enough(
    client: TestClient, anna: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right to the book's DAG without one to its Variables: they are judged apart, and by its names."""
    monkeypatch.setattr(SimpleAuthManager, "is_authorized_dag", lambda *_, **__: True)
    answer = at(anna, BETA).post("api/switch", BODIES["api/switch"])
    expected = "this needs the right to edit the Airflow Variable rebalancing_beta_switch"
    assert (answer.status_code, answer.json()["detail"]) == (403, expected)
    assert at(anna, BETA).get("api/overview").json()["may_steer"] is False


# -- what is shown and done ------------------------------------------------------------------------


def test_steering__in_a_book__changes_its_variables_only(ulla: Browser) -> None:
    for names in ALL:
        Variable.set(names.switch, "run")
    assert at(ulla, ALPHA).post("api/switch", BODIES["api/switch"]).json()["was"] == "run"
    at(ulla, BETA).post("api/hold", BODIES["api/hold"])
    assert _variables() == {
        "rebalancing_switch": "run",
        "rebalancing_alpha_switch": "halt",
        "rebalancing_beta_switch": "run",
        "rebalancing_beta_hold": "AAPL",
    }
    shown = [at(ulla, names).get("api/overview").json() for names in ALL]
    assert [one["switch"] for one in shown] == ["run", "halt", "run"]
    assert [one["hold"] for one in shown] == [[], [], ["AAPL"]]
    assert [(event, dag) for event, dag, _, _ in audited()] == [
        ("ballast_switch", "rebalancing_alpha"),
        ("ballast_hold", "rebalancing_beta"),
    ]


def test_operation__of_a_book__is_in_no_other(
    ulla: Browser, ledgers: dict[Names, Ledger], clock: Clock
) -> None:
    operation = opened(ledgers[ALPHA], clock)["operation_id"]
    for names in ALL:
        here = at(ulla, names)
        assert len(here.get("api/overview").json()["operations"]) == (names == ALPHA)
        listed = here.get("api/operations").json()["operations"]
        assert [one["id"] for one in listed] == ([operation] if names == ALPHA else [])
        status = here.get(f"api/operations/{operation}").status_code
        assert status == (200 if names == ALPHA else 404)
    for names in (NAMELESS, BETA):
        for verb in ("resume", "cancel", "reconcile", "adopt", "approve", "reject"):
            answer = at(ulla, names).post(f"api/operations/{operation}/{verb}", REASON)
            assert answer.status_code == 404, (names, verb)
    assert ledgers[ALPHA].interventions(operation) == []


def test_runs_and_replays__of_a_book__are_of_its_dag(ulla: Browser, clock: Clock) -> None:
    """Airflow is asked for the book's DAG, which it has not read here, and says so."""
    asked = {
        "api/check": {"dry_run": True},
        "api/start": {"kind": "mint", "asset": "AAPL", "amount": "1", "key": "12345678", **REASON},
        "api/replay": {"since": (clock() - timedelta(hours=1)).isoformat(), "until": clock().isoformat()},
    }
    for names in ALL:
        for path, body in asked.items():
            answer = at(ulla, names).post(path, body)
            assert answer.status_code == 404, (names, path, answer.text)
            assert names.dag in re.findall(r"\w+", answer.json()["detail"]), answer.text


@pytest.fixture
def dags(airflow: FastAPI, client: TestClient) -> Iterator[None]:
    """The DAGs of all books, as Airflow has them after reading the file."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager  # noqa: PLC0415
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db  # noqa: PLC0415

    bundles: Any = DagBundlesManager
    bundles().sync_bundles_to_db()
    bag = DagBag(ROOT / "dags" / "rebalancing.py", bundle_path=ROOT / "dags", load_op_links=False)
    assert (bag.import_errors, set(bag.dags)) == ({}, {names.dag for names in ALL})
    sync_bag_to_db(bag, "dags-folder", None)
    yield
    with create_session() as session:
        for model in (DagRun, DagModel):
            for row in session.scalars(select(model)):
                session.delete(row)


@pytest.mark.usefixtures("dags")
def test_runs__of_a_book__are_started_in_its_dag_only(ulla: Browser, anna: Browser) -> None:
    wish = {"kind": "mint", "asset": "AAPL", "amount": "1", "key": "12345678", **REASON}
    assert at(anna, ALPHA).post("api/check", {"dry_run": True}).status_code == 200
    for names in (ALPHA, BETA):  # the same key: what one book has started, another has not
        assert at(ulla, names).post("api/start", wish).json()["run_id"] == "by_hand__12345678"
    with create_session() as session:
        found = [(run.dag_id, run.triggering_user_name) for run in session.scalars(select(DagRun))]
    assert sorted(found) == [(ALPHA.dag, "anna"), (ALPHA.dag, "ulla"), (BETA.dag, "ulla")]
    with create_session() as session:
        session.scalars(select(DagModel).where(DagModel.dag_id == BETA.dag)).one().is_paused = False
    assert [at(ulla, names).get("api/overview").json()["paused"] for names in ALL] == [True, True, False]


def test_metrics__of_each_book__carry_its_label_and_open_by_its_token_only(
    nobody: Browser, ledgers: dict[Names, Ledger], clock: Clock
) -> None:
    opened(ledgers[ALPHA], clock)
    for names in ALL:
        for label, token in TOKENS.items():
            answer = at(nobody, names).get("metrics", headers={"Authorization": f"Bearer {token}"})
            if label != names.label:
                assert answer.status_code == 401, (names, label)
                continue
            found = numbers(answer, book=names.label)
            assert found.get(("ballast_checks_total", "live"), 0) == (names == ALPHA)
