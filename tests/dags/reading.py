"""Reads DAG files as tasks do: in a fork of a process that has Airflow and the preloaded libraries.

    python -m tests.dags.reading < JOBS

Takes a JSON list of `{"file", "environment"}`. Prints for each the import errors, the DAG ids, the seconds of
CPU it took, and the heavy modules it loaded.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from typing import Any

from airflow.dag_processing.dagbag import DagBag

PRELOADED = ("airflow.sdk.execution_time.task_runner", "eth_hash.backends.pycryptodome", "eth_utils.address")
HEAVY = ("web3", "eth_account", "eth_abi", "alembic", "include.ledger.ledger", "include.legs.registry")


def read(file: str) -> dict[str, Any]:
    """Read one file in this process."""
    began = time.process_time()
    bag = DagBag(file, load_op_links=False)
    return {
        "seconds": time.process_time() - began,
        "errors": list(bag.import_errors.values()),
        "dags": sorted(bag.dags),
        "heavy": [name for name in HEAVY if name in sys.modules],
    }


def read_apart(job: dict[str, Any]) -> dict[str, Any]:
    """Read one file in a child of this process."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        os.environ.update(job["environment"])
        with os.fdopen(sink, "w") as answer:
            json.dump(read(job["file"]), answer)
        os._exit(0)
    os.close(sink)
    with os.fdopen(source) as answer:
        found: dict[str, Any] = json.load(answer)
    os.waitpid(child, 0)
    return found


if __name__ == "__main__":
    for name in PRELOADED:
        importlib.import_module(name)
    results = [read_apart(job) for job in json.load(sys.stdin)]
    print(json.dumps(results))
