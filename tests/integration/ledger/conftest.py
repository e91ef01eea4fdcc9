"""The ledger's tests once more, on PostgreSQL."""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from tests.support import postgres
from tests.unit.ledger.conftest import clock, ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["clock", "ledger"]


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    if postgres.binaries() is None:
        if os.environ.get("CI"):
            pytest.fail("PostgreSQL is not installed, and CI has to test on it")
        pytest.skip("PostgreSQL is not installed")
    with postgres.server() as url:
        yield url


@pytest.fixture
def ledger_url(server_url: str) -> Iterator[str]:
    """A fresh database for every test."""
    name = f"ledger_{uuid.uuid4().hex}"
    admin = create_engine(server_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(server_url).set(database=name).render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()
