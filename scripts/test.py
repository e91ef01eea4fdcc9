"""Run the tests, kind by kind, and sum them up in one line.

    python -m scripts.test [KIND ...] [-- PYTEST ARGUMENT ...]

The kinds are folders of `tests/`, the quick ones first. What needs chains or Airflow of its own is kept
together by file, so that a file's tests share them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from scripts.astro_settings import ROOT
from tests.support import postgres

_NOTHING_COLLECTED: Final = 5
_OPTIONS: Final[dict[str, tuple[str, ...]]] = {
    "unit": ("-n", "2"),
    "integration": ("-n", "2", "--dist", "loadfile", "--ignore=tests/integration/lying"),
    "dags": (),
    "browser": (),
    "chaos": ("-n", "2", "--dist", "loadfile"),
    "e2e": (),
    "lying": ("-n", "2", "--dist", "loadfile"),
    "faults": (),
    "distributed": (),
}
_FOLDERS: Final = {"lying": "integration/lying"}
"""Where a kind is that has no folder of its own name."""
_ON_REQUEST: Final = ("lying", "faults", "distributed")
"""What takes too long to be run each time; `make chaos` and `make test-distributed` run it."""
_COVERED: Final = ("unit", "integration")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one kind of test went."""

    kind: str
    passed: int
    failed: int
    skipped: int

    def __str__(self) -> str:
        """Say it in words, without what is zero."""
        counts = ((self.passed, "passed"), (self.failed, "failed"), (self.skipped, "skipped"))
        return f"{self.kind} " + (
            ", ".join(f"{count} {word}" for count, word in counts if count) or "nothing"
        )


def kinds() -> list[str]:
    """Return the kinds of test there are, the quick ones first."""
    return [kind for kind in _OPTIONS if any(folder(kind).rglob("test_*.py"))]


def folder(kind: str) -> Path:
    """Return the folder of a kind."""
    return ROOT / "tests" / _FOLDERS.get(kind, kind)


def run(kind: str, extra: list[str]) -> Outcome:
    """Run one kind of test, its output going where ours goes."""
    print(f"== {kind} tests", flush=True)
    with tempfile.TemporaryDirectory() as results:
        report = Path(results) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", str(folder(kind)), f"--junitxml={report}"]
        if kind in _COVERED:
            command += ["--cov", "--cov-report=", "--cov-fail-under=0"]
        done = subprocess.run(  # noqa: S603 - our own
            [*command, *_OPTIONS[kind], *extra],
            cwd=ROOT,
            env=os.environ | {"COVERAGE_FILE": str(ROOT / f".coverage.{kind}")},
            check=False,
        )
        return counted(kind, report, done.returncode)


def is_covered() -> bool:
    """Tell whether the tests took every branch of the domain and the ledger, and show what they missed."""
    print("== coverage of the domain and the ledger", flush=True)
    files = [str(ROOT / f".coverage.{kind}") for kind in _COVERED]
    coverage = [sys.executable, "-m", "coverage"]
    environment = os.environ | {"COVERAGE_FILE": str(ROOT / ".coverage")}
    for command in ([*coverage, "combine", "--quiet", *files], [*coverage, "report"]):
        if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:  # noqa: S603 - our own
            return False
    return True


def counted(kind: str, report: Path, returncode: int) -> Outcome:
    """Return what a report of pytest says; a run that failed without a failing test counts as one failure."""
    total = failed = skipped = 0
    if report.is_file():
        for suite in ElementTree.parse(report).getroot().iter("testsuite"):  # noqa: S314 - our own pytest wrote it
            total += int(suite.get("tests", 0))
            failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped += int(suite.get("skipped", 0))
    passed = max(0, total - failed - skipped)
    if returncode not in (0, _NOTHING_COLLECTED):
        failed = max(1, failed)
    return Outcome(kind, passed, failed, skipped)


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    given = sys.argv[1:] if arguments is None else arguments
    split = given.index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser(
        prog="python -m scripts.test", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(kinds())}")
    chosen = parser.parse_args(given[:split]).kinds or [one for one in kinds() if one not in _ON_REQUEST]
    if unknown := sorted(set(chosen) - set(kinds())):
        parser.error(f"no such kind of test: {', '.join(unknown)}")
    began = time.monotonic()
    outcomes = [run(kind, given[split + 1 :]) for kind in chosen]
    passed, failed = sum(one.passed for one in outcomes), sum(one.failed for one in outcomes)
    # Some lines of the ledger are for PostgreSQL, whose tests are skipped where it is not installed.
    if set(_COVERED) <= set(chosen) and not failed and postgres.binaries() is not None and not is_covered():
        failed += 1
    seconds = time.monotonic() - began
    print(f"tests: {'; '.join(map(str, outcomes))}")
    print(f"tests: {passed} passed, {failed} failed in {seconds:.0f} s")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
