"""The page behind Airflow's other login, the FAB auth manager with its roles, over real HTTP.

Only the API server runs, as nothing here needs more of Airflow.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from include.ledger.ledger import Ledger
from scripts.astro_settings import ROOT
from scripts.local_airflow import LocalAirflow

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

MANAGER = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
ROLES = {"vera": "Viewer", "udo": "User", "olga": "Op", "ada": "Admin", "nemo": "Public", "anna": "Alpha"}
OF_ALPHA = [["can_read", "DAG:rebalancing_alpha"], ["can_edit", "DAG:rebalancing_alpha"]]
"""What the role Alpha may: look and act in the book alpha."""
BOOKS = ("", "books/alpha/")
ACTS: dict[str, dict[str, object]] = {
    "switch": {"to": "halt"},
    "hold": {"asset": "USDC", "hold": True},
    "check": {"dry_run": True},
    "operations/x/resume": {},
}
ENROL = """
import json, sys
from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
with get_application_builder() as builder:
    alpha = builder.sm.add_role("Alpha")
    for action, resource in json.loads(sys.argv[2]):
        builder.sm.add_permission_to_role(alpha, builder.sm.create_permission(action, resource))
    for name, role in json.loads(sys.argv[1]).items():
        found = builder.sm.find_role(role)
        assert builder.sm.add_user(name, name, "Test", f"{name}@ballast.test", found, password="of " + name)
"""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAirflow]:
    """An API server with two books, and people in FAB's database, one of each role."""
    home = tmp_path_factory.mktemp("fab")
    (home / "books").mkdir()
    (home / "books" / "alpha.toml").write_text("", encoding="utf-8")
    extra = {
        "AIRFLOW__CORE__AUTH_MANAGER": MANAGER,
        "BALLAST_BOOKS": str(home / "books"),
        "BALLAST_PROFILE": "mainnet",  # something is set for the book without a name, so it is there
    }
    for name in ("rebalancing_ledger", "rebalancing_ledger_alpha"):
        ledger = home / f"{name}.db"
        Ledger.open(f"sqlite:///{ledger}").close()
        connection = json.dumps({"conn_type": "sqlite", "host": str(ledger)})
        extra[f"AIRFLOW_CONN_{name.upper()}"] = connection
    started = LocalAirflow(home / "airflow", extra=extra)
    try:
        started.prepare()
        subprocess.run(
            [sys.executable, "-c", ENROL, json.dumps(ROLES), json.dumps(OF_ALPHA)],
            cwd=ROOT,
            env=os.environ | started.environment,
            check=True,
            capture_output=True,
        )
        started.start(["api-server"])
        started.wait_healthy()
        yield started
    finally:
        started.stop()


def client(airflow: LocalAirflow, name: str | None = None) -> httpx.Client:
    """Return a client as somebody's browser is after the login, or as nobody's."""
    cookies = {}
    if name is not None:
        body = {"username": name, "password": f"of {name}"}
        answer = httpx.post(f"{airflow.url}/auth/token", json=body, timeout=30, trust_env=False)
        cookies["_token"] = answer.raise_for_status().json()["access_token"]
    headers = {"X-Ballast": "1"}
    return httpx.Client(base_url=airflow.url, timeout=30, trust_env=False, headers=headers, cookies=cookies)


def routes(airflow: LocalAirflow, *books: str) -> set[tuple[str, str]]:
    """Return method and path of everything that the description of the API has, its parameters filled in.

    :param books: where below `/ballast/` the books are; left out, that of the book without a name.
    """
    found = set()
    for book in books or BOOKS[:1]:
        with client(airflow, "ada") as ada:
            described = ada.get(f"/ballast/{book}api/openapi.json").raise_for_status().json()["paths"]
        for path, methods in described.items():
            filled = re.sub(r"{\w+}", "x", path.replace("{verb}", "resume")).removeprefix("/")
            found |= {(method.upper(), f"/ballast/{book}{filled}") for method in methods}
    return found


