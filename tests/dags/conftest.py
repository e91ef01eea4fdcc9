"""The DAG files as Airflow reads them, with an Airflow of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import airflow_home  # noqa: F401 - says where Airflow's files are, before it is imported


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.airflow)
