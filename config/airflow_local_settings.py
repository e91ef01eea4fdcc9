"""Airflow imports this file at the start of each of its processes.

In the processes that tasks are forked from, the scheduler with the local executor and each Celery worker, it
loads once what every task would otherwise load for itself, which saves seconds on each task: libraries, which
stay as they are until that process is restarted, and our own modules, which a forked process forgets when any
of their files has changed since. The DAG processor is forked for each reading of a DAG file, and loads what
reading ours needs: libraries only. Other processes load nothing.
"""

from __future__ import annotations

import importlib
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

PRELOADED: Final = (
    "web3",
    "eth_account",
    "httpx",
    "sqlalchemy.orm",
    "alembic.command",
    "alembic.config",
    "alembic.runtime.migration",
    "eth_abi",
    "pydantic",
    "eth_utils.address",
    "eth_hash.backends.pycryptodome",
    "airflow.sdk.execution_time.task_runner",
    "airflow.providers.standard.decorators.python",
)
READING: Final = ("pydantic", "pydantic.json_schema", "eth_utils.address", "eth_hash.backends.pycryptodome")
"""Libraries that reading the DAG files takes most of its time for."""
OWN: Final = (
    "ballast.alerts",
    "ballast.factory",
    "ballast.operators",
    "ballast.tasks",
    "ballast.watcher",
    "include.check",
    "include.claim",
    "include.legs.registry",
    "include.overview.links",
    "include.venues.alpaca.client",
    "include.venues.cctp.attestation",
    "include.venues.evm.chain",
    "include.venues.evm.signer",
)
"""What tasks import of ours; it brings the rest along."""

Stamp = tuple[int, int]
"""When a file was written, in nanoseconds, and its size."""


def forks_tasks(arguments: list[str]) -> bool:
    """Tell whether a process was started as `airflow scheduler` or `airflow celery worker`."""
    return arguments[1:2] == ["scheduler"] or arguments[1:3] == ["celery", "worker"]


def forks_readers(arguments: list[str]) -> bool:
    """Tell whether a process was started as `airflow dag-processor`."""
    return arguments[1:2] == ["dag-processor"]


def preload(names: tuple[str, ...] = PRELOADED) -> None:
    """Import every library that is installed; a missing one is for those to report who need it."""
    for name in names:
        with suppress(ImportError):
            importlib.import_module(name)


def preload_own() -> dict[str, Stamp | None]:
    """Import our modules and return the stamp of each file. What is wrong with one, the task will report."""
    for name in OWN:
        try:
            importlib.import_module(name)
        except Exception:  # it may be half written just now, and the scheduler has to go on
            forget_own()
            return {}
    files = {file for name in _own() if (file := getattr(sys.modules[name], "__file__", None))}
    return {file: stamp(file) for file in files}


def stamp(file: str) -> Stamp | None:
    """Return what changes when a file is written; None where there is no file."""
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def forget_if_changed(stamps: dict[str, Stamp | None]) -> None:
    """Forget all of our modules if one of their files is another than it was, so that they are read anew."""
    if any(stamp(file) != known for file, known in stamps.items()):
        forget_own()


def forget_own() -> None:
    """Forget our modules, so that the next import reads them again."""
    for name in _own():
        del sys.modules[name]


def _own() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] in ("ballast", "include")]


if forks_tasks(sys.argv):
    preload()
    _stamps = preload_own()
    os.register_at_fork(after_in_child=lambda: forget_if_changed(_stamps))
elif forks_readers(sys.argv):
    preload(READING)
