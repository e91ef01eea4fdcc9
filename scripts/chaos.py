"""Break Ballast on purpose, and see that the money still moves once and arrives.

    python -m scripts.chaos            the crash matrix, two at once, lying venues, Airflow's own faults
    python -m scripts.chaos mutants    break the code as well, and see that the matrix notices

The last line is for programs; everything before it is for people.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from include.domain.operation import OperationKind
from scripts.astro_settings import ROOT
from tests.chaos.matrix import Result
from tests.chaos.mutants import MUTANTS

VERDICT: Final = re.compile(r"\): (.*; )?(doubled|lost|stuck): | seed \d+: (.*; )?doubled: ")
"""How a line tells that a case of the matrix, or a schedule, moved money twice, lost it or left it behind."""
SEEDS: Final = 60
"""How many schedules of two processes at once each kind of operation plays."""


@dataclass
class Found:
    """What the two halves found, of one kind of operation or of all."""

    matrix: Result = field(default_factory=Result)
    pairs: Result = field(default_factory=Result)


def played(module: str, kind: str, *options: str) -> Result:
    """Play one kind of operation in a process with a world of its own."""
    with tempfile.TemporaryDirectory(prefix="ballast-chaos-") as folder:
        output = Path(folder) / "result.json"
        command = [sys.executable, "-m", module, "--kinds", kind, "--out", str(output), *options]
        done = subprocess.run(command, cwd=ROOT, check=False)  # noqa: S603 - our own command
        if output.exists():
            return Result(**json.loads(output.read_text(encoding="utf-8")))
    return Result(failures=[f"{kind} stuck: {module} ended with {done.returncode}"])


def play(kind: str, seeds: int, every: int) -> Found:
    """Play the crash matrix of one kind of operation, and then two processes at once."""
    return Found(
        played("tests.chaos.matrix", kind, "--every", str(every)),
        played("tests.chaos.schedules", kind, "--seeds", str(seeds)),
    )


def tested(kind: str) -> tuple[bool, str]:
    """Run a kind of test that `make test` leaves out, and return whether it passed and what it said."""
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "scripts.test", kind],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode == 0, done.stdout


def chaos(seeds: int, every: int) -> int:
    """Run the crash matrix, two at once, venues that lie, and Airflow's own faults."""
    began = time.monotonic()
    all_of_it = Found()
    # Side by side, as each world waits for its venues much of the time, and Airflow for itself.
    with ThreadPoolExecutor(len(OperationKind) + 1) as pool:
        airflow = pool.submit(tested, "faults")
        for found in pool.map(lambda kind: play(kind, seeds, every), OperationKind):
            all_of_it.matrix.add(found.matrix)
            all_of_it.pairs.add(found.pairs)
        told = [airflow.result(), tested("lying")]
    for _, said in told:
        print(said)
    matrix, pairs = all_of_it.matrix, all_of_it.pairs
    for failure in (*matrix.failures, *pairs.failures):
        print(failure)
    print(f"two at once: {pairs.survived} of {pairs.cases} schedules survived")
    print(f"a person acted in {matrix.asked} of {matrix.cases} cases")
    print(f"{matrix.unreached} boundaries were met by the first run alone, as it waited more often")
    total = Result()
    total.add(matrix)
    total.cases += pairs.cases
    total.survived += pairs.survived
    total.failures += pairs.failures
    total.seconds = time.monotonic() - began
    print(total.line)
    passed = all(well for well, _ in told)
    return 1 if total.failures or total.survived < total.cases or not passed else 0


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
        # A case that went wrong, not one that could not be played: those are no lines with a verdict.
        found = [line for line in done.stdout.splitlines() if VERDICT.search(line)]
        noticed = done.returncode != 0 and bool(found)
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
