"""What the plan, the settings and the record of a check cost, without any venue.

CPU seconds are shown as they are, and change with the machine. What is guarded is how they grow: ten times
the assets must not cost much more than ten times as much.
"""

from __future__ import annotations

import gc
import itertools
import json
import statistics
import tempfile
import time
import tracemalloc
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.figure import Figure
from include.domain.decision import Decision, Reason
from include.domain.imbalance import Threshold
from include.domain.inventory import Balance, Inventory, Snapshot
from include.domain.plan import plan
from include.domain.policy import AssetPolicy, Policy
from include.ledger.ledger import Ledger
from include.ledger.records import CheckMode
from include.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

NAME: Final = "planning"
NOW: Final = datetime(2026, 3, 2, 14, tzinfo=UTC)
HELD: Final = (("95", "5"), ("5", "95"), ("50", "50"))
"""At Alpaca and on Base, in turn: two assets of three are out of their band."""
GROWTH: Final = 16
"""What ten times the assets may cost at most, in times."""


def symbol(number: int) -> str:
    """Return the symbol of an asset by its number."""
    return f"S{number:05d}"


def snapshot_of(count: int) -> Snapshot:
    """Return balances of so many assets."""
    inventories = {}
    for number in range(count):
        offchain, onchain = (Decimal(held) for held in HELD[number % len(HELD)])
        inventories[symbol(number)] = Inventory(symbol(number), Balance(onchain), Balance(offchain))
    return Snapshot("bench", NOW, 1, 1, inventories)


def policy_of(count: int) -> Policy:
    """Return the policy for so many assets."""
    return Policy(
        assets={
            symbol(number): AssetPolicy(Threshold(Decimal("0.5"), Decimal("0.3")), minimum=Decimal("0.01"))
            for number in range(count)
        },
        enabled=True,
        may_start=True,
        max_snapshot_age=timedelta(minutes=1),
    )


def environment_of(count: int) -> dict[str, str]:
    """Return the settings of so many assets, each with a wrapper and a vault."""
    tokens = {symbol(number): f"0x{0x10000 + number:040x}" for number in range(count)}
    assets = {
        symbol(number): {"wrapper": f"0x{0x900000 + number:040x}", "vaults": [f"0x{number + 1:064x}"]}
        for number in range(count)
    }
    return {
        "BALLAST_TOKEN_ADDRESSES": json.dumps(tokens),
        "BALLAST_ASSETS": json.dumps(assets),
        "BALLAST_ORDERBOOK": f"0x{0xABCDEF:040x}",
    }


def cpu(work: Callable[[], object], runs: int) -> list[float]:
    """Return the CPU seconds of each run."""
    work()  # what is done once in a process is no part of it
    found = []
    for _ in range(runs):
        gc.collect()
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return found


def run(quick: bool) -> list[Figure]:
    """Measure all three."""
    runs = 5 if quick else 15
    return [*_plan(runs, 10_000), *_settings(runs, 1000), *_record(runs, 1000)]


def _growth(name: str, few: list[float], many: list[float], count: int) -> Figure:
    return Figure(
        f"{name}, {count} assets",
        min(many) / min(few),
        "times",
        goal=f"<= {GROWTH}",
        compared_with=f"the same for {count // 10} assets",
        guard=True,
    )


def _plan(runs: int, count: int) -> list[Figure]:
    def decide(assets: int) -> Callable[[], tuple[Decision, ...]]:
        taken, policy = snapshot_of(assets), policy_of(assets)
        return lambda: plan(taken, policy, (), now=NOW)

    few, many = cpu(decide(count // 10), runs), cpu(decide(count), runs)
    work = decide(count)
    gc.collect()
    tracemalloc.start()
    decisions = work()
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(decisions) == count
    taken = snapshot_of(count)
    least = statistics.median(cpu(lambda: _sentences(taken), runs))
    return [
        Figure.of(
            f"CPU of the plan, {count} assets",
            many,
            "s",
            goal="<= 0.05",
            compared_with=f"a ratio and an unchecked sentence for each: {least:.3f} s",
        ),
        _growth("CPU of the plan", few, many, count),
        Figure(f"memory of its decisions, {count} assets", round(used / 1e6, 1), "MB"),
    ]


def _sentences(taken: Snapshot) -> list[Decision]:
    """Decide nothing and say it: the least that a plan of which every asset has a sentence can take."""
    found = []
    low, high, target = Decimal("0.2"), Decimal("0.8"), Decimal("0.5")
    for asset, inventory in taken.inventories.items():
        assert isinstance(inventory.onchain, Balance)
        assert isinstance(inventory.offchain, Balance)
        held = inventory.onchain.available
        total = held + inventory.offchain.available
        said = f"{held} of {total} is onchain: ratio {held / total} is in {low} to {high}, target {target}."
        found.append(Decision(asset, Reason.BALANCED, said))
    return found


def _settings(runs: int, count: int) -> list[Figure]:
    figures = []
    for name, ways in (
        ("CPU of reading the settings", [_load(count // 10), _load(count)]),
        ("CPU of a policy from the settings", [_policy(count // 10), _policy(count)]),
    ):
        few, many = (cpu(way, runs) for way in ways)
        figures += [Figure.of(f"{name}, {count} assets", many, "s"), _growth(name, few, many, count)]
    return figures


def _load(count: int) -> Callable[[], object]:
    environment = environment_of(count)
    return lambda: load_settings(environ=environment)


def _policy(count: int) -> Callable[[], object]:
    settings = load_settings(environ=environment_of(count))
    return lambda: settings.policy(may_start=True)


def _recording(ledger: Ledger, assets: int) -> Callable[[], object]:
    """Return what records one more check, each time it is called."""
    taken, numbers = snapshot_of(assets), itertools.count()
    decisions = plan(taken, policy_of(assets), (), now=NOW)
    return lambda: ledger.record_check(f"c{next(numbers)}", "run", CheckMode.LIVE, taken, decisions)


def _record(runs: int, count: int) -> list[Figure]:
    found: list[list[float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for assets in (count // 10, count):
            file = Path(folder) / f"{assets}.db"
            ledger = Ledger.open(f"sqlite:///{file}")
            before = file.stat().st_size
            found.append(cpu(_recording(ledger, assets), runs))
            ledger.close()
            size = (file.stat().st_size - before) / (runs + 1)
    return [
        Figure.of(f"CPU of recording a check, {count} assets", found[1], "s"),
        _growth("CPU of recording a check", found[0], found[1], count),
        Figure(f"size of a recorded check, {count} assets", round(size / 1e6, 2), "MB"),
    ]
