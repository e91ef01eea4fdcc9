"""Nobody gets anything of the page without Airflow's login, and a viewer changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from fastapi.routing import APIRoute

from ballast.page import mount
from tests.support.airflow_home import ROOT
from tests.unit.plugins.page.conftest import HOST, browser, mounted

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from tests.unit.plugins.page.conftest import Browser

REASON = {"reason": "a test"}
BODIES: dict[str, dict[str, Any]] = {
    "api/switch": {"to": "halt", **REASON},
    "api/hold": {"asset": "AAPL", "hold": True, **REASON},
    "api/check": {"dry_run": True},
    "api/replay": {"since": "2026-03-01T00:00:00Z", "until": "2026-03-02T00:00:00Z"},
    "api/operations/x/resume": REASON,
}
READS = [
    "",
    "static/index.html",
    "api/openapi.json",
    "api/overview",
    "api/books",
    "api/history?asset=AAPL",
    "api/operations",
    "api/replays",
    "metrics",
    "runbook",
]
PAGES = {"", "runbook"}
"""What a person opens: who is not logged in is led to the login, and from there to it."""


def routes(airflow: FastAPI) -> set[tuple[str, str]]:
    """Return method and path of everything the page's app answers to, with its parameters filled in."""
    app: Any = mounted(airflow)._app_of("")
    found = set()
    for route in app.routes:
        assert isinstance(route, APIRoute), f"{route} may answer without a login"
        path = route.path.removeprefix("/").replace("{path:path}", "index.html")
        path = path.replace("{operation_id}", "x").replace("{verb}", "resume")
        found |= {(method, path) for method in route.methods}
    return found


def paths(client: TestClient) -> set[tuple[str, str]]:
    """Return the same of what the API's description has."""
    described = browser(client, "vera").get("api/openapi.json").json()["paths"]
    return {
        (method.upper(), path.removeprefix("/").replace("{operation_id}", "x").replace("{verb}", "resume"))
        for path, methods in described.items()
        for method in methods
    }


def test_every_route__nobody_is_logged_in__is_refused_or_led_to_the_login(
    airflow: FastAPI, client: TestClient, nobody: Browser
) -> None:
    asked = routes(airflow) | paths(client)
    assert {path for _, path in asked} >= {*BODIES, *(path.partition("?")[0] for path in READS)}
    for method, path in asked:
        answer = nobody.ask(method, path, json=BODIES.get(path, {}), headers={"X-Ballast": "1"})
        if path in PAGES:
            assert answer.status_code == 303
            assert answer.headers["location"] == f"/api/v2/auth/login?next=%2Fballast%2F{path}"
        else:
            assert answer.status_code == 401, (method, path)
            assert "detail" in answer.json()


def test_fastapis_own_pages__are_not_there(vera: Browser) -> None:
    for path in ("docs", "redoc", "openapi.json", "api/docs"):
        assert vera.get(path).status_code == 404


def test_every_act__a_viewer__is_forbidden(client: TestClient, vera: Browser) -> None:
    acts = {path for method, path in paths(client) if method == "POST"}
    assert acts >= set(BODIES) - {"api/operations/x/resume"}
    for path in acts:
        answer = vera.post(path, BODIES.get(path, REASON))
        assert (answer.status_code, answer.json()["detail"]) == (403, "Forbidden"), path


def test_steering__somebody_who_may_not_edit_variables__is_forbidden(udo: Browser) -> None:
    for path, name in (("api/switch", "rebalancing_switch"), ("api/hold", "rebalancing_hold")):
        answer = udo.post(path, BODIES[path])
        expected = f"this needs the right to edit the Airflow Variable {name}"
        assert (answer.status_code, answer.json()["detail"]) == (403, expected)
    assert udo.post("api/operations/x/resume", REASON).status_code == 404
    found = udo.get("api/overview").json()
    assert (found["switch"], found["may_act"], found["may_steer"]) == ("drain", True, False)


@pytest.mark.parametrize("dag_id", ["rebalancing", "rebalancing_doctor"])
def test_page__tab_of_our_own_dags__is_the_page(vera: Browser, nemo: Browser, dag_id: str) -> None:
    assert 'id="assets"' in vera.get(f"?dag_id={dag_id}").text
    assert nemo.get(f"?dag_id={dag_id}").status_code == 403


