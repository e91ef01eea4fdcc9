"""What Airflow and Ballast add to the time that chains and venues take for an operation.

    python -m benchmarks.overhead [--quick] [--rounds N] [--only ours|defaults]

Two whole Airflows run side by side in two local worlds of the same latencies: one with the settings that the
project ships, one with Airflow's own. The overhead of an operation is its total less its unavoidable waits. A
wait begins when an effect reached the broker or a node's pool, and ends when the last thing became true that
the next step rests on. Both are seen from outside, see `benchmarks.outside`. How deep a block has to be is a
setting, so the blocks that are waited for count as unavoidable; what we lose by sending late does not.
"""

from __future__ import annotations

import argparse
import re
import signal
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

import httpx

from benchmarks.figure import Figure
from benchmarks.outside import BASE, ETHEREUM, Nodes, Outside, Step
from include.domain.operation import OperationKind, OperationStatus
from include.sandbox.alpaca.settings import Latencies
from include.sandbox.attestation_rules import AttestationSettings
from include.sandbox.chains import BASE_DOMAIN, ETHEREUM_DOMAIN
from include.sandbox.jsonrpc import Rpc, calldata
from include.sandbox.scenario import USDC, Holding, Scenario, Shift, Side
from scripts.astro_settings import ROOT
from scripts.local_ballast import DAG_ID, RUN, LocalBallast
from scripts.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from include.ledger.records import Operation

NAME: Final = "overhead"
OURS: Final = "the settings shipped here"
AIRFLOWS: Final = "Airflow's own settings"


@dataclass(frozen=True)
class Times:
    """How long the world takes, in seconds.

    :param blocks: between two blocks of a chain.
    :param alpaca: a mint, a redemption, a withdrawal's way to its transaction, a deposit's to its credit.
    :param attestations: from a burn in a block to Circle's signatures, by the chain of the burn.
    """

    blocks: Mapping[str, float]
    alpaca: float
    attestations: Mapping[str, float]

    def latencies(self) -> Latencies:
        """Return the broker's part: each of its works in two steps, a third and two thirds of the time."""
        first, second = self.alpaca / 3, self.alpaca * 2 / 3
        return Latencies(
            mint_journal=first,
            mint_token=second,
            redemption_seen=first,
            redemption_credit=second,
            withdrawal_processing=first,
            withdrawal_broadcast=second,
            deposit_credit=self.alpaca,
        )

    def attestation(self) -> AttestationSettings:
        """Return Circle's part."""
        domains = {ETHEREUM: ETHEREUM_DOMAIN, BASE: BASE_DOMAIN}
        fast = {domains[name]: seconds for name, seconds in self.attestations.items()}
        return AttestationSettings().patched({"fast_latency": fast})


REAL: Final = Times({ETHEREUM: 12, BASE: 2}, 30, {ETHEREUM: 20, BASE: 8})
SHORT: Final = Times({ETHEREUM: 2, BASE: 1}, 4, {ETHEREUM: 3, BASE: 2})


@dataclass(frozen=True)
class Measured:
    """One operation, from the trigger of the check that found it to the commit that settled it."""

    operation: Operation
    triggered: float
    steps: list[Step]

    @property
    def claimed(self) -> float:
        """When the ledger opened it."""
        return self.operation.opened_at.timestamp()

    @property
    def closed(self) -> float:
        """When the ledger closed it."""
        assert self.operation.closed_at is not None
        return self.operation.closed_at.timestamp()

    @property
    def waits(self) -> float:
        """The seconds that only the venues could have made shorter."""
        return sum(step.wait for step in self.steps)

    @property
    def overhead(self) -> float:
        """The other seconds, from the claim on."""
        return self.closed - self.claimed - self.waits

    @property
    def share(self) -> float:
        """The overhead from the claim on, as a part of the whole."""
        return self.overhead / (self.closed - self.claimed)

    @property
    def from_trigger(self) -> float:
        """The overhead in seconds with the check and the claim."""
        return self.overhead + self.claimed - self.triggered

    def timeline(self) -> list[str]:
        """Return a line for everything that happened, and for every gap that is ours."""
        lines = [f"{self.operation.kind} {self.operation.quantity} {self.operation.asset}"]
        lines.append(f"{self.claimed - self.triggered:7.2f}  +{self.claimed - self.triggered:.2f}  claimed")
        free = self.claimed
        for step in self.steps:
            lines.append(f"{step.left - self.triggered:7.2f}  +{step.left - free:.2f}  {step.name} left")
            for what, moment in sorted(step.ends.items(), key=lambda end: end[1]):
                lines.append(f"{moment - self.triggered:7.2f}         {what}")
            free = step.end
        lines.append(f"{self.closed - self.triggered:7.2f}  +{self.closed - free:.2f}  settled")
        lines.append(
            f"         overhead {self.overhead:.2f} s of {self.closed - self.claimed:.1f} s "
            f"({self.share:.1%}); from the trigger {self.from_trigger:.2f} s"
        )
        return lines


