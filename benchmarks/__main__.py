"""Run the subjects, write `build/bench.json`, and print a table.

    python -m benchmarks [--quick] [SUBJECT ...]

A subject is a module of this package with a `NAME`, and a function `run(quick: bool) -> list[Figure]`. Each
runs in a process of its own. It fails where a subject breaks or a guarded figure misses its goal.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.figure import Figure

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent
REPORT: Final = ROOT / "build" / "bench.json"
WITH_AIRFLOW: Final = ("overhead", "reaction")
"""Subjects that take minutes and guard nothing: the short form is without them, unless they are named."""
_LIMIT_SECONDS: Final = 900


def subjects() -> dict[str, str]:
    """Return the module of each subject by its name, without loading any."""
    found = {}
    for file in sorted(HERE.glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        runs = any(isinstance(node, ast.FunctionDef) and node.name == "run" for node in tree.body)
        name = next(filter(None, map(_name, tree.body)), None)
        if runs and name:
            found[name] = f"benchmarks.{file.stem}"
    return found


def _name(node: ast.stmt) -> str | None:
    """Return the value of a top-level `NAME = "..."`."""
    if not isinstance(node, ast.Assign | ast.AnnAssign) or not isinstance(node.value, ast.Constant):
        return None
    targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets
    named = any(isinstance(target, ast.Name) and target.id == "NAME" for target in targets)
    return str(node.value.value) if named else None


def measure(name: str, module: str, *, quick: bool) -> dict[str, Any]:
    """Run a subject in a process of its own, and return its figures, or how it failed."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        command = [sys.executable, "-m", "benchmarks", "--only", module, str(file)]
        try:
            code: int | str = subprocess.run(
                command + ["--quick"] * quick, cwd=ROOT, check=False, timeout=_LIMIT_SECONDS
            ).returncode
        except subprocess.TimeoutExpired:
            code = f"not done after {_LIMIT_SECONDS} s"
        figures = json.loads(file.read_text(encoding="utf-8")) if code == 0 and file.is_file() else []
    failure = None if figures else f"it failed: {code}"
    return {
        "subject": name,
        "seconds": round(time.monotonic() - began, 1),
        "failure": failure,
        "figures": figures,
    }


def table(found: list[dict[str, Any]]) -> str:
    """Write what was measured as lines of text."""
    rows: list[tuple[str, ...]] = [("figure", "value", "runs from to", "goal", "", "compared with")]
    for subject in found:
        rows.append((f"-- {subject['subject']} ({subject['seconds']} s)", "", "", "", "", ""))
        if subject["failure"]:
            rows.append((f"   {subject['failure']}", "", "", "", "FAILED", ""))
        rows += [_row(Figure.from_dict(figure)) for figure in subject["figures"]]
    widths = [max(len(row[place]) for row in rows) for place in range(5)]
    lines = (
        [*(cell.ljust(width) for cell, width in zip(row[:5], widths, strict=True)), row[5]] for row in rows
    )
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _row(figure: Figure) -> tuple[str, ...]:
    spread = "" if figure.spread is None else f"{_short(figure.spread[0])} .. {_short(figure.spread[1])}"
    met = {None: "", True: "met", False: "BROKEN" if figure.guard else "missed"}[figure.met]
    value = f"{_short(figure.value)} {figure.unit}"
    return (f"   {figure.name}", value, spread, figure.goal, met, figure.compared_with)


def _short(number: float) -> str:
    return f"{number:.0f}" if number == int(number) and abs(number) < 10**9 else f"{number:.3g}"


def is_good(found: list[dict[str, Any]]) -> bool:
    """Tell whether every subject ran, and no guarded figure missed its goal."""
    figures = [Figure.from_dict(figure) for subject in found for figure in subject["figures"]]
    return not any(one["failure"] for one in found) and all(one.met for one in figures if one.guard)


def machine() -> dict[str, Any]:
    """Describe what it was measured on."""
    return {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
    known = subjects()
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=f"of {', '.join(known)}")
    parser.add_argument("--quick", action="store_true", help="the short forms, in less than two minutes")
    parser.add_argument("--only", nargs=2, metavar=("MODULE", "FILE"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.only:
        figures: list[Figure] = importlib.import_module(given.only[0]).run(given.quick)
        Path(given.only[1]).write_text(json.dumps([one.to_dict() for one in figures]), encoding="utf-8")
        return 0
    if unknown := sorted(set(given.subjects) - set(known)):
        parser.error(f"no such subject: {', '.join(unknown)}")
    chosen = given.subjects or [name for name in known if not (given.quick and name in WITH_AIRFLOW)]
    found = []
    for name in chosen:
        print(f"bench: {name}", flush=True)
        found.append(measure(name, known[name], quick=given.quick))
    REPORT.parent.mkdir(exist_ok=True)
    report = {"quick": given.quick, "machine": machine(), "subjects": found}
    REPORT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(table(found))
    good = is_good(found)
    print(f"bench: {'every guard holds' if good else 'a guard is broken, or a subject failed'}; {REPORT}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
