"""What reading the DAG costs, against an empty DAG that imports the same of Airflow.

    python -m benchmarks.parse [--quick]

Every process of a task reads the file anew, and so does the DAG processor, each in a fork of a process that
has what `config/airflow_local_settings.py` preloads there. Each reading here is such a fork, and in a task's
process Airflow says which task it is for.
CPU seconds are taken, and the two files in turn, so that what else the machine does falls on both.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.figure import Figure
from include.domain.operation import OperationKind
from include.legs.route import legs_needed
from include.settings import load_settings
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
PLAIN: Final = (
    EMPTY.rpartition("\nwith DAG")[0]
    + """
with DAG("plain", schedule=None):
    checked = task(task_id="check")(lambda: None)()
    for kind, legs in enumerate({legs}):
        @task_group(group_id=f"g{{kind}}")
        def group(operation):
            chain(*(BaseOperator(task_id=f"leg{{number}}") for number in range(legs)))

        group.expand(operation=task(task_id=f"claim{{kind}}")(lambda checked: [])(checked))
"""
)
"""As many tasks as ours has, of no book and no settings."""
HEAVY: Final = ("web3", "eth_account", "eth_abi", "sqlalchemy.orm", "alembic.command")
"""What reading the DAG must not load."""
IMPORTS: Final = ("include.settings", "ballast.operators", "include.ledger.ledger", "include.legs.registry")
"""What a leg's process needs of ours, in an order in which each comes after what it needs."""
SETTINGS: Final = {
    "BALLAST_SETTINGS_FILE": os.devnull,
    "BALLAST_TOKEN_ADDRESSES": json.dumps({f"S{number}": f"0x{number:040x}" for number in range(1, 9)}),
}
LEG: Final = "a leg's process"
CHECK: Final = "the check's process"
CHANGED: Final = "a leg's process after a change of our code"
PROCESSOR: Final = "the DAG processor"
STOCK: Final = "a leg's process where nothing is preloaded"
TASKS: Final = {STOCK: "mint.mint", LEG: "mint.mint", CHECK: "check", CHANGED: "mint.mint", PROCESSOR: None}
"""Which task it is for, as Airflow says it; the DAG processor's is for none."""


def measure(where: str, times: int) -> list[dict[str, Any]]:
    """Read the files that often, in an interpreter of their own that has what is inherited there."""
    path = os.pathsep.join(str(ROOT / part) for part in ("", "plugins", "config"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BALLAST_")}
    with tempfile.TemporaryDirectory() as home:
        empty = Path(home) / "empty.py"
        empty.write_text(EMPTY, encoding="utf-8")
        legs = [len(legs_needed(kind, load_settings(SETTINGS))) for kind in OperationKind]
        plain = Path(home) / "plain.py"
        plain.write_text(PLAIN.format(legs=legs), encoding="utf-8")
        # Compiled, as an installation is: else each reading would compile our code again.
        compiled = str(ROOT / ".run" / "pycache")
        python = {"PYTHONPATH": path, "PYTHONPYCACHEPREFIX": compiled, "PYTHONDONTWRITEBYTECODE": ""}
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.parse", "--read", where, str(times), str(empty), str(plain)],
            cwd=ROOT,
            env=kept | SETTINGS | python | {"AIRFLOW_HOME": home},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found[1:]  # the first reading compiles


def _read_all(where: str, times: int, empty: str, plain: str) -> list[dict[str, Any]]:
    local_settings = importlib.import_module("airflow_local_settings")
    if where == PROCESSOR:
        importlib.import_module("airflow.dag_processing.processor")
        local_settings.preload(local_settings.READING)
    elif where == STOCK:
        importlib.import_module("airflow.sdk.execution_time.task_runner")
    else:
        local_settings.preload()
        if where != CHANGED:
            local_settings.preload_own()
    importlib.import_module("airflow.dag_processing.dagbag")
    task = TASKS[where]
    return [
        {
            "empty": _apart(lambda: _read(empty, task and ("empty", task))),
            "plain": _apart(lambda: _read(plain, task and ("plain", task))),
            "ours": _apart(lambda: _read(str(OURS), task and ("rebalancing", task))),
            "imports": _apart(_import),
        }
        for _ in range(times + 1)
    ]


def _read(file: str, task: tuple[str, str] | None) -> dict[str, Any]:
    """Read a file, for a task (its DAG and its own id) or for all that is in it."""
    before = set(sys.modules)
    bag = importlib.import_module("airflow.dag_processing.dagbag")
    context = importlib.import_module("airflow.sdk.definitions._internal.dag_parsing_context")
    began = time.process_time()
    with context._airflow_parsing_context_manager(*task or (None, None)):
        dags = bag.DagBag(file, load_op_links=False)
    seconds = time.process_time() - began
    assert not dags.import_errors, dags.import_errors
    [dag] = dags.dags.values()
    return {
        "seconds": seconds,
        "tasks": len(dag.tasks),
        "heavy": sorted(set(sys.modules).intersection(HEAVY) - before),
    }


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
    """Measure in all places; in the short form, in the two that the guard compares."""
    found = {where: measure(where, 5 if quick else 21) for where in ((STOCK, LEG) if quick else TASKS)}
    made = [_against_stock(_seconds(found[LEG], "ours"), statistics.median(_seconds(found[STOCK], "empty")))]
    for where, readings in found.items():
        made.append(_against_empty(where, readings))
        if where in (LEG, CHANGED):
            imports = [1000 * sum(one["imports"].values()) for one in readings]
            made.append(Figure.of(f"importing what a leg needs of ours in {where}", imports, "ms"))
    heavy = {name for readings in found.values() for one in readings for name in one["ours"]["heavy"]}
    libraries = f"of {', '.join(HEAVY)}"
    made.append(
        Figure("heavy libraries loaded by reading the DAG", len(heavy), libraries, "== 0", guard=True)
    )
    return made


def _against_stock(ours: list[float], empty: float) -> Figure:
    return Figure.of(
        f"reading the DAG in {LEG}",
        [one / empty for one in ours],
        "times",
        goal="<= 1.5",
        compared_with=f"an empty DAG with the same imports in {STOCK}: {1000 * empty:.0f} ms",
        guard=True,
    )


def _against_empty(where: str, readings: list[dict[str, Any]]) -> Figure:
    """Compare with an empty DAG in the same place, and with as many tasks that do nothing."""
    ours, plain, empty = (_seconds(readings, name) for name in ("ours", "plain", "empty"))
    tasks = {one[name]["tasks"] for one in readings for name in ("ours", "plain")}
    assert len(tasks) == 1, tasks
    least, tasks_alone = statistics.median(empty), statistics.median(plain)
    return Figure.of(
        f"reading the DAG in {where}, to an empty one there",
        [one / least for one in ours],
        "times",
        compared_with=f"{1000 * least:.0f} ms; as many plain tasks: {tasks_alone / least:.2f} times",
    )


def _seconds(readings: list[dict[str, Any]], name: str) -> list[float]:
    return [one[name]["seconds"] for one in readings]


def main() -> int:
    """Print the figures."""
    if sys.argv[1:2] == ["--read"]:
        print(json.dumps(_read_all(sys.argv[2], int(sys.argv[3]), *sys.argv[4:])))
        return 0
    for figure in run("--quick" in sys.argv):
        print(f"{figure.name}: {figure.value:.2f} {figure.unit}; {figure.compared_with}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
