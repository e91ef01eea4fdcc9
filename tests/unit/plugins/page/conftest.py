"""Airflow's own API server in this process, with the page in it and people of three roles. No socket."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from airflow.utils.db import initdb
from fastapi.testclient import TestClient
from starlette.routing import Mount

from ballast.page.mount import Mounted
from include.overview.reader import Reader
from include.settings import Names, sources
from tests.support.airflow_home import HOME
from tests.unit.plugins.fakes import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi import FastAPI

    from include.ledger.ledger import Ledger
    from include.settings import Settings
    from tests.support.clock import Clock

ROLES = {"vera": "VIEWER", "udo": "USER", "ulla": "OP", "ada": "ADMIN", "anna": "OP", "nemo": None}
HOST = "http://localhost:8080"


@pytest.fixture(scope="package")
def airflow() -> Iterator[FastAPI]:
    """Airflow's app, its database empty but for its tables. Other tests find no database again."""
    from airflow import settings as orm  # noqa: PLC0415 - the environment comes first
    from airflow.api_fastapi import app as api  # noqa: PLC0415

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
        patch.setenv("AIRFLOW__API_AUTH__JWT_SECRET", "0" * 64)
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "vera:viewer,udo:user,ulla:op,ada:admin")
        initdb()
        yield api.create_app(apps="core")
        api.purge_cached_app()
    assert orm.engine is not None
    orm.engine.dispose()
    for file in HOME.glob("airflow.db*"):
        file.unlink()


def mounted(airflow: FastAPI) -> Mounted:
    """Return what the plugin has put into Airflow."""
    (found,) = [
        route.app for route in airflow.routes if isinstance(route, Mount) and isinstance(route.app, Mounted)
    ]
    return found


@dataclass
class Given:
    """Settings and a ledger, as `ballast.page.source.Source` gives them."""

    given: Settings
    opened: Ledger
    clock: Clock
    reads: Reader = field(init=False)

    def __post_init__(self) -> None:
        self.reads = Reader(self.opened.engine, now=self.clock)

    def settings(self) -> Settings:
        return self.given

    def ledger(self) -> Ledger:
        return self.opened

    def reader(self) -> Reader:
        return self.reads


@dataclass
class Browser:
    """Asks as somebody.

    :param at: what the path of the book's page has below that of the book without a name.
    """

    client: TestClient
    token: str | None
    at: str = ""

    def get(self, path: str, **more: Any) -> Any:
        return self.ask("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> Any:
        """Post as the page does."""
        headers = {"X-Ballast": "1", "Sec-Fetch-Site": "same-origin", "Origin": HOST} | more.pop(
            "headers", {}
        )
        given = {name: value for name, value in headers.items() if value is not None}
        return self.ask("POST", path, json=body, headers=given, **more)

    def ask(self, method: str, path: str, **more: Any) -> Any:
        self.client.cookies.clear()
        if self.token is not None:
            self.client.cookies.set("_token", self.token)
        return self.client.request(method, f"/ballast/{self.at}{path}", follow_redirects=False, **more)


@pytest.fixture
def source(ledger: Ledger, clock: Clock) -> Given:
    return Given(settings(), ledger, clock)


@pytest.fixture
def client(airflow: FastAPI, source: Given, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """A client of Airflow, the page in it made from `source`."""
    from ballast.page.app import create_app  # noqa: PLC0415 - after Airflow's environment is said

    app = create_app(Names(), source)  # type: ignore[arg-type]  # it gives the same
    monkeypatch.setattr(mounted(airflow), "_apps", {"": app})
    return TestClient(airflow, base_url=HOST)


def browser(client: TestClient, name: str | None) -> Browser:
    """Return the browser of somebody who is logged in, or of nobody."""
    from airflow.api_fastapi.app import get_auth_manager  # noqa: PLC0415
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser  # noqa: PLC0415

    if name is None:
        return Browser(client, None)
    user: Any = SimpleAuthManagerUser(username=name, role=ROLES[name])
    return Browser(client, get_auth_manager().generate_jwt(user))


@pytest.fixture
def nobody(client: TestClient) -> Browser:
    return browser(client, None)


@pytest.fixture
def vera(client: TestClient) -> Browser:
    """May look."""
    return browser(client, "vera")


@pytest.fixture
def ulla(client: TestClient) -> Browser:
    """May look and act."""
    return browser(client, "ulla")


@pytest.fixture
def udo(client: TestClient) -> Browser:
    """May look and act, but not edit Variables."""
    return browser(client, "udo")


@pytest.fixture
def nemo(client: TestClient) -> Browser:
    """Has a login and no role."""
    return browser(client, "nemo")


@pytest.fixture(autouse=True)
def _clean(airflow: FastAPI, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Find no books of the developer, and leave no Variable and no line of the audit log behind."""
    from airflow.models import Log  # noqa: PLC0415
    from airflow.models.variable import Variable  # noqa: PLC0415
    from airflow.utils.session import create_session  # noqa: PLC0415
    from sqlalchemy import delete  # noqa: PLC0415

    for name in [name for name in os.environ if name.startswith(("AIRFLOW_VAR_", "BALLAST_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(sources, "DEFAULT_FILE", tmp_path / "settings.toml")
    yield
    with create_session() as session:
        session.execute(delete(Variable))
        session.execute(delete(Log))
