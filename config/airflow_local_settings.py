"""Airflow imports this file at the start of each of its processes.

In the scheduler it loads, once, the libraries that every task would otherwise load for itself: a task's
process is forked from the scheduler and inherits them, which saves seconds on each task. Only libraries,
none of our code: what is loaded here stays as it is until the scheduler is restarted. Other processes load
nothing.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress
from typing import Final

PRELOADED: Final = (
    "web3",
    "eth_account",
    "httpx",
    "sqlalchemy.orm",
    "alembic.command",
    "alembic.runtime.migration",
    "eth_abi",
    "pydantic",
    "eth_utils.address",
    "eth_hash.backends.pycryptodome",
    "airflow.sdk.execution_time.task_runner",
)


def is_scheduler(arguments: list[str]) -> bool:
    """Tell whether a process was started as `airflow scheduler`."""
    return len(arguments) > 1 and arguments[1] == "scheduler"


def preload() -> None:
    """Import every library of `PRELOADED` that is installed; a missing one is the task's to report."""
    for name in PRELOADED:
        with suppress(ImportError):
            importlib.import_module(name)


if is_scheduler(sys.argv):
    preload()