def scenario() -> Scenario:
    """Return a balanced start, so that nothing moves before the bench trades."""
    stocks = {symbol: Holding(Decimal(500), Decimal(500)) for symbol in ("AAPL", "TSLA")}
    return Scenario(stocks=stocks, usdc=Holding(Decimal(50_000), Decimal(50_000)))


TRADES: Final = (
    Shift("AAPL", Decimal(400), Side.ONCHAIN),
    Shift("TSLA", Decimal(400), Side.OFFCHAIN),
)
"""A mint and a redemption, in every round."""
ROUNDS: Final = 4
"""USDC crosses twice each way: first with nothing to learn from, then with one former time."""


@dataclass
class Ground:
    """A local world with an Airflow in it, whose operations are measured."""

    ballast: LocalBallast
    nodes: Nodes
    outside: Outside

    @classmethod
    def start(cls, stack: ExitStack, name: str, times: Times) -> Ground:
        """Start everything; the stack ends it.

        :param name: `OURS`, or `AIRFLOWS` for an Airflow that is only told where things are.
        """
        home = RUN / "bench" / ("ours" if name == OURS else "defaults")
        extra = dict(SHIPPED_WAITS) if name == OURS else {**SHIPPED_WAITS, **_defaults(ROOT)}
        tell = Progress()
        ballast = stack.enter_context(
            LocalBallast(home, lambda text: tell(f"{name}: {text}"), scenario(), extra=extra)
        )
        _allow(ballast)
        ballast.world.broker.core.latencies = times.latencies()
        assert ballast.world.attestation is not None
        ballast.world.attestation.change(times.attestation())
        for network, seconds in times.blocks.items():
            with Rpc(getattr(ballast.world, f"{network}_url")) as rpc:
                rpc.request("evm_setIntervalMining", int(seconds))
        nodes = stack.enter_context(Nodes(ballast.world))
        ground = cls(ballast, nodes, Outside(ballast.world, nodes, ballast.ledger))
        ballast.unpause()
        ballast.airflow.wait_until(ground._is_idle, "over with its first check")
        return ground

    def _is_idle(self) -> bool:
        try:
            runs = self.ballast.runs()
        except httpx.TimeoutException:  # a busy machine
            return False
        return bool(runs) and all(run["state"] not in ("queued", "running") for run in runs)

    def round(self, number: int) -> list[Measured]:
        """Trade, trigger a check, wait until all is settled, and return what it took.

        USDC goes to Base in the first round, back in the second, and so on.
        """
        source = Side.OFFCHAIN if number % 2 else Side.ONCHAIN
        for trade in (*TRADES, Shift(USDC, Decimal(40_000), source)):
            self.ballast.world.shift(trade)
        before = {operation.id for operation in self.ballast.ledger.operations()}
        with self.ballast.airflow.client() as client:
            triggered = time.time()
            client.post(f"/api/v2/dags/{DAG_ID}/dagRuns", json={"logical_date": None}).raise_for_status()
        self.ballast.airflow.wait_until(lambda: self._settled(before), "settled", timeout=400)
        self.ballast.airflow.wait_until(self._is_idle, "over with its run", timeout=60)
        return [
            Measured(operation, triggered, self.outside.steps(operation))
            for operation in self.ballast.ledger.operations()
            if operation.id not in before
        ]

    def _settled(self, before: set[str]) -> bool:
        new = [one for one in self.ballast.ledger.operations() if one.id not in before]
        assert not any(one.status is OperationStatus.CANCELLED for one in new), [one.outcome for one in new]
        return len(new) == len(TRADES) + 1 and all(one.status is OperationStatus.SETTLED for one in new)

    def held(self) -> list[float]:
        """Return the seconds for which each process of a task had a worker."""
        log = (self.ballast.home / "airflow" / "scheduler.log").read_text(errors="replace")
        return [
            float(found) for found in re.findall(r"Workload finished.*?duration[^0-9]{1,12}([0-9.]+)", log)
        ]


SHIPPED_WAITS: Final = {
    # An hour, so that nothing but the bench starts a check.
    "BALLAST_REBALANCING_CHECK_INTERVAL": "1h",
    # Left empty they are what the project ships, instead of what suits a quick world.
    "BALLAST_ETHEREUM_CONFIRMATIONS": "",
    "BALLAST_BASE_CONFIRMATIONS": "",
    **{
        f"BALLAST_{wait}_POLL": ""
        for wait in ("MINT", "REDEMPTION", "WITHDRAWAL", "ATTESTATION", "DEPOSIT", "RECEIPT")
    },
}


def _defaults(root: Path) -> dict[str, str]:
    """Return what makes `scripts.local_airflow` an Airflow as it comes: no preloading, its own intervals."""
    return {
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1",
        "PYTHONPATH": f"{root}:{root / 'plugins'}",
    }


