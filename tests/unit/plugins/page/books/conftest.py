"""Three books, each with settings, a ledger and a page of its own: one without a name, alpha and beta."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from fastapi.testclient import TestClient

from include.ledger.ledger import Ledger
from include.settings import Names
from tests.unit.plugins.page.conftest import HOST, browser, mounted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fastapi import FastAPI

    from tests.support.clock import Clock
    from tests.unit.plugins.page.conftest import Browser

NAMELESS, ALPHA, BETA = Names(), Names("alpha"), Names("beta")
ALL = (NAMELESS, ALPHA, BETA)
TOKENS = {one.label: f"the-token-of-{one.label}" for one in ALL}


def settings(names: Names, **more: str) -> str:
    """Return a file of settings: AAPL is observed, for a wallet of the book's own."""
    digit = f"{ALL.index(names) + 1}"
    told = {"wallet": "0x" + digit * 40, "metrics_token": TOKENS[names.label], **more}
    lines = [f'{name} = "{value}"' for name, value in told.items()]
    return "\n".join([*lines, "[token_addresses]", f'AAPL = "0x{"a" * 40}"', ""])


def file(tmp_path: Path, names: Names) -> Path:
    """Return where the settings of a book are."""
    return tmp_path / "books" / f"{names.book}.toml" if names.book else tmp_path / "settings.toml"


@pytest.fixture
def ledgers(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[Names, Ledger]]:
    """A ledger for each book, and the Connections that lead to them."""
    found = {}
    for names in ALL:
        database = tmp_path / f"{names.label}.db"
        found[names] = Ledger.open(f"sqlite:///{database}", now=clock)
        name = "_".join(("AIRFLOW_CONN_REBALANCING_LEDGER", *([names.book.upper()] if names.book else [])))
        monkeypatch.setenv(name, json.dumps({"conn_type": "sqlite", "host": str(database)}))
    yield found
    for ledger in found.values():
        ledger.close()


@pytest.fixture
def client(
    airflow: FastAPI, ledgers: dict[Names, Ledger], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TestClient]:
    """A client of Airflow with the pages of three books. Anna has a right to alpha, and to nothing else."""
    (tmp_path / "books").mkdir()
    for names in ALL:
        file(tmp_path, names).write_text(settings(names), encoding="utf-8")
    monkeypatch.setattr(mounted(airflow), "_apps", {})
    dag, variable = SimpleAuthManager.is_authorized_dag, SimpleAuthManager.is_authorized_variable

    def may_dag(self: Any, *, user: Any, details: Any = None, **more: Any) -> bool:
        mine = user.get_name() != "anna" or ALPHA.belongs(details.id)
        return mine and dag(self, user=user, details=details, **more)

    def may_variable(self: Any, *, user: Any, details: Any = None, **more: Any) -> bool:
        mine = user.get_name() != "anna" or details.key in (ALPHA.switch, ALPHA.hold)
        return mine and variable(self, user=user, details=details, **more)

    monkeypatch.setattr(SimpleAuthManager, "is_authorized_dag", may_dag)
    monkeypatch.setattr(SimpleAuthManager, "is_authorized_variable", may_variable)
    yield TestClient(airflow, base_url=HOST)
    for app in mounted(airflow)._apps.values():
        source = getattr(app.state, "source", None)  # type: ignore[attr-defined]  # it is FastAPI's
        if source is not None and source._opened is not None:
            source._opened[1].close()


@pytest.fixture
def anna(client: TestClient) -> Browser:
    """May look and act in the book alpha, and may nothing in others."""
    return browser(client, "anna")


def at(somebody: Browser, names: Names) -> Browser:
    """Return somebody at the page of a book."""
    return replace(somebody, at=f"books/{names.book}/" if names.book else "")
