"""The crash matrix: a process is killed at every boundary of an operation, and a fresh one goes on.

    python -m tests.chaos.matrix [--kinds mint,redemption] [--every N] [--mutant NAME] [--out FILE]

The boundaries are found by a run that nobody kills. For each of them the world is put back, a process is
killed exactly there, and another one, its clock past the lease, does what the next run of Airflow would.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from include.domain.operation import OperationKind
from tests.chaos.ground import Ground, ground, world
from tests.chaos.mutants import MUTANTS

if TYPE_CHECKING:
    from collections import Counter

AFTER_THE_LEASE = 61.0
TRIES = 3
TOLD_EVERY = 25
MOST_UNREACHED = 0.1
"""The part of the boundaries that a slow first run may have more than all others; one, where that is less."""


@dataclass
class Result:
    """How a matrix went.

    :ivar unreached: boundaries that the first run had and no later one came to, as it waited less often.
    """

    operations: int = 0
    boundaries: int = 0
    cases: int = 0
    survived: int = 0
    asked: int = 0
    unreached: int = 0
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, kind: str) -> int:
        """Return how many cases ended so: doubled, lost or stuck."""
        return sum(1 for failure in self.failures if f" {kind}: " in failure)

    def add(self, other: Result) -> None:
        """Take in what another part of the matrix found."""
        self.operations += other.operations
        self.boundaries += other.boundaries
        self.cases += other.cases
        self.survived += other.survived
        self.asked += other.asked
        self.unreached += other.unreached
        self.failures += other.failures

    @property
    def line(self) -> str:
        """The last line, for programs."""
        return (
            f"chaos: operations={self.operations} boundaries={self.boundaries} cases={self.cases} "
            f"survived={self.survived} doubled={self.count('doubled')} lost={self.count('lost')} "
            f"stuck={self.count('stuck')} seconds={self.seconds:.0f}"
        )


def baseline(place: Ground, mutant: str | None = None) -> tuple[list[str], Counter[str]]:
    """Run an operation that nobody kills, and return its boundaries and what it did to the world."""
    place.begin()
    report = place.spawn(place.job(mutant=mutant)).report()
    if report is None or report.error:
        raise RuntimeError(f"{place.kind}: the run that nobody kills failed: {report and report.error}")
    counts = place.counts()
    wrong = place.verdict(counts)
    if wrong:
        raise RuntimeError(f"{place.kind}: the run that nobody kills went wrong: {wrong}")
    return report.trace, counts


def case(
    place: Ground, target: int | str, counts: Counter[str], mutant: str | None = None
) -> tuple[list[str], bool] | None:
    """Kill a process at a boundary, let a fresh one go on; return what is wrong, and if a person acted.

    None where the process came to its end before that boundary.
    """
    for _ in range(TRIES):
        place.begin()
        first = place.spawn(place.job(run_id="first", target=target, mutant=mutant)).report()
        if first is None:
            break
        # It ended before it came to this boundary: the venues were quicker or slower this time.
    else:
        return None
    second = place.spawn(place.job(run_id="second", late=AFTER_THE_LEASE, mutant=mutant)).report()
    wrong = place.verdict(counts)
    if second is None or second.error:
        wrong.append(f"stuck: {second.error if second else 'the second process died'}")
    return wrong, bool(second and second.person)


def matrix(
    place: Ground, every: int = 1, mutant: str | None = None, *, stop_at_first: bool = False
) -> Result:
    """Play all cases of one kind of operation."""
    trace, counts = baseline(place, mutant)
    result = Result(operations=1, boundaries=len(trace))
    for target in range(0, len(trace), every):
        played = case(place, target, counts, mutant)
        if played is None:
            result.unreached += 1
            continue
        wrong, asked = played
        result.cases += 1
        result.asked += asked
        if wrong:
            name = f"{place.kind} {target} ({trace[target]})"
            result.failures.append(f"{name}: {'; '.join(wrong)}")
            sys.stderr.write(f"{result.failures[-1]}\n")
            if stop_at_first:
                break
        else:
            result.survived += 1
        if result.cases % TOLD_EVERY == 0:
            sys.stdout.write(f"{place.kind}: {result.cases} of {len(range(0, len(trace), every))} cases\n")
            sys.stdout.flush()
    if result.unreached > max(1, MOST_UNREACHED * (result.cases + result.unreached)):
        result.failures.append(f"{place.kind} stuck: {result.unreached} boundaries were never reached")
    return result


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.matrix")
    parser.add_argument("--kinds", default=",".join(OperationKind), help="which operations")
    parser.add_argument("--every", type=int, default=1, help="only every n-th boundary")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="with a fault put into the code")
    parser.add_argument("--stop-at-first", action="store_true", help="end at the first failure")
    parser.add_argument("--out", type=Path, help="write the result as JSON")
    options = parser.parse_args(arguments)
    logging.disable(logging.WARNING)  # the venues complain of chains that are put back under them
    total, began = Result(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ballast-chaos-") as folder, world() as started:
        for name in options.kinds.split(","):
            with ground(started, Path(folder), OperationKind(name)) as place:
                found = matrix(place, options.every, options.mutant, stop_at_first=options.stop_at_first)
            total.add(found)
            sys.stdout.write(
                f"{name}: {found.boundaries} boundaries, {found.survived} of {found.cases} survived\n"
            )
            sys.stdout.flush()
    total.seconds = time.monotonic() - began
    if options.out is not None:
        options.out.write_text(json.dumps(asdict(total)), encoding="utf-8")
    return 1 if total.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
