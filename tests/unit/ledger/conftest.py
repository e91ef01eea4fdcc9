"""A ledger in a SQLite file of its own. The same tests run on PostgreSQL, where only `ledger_url` differs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.ledger.database import migrate, open_engine
from include.ledger.ledger import Ledger
from tests.support.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def ledger_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(ledger_url: str, clock: Clock) -> Iterator[Ledger]:
    engine = open_engine(ledger_url)
    migrate(engine)
    opened = Ledger(engine, now=clock)
    yield opened
    opened.close()