def test_login__on_fabs_own_form__leads_back_to_the_page(airflow: LocalAirflow) -> None:
    with client(airflow) as browser:
        form = browser.get("/ballast/?dag_id=rebalancing", follow_redirects=True)
        assert form.url.path == "/auth/login/"
        [token] = re.findall(r'name="csrf_token"[^>]*value="([^"]+)"', form.text)
        filled = {"username": "vera", "password": "of vera", "csrf_token": token}
        page = browser.post(str(form.url), data=filled, follow_redirects=True)
        assert (page.status_code, page.url.path) == (200, "/ballast/")
        assert 'id="assets"' in page.text
        overview = browser.get("/ballast/api/overview").raise_for_status().json()
        assert (overview["user"], overview["may_act"], overview["may_steer"]) == ("vera", False, False)


def test_every_route__nobody_is_logged_in__is_refused(airflow: LocalAirflow) -> None:
    asked = routes(airflow) | {("GET", f"/ballast/{path}") for path in ("static/main.js", "api/openapi.json")}
    assert {path for _, path in asked} >= {f"/ballast/api/{path}" for path in ("overview", "switch", "hold")}
    with client(airflow) as nobody:
        for method, path in asked | routes(airflow, *BOOKS):
            assert nobody.request(method, path, json={}).status_code == 401, (method, path)


def test_every_route__somebody_without_a_right__is_forbidden(airflow: LocalAirflow) -> None:
    with client(airflow, "nemo") as nemo:
        for method, path in routes(airflow, *BOOKS):
            assert nemo.request(method, path, json={}).status_code == 403, (method, path)


def test_every_route__somebody_with_a_right_to_one_book__is_forbidden_in_the_other(
    airflow: LocalAirflow,
) -> None:
    with client(airflow, "anna") as anna:
        for method, path in routes(airflow):
            assert anna.request(method, path, json={}).status_code == 403, (method, path)
        for path in ("", "static/main.js", "api/openapi.json", "runbook"):
            assert anna.get(f"/ballast/{path}").status_code == 403, path
            assert anna.get(f"/ballast/books/alpha/{path}").status_code == 200, path
        found = anna.get("/ballast/books/alpha/api/overview").raise_for_status().json()
        # FAB has one right for all Variables, which the role lacks.
        assert (found["book"], found["may_act"], found["may_steer"]) == ("alpha", True, False)
        books = anna.get("/ballast/books/alpha/api/books").raise_for_status().json()
        assert [one["name"] for one in books] == ["alpha"]
    with client(airflow, "vera") as vera:
        books = vera.get("/ballast/api/books").raise_for_status().json()
        assert [one["name"] for one in books] == ["", "alpha"]


def test_viewer__reads_everything__and_cannot_act(airflow: LocalAirflow) -> None:
    with client(airflow, "vera") as vera:
        for path in ("", "static/main.js", "api/overview", "api/operations", "api/history?asset=USDC"):
            assert vera.get(f"/ballast/{path}").status_code == 200, path
        for method, path in routes(airflow):
            if method != "GET":
                assert vera.request(method, path, json={}).status_code == 403, path


def test_user__may_act__but_not_turn_the_switch_or_hold(airflow: LocalAirflow) -> None:
    with client(airflow, "udo") as udo:
        overview = udo.get("/ballast/api/overview").raise_for_status().json()
        assert (overview["may_act"], overview["may_steer"]) == (True, False)
        answers = {path: act(udo, path) for path in ACTS}
    assert answers == {"switch": 403, "hold": 403, "check": 404, "operations/x/resume": 404}


@pytest.mark.parametrize("name", ["olga", "ada"])
def test_op_and_admin__act__and_it_is_done(airflow: LocalAirflow, name: str) -> None:
    with client(airflow, name) as one:
        answers = {path: act(one, path) for path in ACTS}
        # There is no such operation, and without the other processes no DAG that could be run.
        assert answers == {"switch": 200, "hold": 200, "check": 404, "operations/x/resume": 404}
        overview = one.get("/ballast/api/overview").raise_for_status().json()
        assert (overview["switch"], overview["hold"], overview["user"]) == ("halt", ["USDC"], name)
        assert (overview["may_act"], overview["may_steer"]) == (True, True)


def act(browser: httpx.Client, path: str) -> int:
    """Ask for an act as the page would, and return the status."""
    reason: dict[str, object] = {} if path == "check" else {"reason": "a test"}
    headers = {"Origin": str(browser.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}
    return browser.post(f"/ballast/api/{path}", json=ACTS[path] | reason, headers=headers).status_code
