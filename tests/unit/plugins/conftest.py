"""What imports Airflow, with an Airflow of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import airflow_home  # noqa: F401 - says where Airflow's files are, before it is imported

from ballast import operators, progress, switch  # isort: skip
from include.ledger.ledger import Ledger
from tests.support.clock import Clock
from tests.unit.plugins.fakes import NAMES, Timer, Variables

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.airflow)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock) -> Iterator[Ledger]:
    opened = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}", now=clock)
    yield opened
    opened.close()


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch) -> Variables:
    """Airflow's Variables, with the switch at run."""
    store = Variables({NAMES.switch: "run"})
    monkeypatch.setattr(progress, "Variable", store)
    monkeypatch.setattr(switch, "Variable", store)
    return store


@pytest.fixture
def timer(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Timer:
    """The waiting of a worker, without waiting."""
    found = Timer(clock)
    monkeypatch.setattr(operators, "time", found)
    return found