def _allow(ballast: LocalBallast) -> None:
    """Grant Circle's allowance on both chains, which an operation does once in a wallet's life."""
    world = ballast.world
    for url, contracts in (
        (world.ethereum_url, world.deployment.ethereum),
        (world.base_url, world.deployment.base),
    ):
        grant = calldata("approve(address,uint256)", [contracts.token_messenger, 2**256 - 1])
        with Rpc(url) as rpc:
            rpc.send(world.maker.address, contracts.usdc, grant)


SHOWN: Final = {
    "share": ("as a part of the whole", "of 1"),
    "overhead": ("from the claim on", "s"),
    "from_trigger": ("from the trigger of the check on", "s"),
}
"""What is told of an operation: the property of `Measured`, its words and its unit."""


@dataclass(frozen=True)
class Found:
    """What was measured in one world.

    :param held: the seconds for which each process of a task had a worker.
    """

    operations: list[Measured]
    held: list[float]

    def of(self, kind: OperationKind) -> list[Measured]:
        """Return the operations of a kind, in the order in which they were opened."""
        return [one for one in self.operations if one.operation.kind is kind]

    @property
    def held_each(self) -> float:
        """The seconds of a worker that an operation took, its share of the checks included."""
        return sum(self.held) / len(self.operations)

    @property
    def held_least(self) -> float:
        """The seconds of a task with nothing to do, as three claims of each check: the quickest tenth."""
        return sorted(self.held)[len(self.held) // 10]


def measure(times: Times, rounds: int, names: tuple[str, ...]) -> dict[str, Found]:
    """Measure every kind, in as many worlds as there are names, side by side."""
    # The worlds end before the threads are waited for: a round without Airflow ends by an error.
    with ThreadPoolExecutor(len(names)) as threads, ExitStack() as stack:
        # Started one after another and by the main thread, with which the nodes end.
        grounds = {name: Ground.start(stack, name, times) for name in names}
        running = {name: threads.submit(_rounds, ground, rounds) for name, ground in grounds.items()}
        return {name: Found(running[name].result(), ground.held()) for name, ground in grounds.items()}


def _rounds(ground: Ground, rounds: int) -> list[Measured]:
    return [one for number in range(rounds) for one in ground.round(number)]


def figures(found: dict[str, Found], *, judged: bool) -> list[Figure]:
    """Return the figures, each beside what Airflow's own settings gave in the same run.

    :param judged: whether the latencies were such that the goals mean something.
    """
    ours, theirs = found[OURS], found.get(AIRFLOWS)
    made = []
    for kind in OperationKind:
        goals = {"share": "<= 0.08"} if kind.moves_usdc else {"overhead": "<= 5"}
        for what, (words, unit) in SHOWN.items():
            beside = None if theirs is None else statistics.median(_values(theirs.of(kind), what))
            made.append(
                Figure.of(
                    f"{kind}: overhead {words}",
                    _values(ours.of(kind), what),
                    unit,
                    goal=goals.get(what, "") if judged else "",
                    compared_with="" if beside is None else f"{AIRFLOWS}: {beside:.3g}",
                )
            )
    return [
        *made,
        _held("a worker held, each operation", "held_each", ours, theirs),
        _held(
            "a worker held by a task that has nothing to do: its start, mostly", "held_least", ours, theirs
        ),
    ]


def _held(name: str, what: str, ours: Found, theirs: Found | None) -> Figure:
    beside = "" if theirs is None else f"{AIRFLOWS}: {getattr(theirs, what):.3g}"
    return Figure(name, getattr(ours, what), "s", compared_with=beside)


def _values(operations: list[Measured], what: str) -> list[float]:
    return [getattr(one, what) for one in operations]


def run(quick: bool) -> list[Figure]:
    """Measure; the quick form has short latencies, one round, and only the settings shipped here."""
    if quick:
        return figures(measure(SHORT, 1, (OURS,)), judged=False)
    return figures(measure(REAL, ROUNDS, (OURS, AIRFLOWS)), judged=True)


def main() -> int:
    """Run it alone, and print a timeline of every operation."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead")
    parser.add_argument("--quick", action="store_true", help="short latencies")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--only", choices=["ours", "defaults"])
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    names = {"ours": (OURS,), "defaults": (AIRFLOWS,), None: (OURS, AIRFLOWS)}[options.only]
    found = measure(SHORT if options.quick else REAL, options.rounds, names)
    for name, world in found.items():
        print(f"\n== {name}: {len(world.held)} processes held a worker, the longest {max(world.held):.1f} s")
        for one in world.operations:
            print("\n".join(one.timeline()) + "\n")
    if OURS in found:
        for figure in figures(found, judged=not options.quick):
            print(f"{figure.name}: {figure.value:.3g} {figure.unit} {figure.goal} {figure.compared_with}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
