"""What reading the DAG costs, against an empty DAG that imports the same of Airflow.

    python -m benchmarks.parse [--quick]

Every process of a task reads the file anew, in a fork of one that has what `config/airflow_local_settings.py`
preloads; the DAG processor reads it in a fork of one that has only Airflow. Each reading here is such a fork.
CPU seconds are taken, and the two files in turn, so that what else the machine does falls on both.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.figure import Figure
from scripts.astro_settings import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

NAME: Final = "parse"
OURS: Final = ROOT / "dags" / "rebalancing.py"
EMPTY: Final = """
from airflow.sdk import DAG, BaseHook, BaseOperator, BaseOperatorLink, Param, Variable
from airflow.sdk import chain, get_current_context, task, task_group
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowRuntimeError
from airflow.triggers.base import BaseTrigger, TriggerEvent

with DAG("empty", schedule=None):
    task(task_id="nothing")(lambda: None)()
"""
HEAVY: Final = ("web3", "eth_account", "eth_abi", "sqlalchemy.orm", "alembic.command")
"""What reading the DAG must not load."""
IMPORTS: Final = ("include.settings", "ballast.operators", "include.ledger.ledger", "include.legs.registry")
"""What a leg's process needs of ours, in an order in which each comes after what it needs."""
SETTINGS: Final = {
    "BALLAST_SETTINGS_FILE": os.devnull,
    "BALLAST_TOKEN_ADDRESSES": json.dumps({f"S{number}": f"0x{number:040x}" for number in range(1, 9)}),
}
TASK: Final = "a task's process"
CHANGED: Final = "a task's process after a change of our code"
PROCESSOR: Final = "the DAG processor"


def measure(where: str, times: int) -> list[dict[str, Any]]:
    """Read both files that often, in an interpreter of their own that has what is inherited there."""
    path = os.pathsep.join(str(ROOT / part) for part in ("", "plugins", "config"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BALLAST_")}
    with tempfile.TemporaryDirectory() as home:
        empty = Path(home) / "empty.py"
        empty.write_text(EMPTY, encoding="utf-8")
        # Compiled, as an installation is: else each reading would compile our code again.
        compiled = str(ROOT / ".run" / "pycache")
        python = {"PYTHONPATH": path, "PYTHONPYCACHEPREFIX": compiled, "PYTHONDONTWRITEBYTECODE": ""}
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.parse", "--read", where, str(times), str(empty)],
            cwd=ROOT,
            env=kept | SETTINGS | python | {"AIRFLOW_HOME": home},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found[1:]  # the first reading compiles


def _read_both(where: str, times: int, empty: str) -> list[dict[str, Any]]:
    if where != PROCESSOR:
        local_settings = importlib.import_module("airflow_local_settings")
        local_settings.preload()
        if where == TASK:
            local_settings.preload_own()
    importlib.import_module("airflow.dag_processing.dagbag")
    return [
        {
            "empty": _apart(lambda: _read(empty)),
            "ours": _apart(lambda: _read(str(OURS))),
            "imports": _apart(_import),
        }
        for _ in range(times + 1)
    ]


def _read(file: str) -> dict[str, Any]:
    before = set(sys.modules)
    bag = importlib.import_module("airflow.dag_processing.dagbag")
    began = time.process_time()
    dags = bag.DagBag(file, load_op_links=False)
    seconds = time.process_time() - began
    assert not dags.import_errors, dags.import_errors
    return {"seconds": seconds, "heavy": sorted(set(sys.modules).intersection(HEAVY) - before)}


def _import() -> dict[str, float]:
    found = {}
    for name in IMPORTS:
        began = time.process_time()
        importlib.import_module(name)
        found[name] = time.process_time() - began
    return found


def _apart(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Do something in a child of this process, and return what it returned."""
    source, sink = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(sink, "w") as answer:
            json.dump(work(), answer)
        os._exit(0)
    os.close(sink)
    with os.fdopen(source) as answer:
        found: dict[str, Any] = json.load(answer)
    os.waitpid(child, 0)
    return found


def run(quick: bool) -> list[Figure]:
    """Measure in all three places."""
    made = []
    heavy: set[str] = set()
    for where in (TASK, CHANGED, PROCESSOR):
        found = measure(where, 5 if quick else 21)
        heavy.update(*(one["ours"]["heavy"] for one in found))
        ours, empty = (sorted(one[name]["seconds"] for one in found) for name in ("ours", "empty"))
        middle = empty[len(empty) // 2]
        made += [
            Figure.of(
                f"reading the DAG in {where}",
                [one / middle for one in ours],
                "times",
                goal="<= 1.5" if where == TASK else "",
                compared_with=f"an empty DAG with the same imports of Airflow: {1000 * middle:.0f} ms here",
            ),
            Figure.of(
                f"importing what a leg needs of ours in {where}",
                [1000 * sum(one["imports"].values()) for one in found],
                "ms",
            ),
        ]
    libraries = f"of {', '.join(HEAVY)}"
    made.append(
        Figure("heavy libraries loaded by reading the DAG", len(heavy), libraries, "== 0", guard=True)
    )
    return made


def main() -> int:
    """Print the figures."""
    if sys.argv[1:2] == ["--read"]:
        print(json.dumps(_read_both(sys.argv[2], int(sys.argv[3]), sys.argv[4])))
        return 0
    for figure in run("--quick" in sys.argv):
        print(f"{figure.name}: {figure.value:.2f} {figure.unit}; {figure.compared_with}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
