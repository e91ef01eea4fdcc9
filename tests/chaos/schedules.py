"""Two at once: two processes push the same operation, stopped and released at random boundaries.

    python -m tests.chaos.schedules [--kinds mint,redemption] [--seeds 40] [--first-seed 0] [--out FILE]

In half of the schedules one of them sleeps past its lease, as a machine that was suspended does, and wakes up
when the other has gone on.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from include.domain.operation import OperationKind
from tests.chaos.ground import Child, Ground, ground, world
from tests.chaos.matrix import AFTER_THE_LEASE, TOLD_EVERY, Result, baseline
from tests.chaos.mutants import MUTANTS

if TYPE_CHECKING:
    from collections import Counter

PATIENCE_SECONDS = 60.0
LONGEST_SLEEP_SECONDS = 0.4


def play(
    place: Ground, seed: int, trace: list[str], counts: Counter[str], mutant: str | None = None
) -> list[str]:
    """Play one schedule, and return what is wrong."""
    chance = random.Random(f"{place.kind} {seed}")
    claimed = max(number for number, label in enumerate(trace) if label == "claim: after commit")
    place.begin()
    opened = place.spawn(place.job(run_id="first", target=claimed)).report()
    if opened is not None:
        return [f"stuck: nothing was claimed: {opened.error}"]
    late = AFTER_THE_LEASE if chance.random() < 0.5 else 0.0
    pair = [
        place.spawn(
            place.job(
                run_id=name,
                alone=False,
                helped=False,
                pause=True,
                target=chance.randrange(claimed, len(trace)),
                late=ahead,
                mutant=mutant,
            )
        )
        for name, ahead in (("second", 0.0), ("third", late))
    ]
    _drive(pair, chance)
    reports = [child.report() for child in pair]
    wrong = place.verdict(counts)
    for report in reports:
        if report is None or report.error:
            wrong.append(f"stuck: {report.error if report else 'a process died'}")
    return wrong


def _drive(pair: list[Child], chance: random.Random) -> None:
    """Let each sleep for a while where it stopped, until both have come to their end."""
    end = time.monotonic() + PATIENCE_SECONDS
    wake_at: dict[int, float] = {}
    while time.monotonic() < end:
        living = [child for child in pair if child.process.is_alive()]
        if not living:
            return
        for child in living:
            pid = child.process.pid
            assert pid is not None
            if not _sleeps(pid):
                continue
            now = time.monotonic()
            if now >= wake_at.setdefault(pid, now + chance.random() * LONGEST_SLEEP_SECONDS):
                os.kill(pid, signal.SIGCONT)
                del wake_at[pid]
        if any(child.pipe.poll(0.005) for child in living):
            # It has reported; the pipe is read by whoever asks for the report.
            living = [child for child in living if not child.pipe.poll()]
            if not living:
                return
        time.sleep(0.005)


def _sleeps(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False


def schedules(
    place: Ground, first: int, count: int, mutant: str | None = None, *, stop_at_first: bool = False
) -> Result:
    """Play schedules of one kind of operation."""
    trace, counts = baseline(place)
    result = Result(operations=1, boundaries=len(trace))
    for seed in range(first, first + count):
        wrong = play(place, seed, trace, counts, mutant)
        result.cases += 1
        if wrong:
            result.failures.append(f"{place.kind} seed {seed}: {'; '.join(wrong)}")
            sys.stderr.write(f"{result.failures[-1]}\n")
            if stop_at_first:
                break
        else:
            result.survived += 1
        if result.cases % TOLD_EVERY == 0:
            sys.stdout.write(f"{place.kind}: {result.cases} of {count} schedules\n")
            sys.stdout.flush()
    return result


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.schedules")
    parser.add_argument("--kinds", default=",".join(OperationKind), help="which operations")
    parser.add_argument("--seeds", type=int, default=50, help="how many schedules of each")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="with a fault put into the code")
    parser.add_argument("--stop-at-first", action="store_true", help="end at the first failure")
    parser.add_argument("--out", type=Path, help="write the result as JSON")
    options = parser.parse_args(arguments)
    logging.disable(logging.WARNING)  # the venues complain of chains that are put back under them
    total, began = Result(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ballast-chaos-") as folder, world() as started:
        for name in options.kinds.split(","):
            with ground(started, Path(folder), OperationKind(name)) as place:
                found = schedules(
                    place,
                    options.first_seed,
                    options.seeds,
                    options.mutant,
                    stop_at_first=options.stop_at_first,
                )
            total.add(found)
            sys.stdout.write(f"{name}: {found.survived} of {found.cases} schedules survived\n")
            sys.stdout.flush()
    total.seconds = time.monotonic() - began
    if options.out is not None:
        options.out.write_text(json.dumps(asdict(total)), encoding="utf-8")
    return 1 if total.failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