def test_page__tab_of_another_dag__says_whose_it_is_to_everybody_who_is_logged_in(
    vera: Browser, nemo: Browser, nobody: Browser
) -> None:
    for somebody in (vera, nemo):
        found = somebody.get("?dag_id=payroll")
        assert (found.status_code, "about another DAG" in found.text) == (200, True)
    assert nobody.get("?dag_id=payroll").status_code == 303


def test_reading__a_viewer__is_allowed(vera: Browser) -> None:
    for path in READS:
        assert vera.get(path).status_code == 200, path


def test_everything__a_login_without_a_role__is_forbidden(client: TestClient, nemo: Browser) -> None:
    for path in READS:
        assert nemo.get(path).status_code == 403, path
    for path, body in BODIES.items():
        assert nemo.post(path, body).status_code == 403, path


@pytest.mark.parametrize(("name", "may"), [("vera", False), ("udo", True), ("ulla", True), ("ada", True)])
def test_overview__says_who_looks_and_whether_they_may_act(client: TestClient, name: str, may: bool) -> None:
    found = browser(client, name).get("api/overview").json()
    assert (found["user"], found["may_act"]) == (name, may)


def test_page__the_login_is_of_another_server__leads_to_the_login(nobody: Browser) -> None:
    nobody.token = "not.a.token"
    answer = nobody.get("?dag_id=rebalancing&run_id=a%2Bb")
    assert answer.status_code == 303
    expected = "/api/v2/auth/login?next=%2Fballast%2F%3Fdag_id%3Drebalancing%26run_id%3Da%252Bb"
    assert answer.headers["location"] == expected
    assert nobody.get("api/overview").status_code in (401, 403)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Ballast": None},
        {"X-Ballast": "0"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": None, "Origin": "http://elsewhere.test"},
        {"Sec-Fetch-Site": None, "Origin": "null"},
    ],
)
def test_acts__asked_for_by_another_site__are_forbidden(
    ulla: Browser, headers: dict[str, str | None]
) -> None:
    for path, body in BODIES.items():
        answer = ulla.post(path, body, headers=headers)
        assert answer.status_code == 403, path
    assert ulla.get("api/overview").json()["switch"] == "drain"


@pytest.mark.parametrize("origin", [HOST, "https://airflow.test", None])
def test_acts__asked_for_by_the_page_under_any_of_its_names__are_done(
    ulla: Browser, monkeypatch: pytest.MonkeyPatch, origin: str | None
) -> None:
    """An older browser says only the origin, and a proxy may hide the name that it used."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.test/")
    answer = ulla.post("api/switch", BODIES["api/switch"], headers={"Sec-Fetch-Site": None, "Origin": origin})
    assert answer.status_code == 200


def test_files__are_served_and_nothing_beside_them(vera: Browser) -> None:
    found = vera.get("static/index.html")
    assert found.headers["cache-control"] == "no-cache"
    again = vera.get("static/index.html", headers={"If-None-Match": found.headers["etag"]})
    assert again.status_code == 304
    for path in ("static/../app.py", "static/%2e%2e/app.py", "static//etc/passwd", "static/"):
        assert vera.get(path).status_code == 404, path


def test_every_answer__keeps_other_sites_out(vera: Browser, nobody: Browser) -> None:
    for answer in (vera.get(""), vera.get("api/overview"), nobody.get("api/overview"), nobody.get("x")):
        assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert vera.get("api/overview").headers["cache-control"] == "no-store"


def test_airflow_under_a_path__the_page_is_under_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://host.test/flows/")
    assert [view["destination"] for view in mount.views()] == ["nav", "dag", "dag_run"]
    assert {view["href"].partition("?")[0] for view in mount.views()} == {"/flows/ballast/"}


LOADING = """
import json, sys
from tests.support import airflow_home
from airflow import plugins_manager
before = set(sys.modules)
plugins, errors = plugins_manager._get_plugins()
names = [plugin.name for plugin in plugins]
print(json.dumps({"plugins": names, "errors": errors, "loaded": sorted(set(sys.modules) - before)}))
"""
HEAVY = ("fastapi", "starlette", "sqlalchemy", "alembic", "web3", "httpx", "include", "ballast.page.app")


def test_plugin__loaded_by_airflow__is_the_only_one_and_loads_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADING],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["plugins"], found["errors"]) == (["ballast"], {})
    assert "ballast.page.mount" in found["loaded"]
    assert [name for name in found["loaded"] if name.startswith(HEAVY)] == []
