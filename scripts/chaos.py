"""Break Ballast on purpose, and see that the money still moves once and arrives.

    python -m scripts.chaos            the crash matrix, two at once, lying venues, Airflow's own faults
    python -m scripts.chaos mutants    break the code as well, and see that the matrix notices

The last line is for programs; everything before it is for people.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from include.domain.operation import OperationKind
from scripts.astro_settings import ROOT
from tests.chaos.matrix import Result
from tests.chaos.mutants import MUTANTS

PARTS: Final = tuple(OperationKind)
"""One world for each kind of operation, side by side: each of them mostly waits for its venues."""
SEEDS: Final = 75


def side_by_side(module: str, parts: tuple[str, ...], *options: str) -> Result:
    """Play a part each in a process of its own, and add up what they found."""
    total = Result()
    with tempfile.TemporaryDirectory(prefix="ballast-chaos-") as folder:
        outputs = [Path(folder) / f"{number}.json" for number in range(len(parts))]
        processes = [
            subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", module, "--kinds", part, "--out", str(output), *options], cwd=ROOT
            )
            for part, output in zip(parts, outputs, strict=True)
        ]
        for process, part, output in zip(processes, parts, outputs, strict=True):
            process.wait()
            if output.exists():
                total.add(Result(**json.loads(output.read_text(encoding="utf-8"))))
            else:
                total.failures.append(f"{part} stuck: it ended with {process.returncode}")
    return total


def chaos(seeds: int, every: int) -> int:
    """Run the crash matrix, two at once, venues that lie, and Airflow's own faults."""
    began = time.monotonic()
    matrix = side_by_side("tests.chaos.matrix", PARTS, "--every", str(every))
    pairs = side_by_side("tests.chaos.schedules", PARTS, "--seeds", str(seeds))
    for failure in (*matrix.failures, *pairs.failures):
        print(failure)
    print(f"two at once: {pairs.survived} of {pairs.cases} schedules survived")
    print(f"a person acted in {matrix.asked} of {matrix.cases} cases")
    total = Result(seconds=time.monotonic() - began)
    total.add(matrix)
    total.cases += pairs.cases
    total.survived += pairs.survived
    total.failures += pairs.failures
    told = subprocess.run([sys.executable, "-m", "scripts.test", "lying", "faults"], cwd=ROOT, check=False)
    total.seconds = time.monotonic() - began
    print(total.line)
    return 1 if total.failures or total.survived < total.cases or told.returncode else 0


def mutants() -> int:
    """Put one fault after another into the code, and require that something notices each."""
    unnoticed = []
    for name, mutant in MUTANTS.items():
        module = "tests.chaos.schedules" if mutant.needs_two else "tests.chaos.matrix"
        done = subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", module, "--kinds", mutant.kind, "--mutant", name, "--stop-at-first"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        noticed = done.returncode != 0 and "doubled" in done.stdout
        found = [line for line in done.stdout.splitlines() if "doubled: " in line]
        print(f"{name}: {'noticed: ' + found[0][:160] if noticed and found else 'NOT noticed'}", flush=True)
        if not noticed:
            unnoticed.append(name)
    print(f"mutants: {len(MUTANTS)} put in, {len(MUTANTS) - len(unnoticed)} noticed")
    return 1 if unnoticed else 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.chaos", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("what", nargs="?", choices=["all", "mutants"], default="all")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="schedules of each operation, two at once")
    parser.add_argument("--every", type=int, default=1, help="only every n-th boundary")
    options = parser.parse_args(arguments)
    return mutants() if options.what == "mutants" else chaos(options.seeds, options.every)


if __name__ == "__main__":
    raise SystemExit(main())
