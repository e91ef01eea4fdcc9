"""From a trade that breaks an asset's band to the first thing done about it.

    python -m benchmarks reaction

A real Airflow with the settings that the project ships, in a local world. A trade is over when both of its
sides are; the first effect is when the broker has a mint's request, or a node's pool a redemption's
transaction. First the balances are followed; then the triggerer is stopped, and the schedule is alone.

Airflow's database is PostgreSQL where that is installed, as is advised once money moves. Over SQLite Airflow
starts a run only once the next whole second has begun.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from contextlib import ExitStack
from decimal import Decimal
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.figure import Figure
from benchmarks.outside import Nodes
from include.domain.operation import OperationKind
from include.ledger.ledger import utc_now
from include.sandbox.scenario import SCENARIOS, Shift, Side
from scripts.local_ballast import RUN, LocalBallast
from scripts.progress import Progress
from scripts.servers import Postgres, of_airflow
from tests.support.postgres import binaries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.ledger.records import Operation

NAME: Final = "reaction"
INTERVAL: Final = 60
"""Seconds between two checks of the schedule: its default."""
QUANTITY: Final = Decimal(35)
"""Of 100 shares, half of them onchain; the band is 20 to 80."""
PATIENCE: Final = 300.0


class Bench:
    """Trades in a running Ballast, and sees when something is done about it."""

    def __init__(self, ballast: LocalBallast, nodes: Nodes) -> None:
        self._ballast = ballast
        self._nodes = nodes
        self._trades = self._next()
        self._random = random.Random(11)

    @staticmethod
    def _next() -> Iterator[Shift]:
        """Yield a trade of each stock in turn, now out of one side of its band and now out of the other."""
        sides = cycle(Side)
        for symbol in cycle(SCENARIOS["balanced"].stocks):
            yield Shift(symbol, QUANTITY, next(sides))

    def trade(self) -> tuple[float, Operation]:
        """Trade once, and return the seconds to the first effect, and the operation."""
        shift = next(self._trades)
        known = {operation.id for operation in self._ballast.ledger.operations()}
        # Anywhere between two looks of whoever looks.
        time.sleep(self._random.random() * 2)
        self._ballast.world.shift(shift)
        traded = time.time()

        def settled() -> list[Operation]:
            return [
                one
                for one in self._ballast.ledger.operations()
                if one.id not in known and one.asset == shift.asset and not one.status.is_open
            ]

        self._ballast.airflow.wait_until(settled, f"settled: {shift}", PATIENCE)
        [operation] = settled()
        return self._first_effect(operation) - traded, operation

    def _first_effect(self, operation: Operation) -> float:
        """Return when the first effect arrived, as those saw it who took it."""
        effect = self._ballast.ledger.effects(operation.id)[0]
        reference = effect.reference or ""
        if operation.kind is OperationKind.MINT:
            core = self._ballast.world.broker.core
            with core.lock:
                return core.state.requests[reference].created_at.timestamp()
        return self._nodes.transactions[reference]

    def run_of(self, operation: Operation) -> Any:
        """Return the kind of the run that an operation was opened by."""
        path = f"/api/v2/dags/rebalancing/dagRuns/{operation.run_id}"
        with self._ballast.airflow.client() as client:
            return client.get(path).raise_for_status().json()["run_type"]

    def until_watched(self) -> None:
        """Trade until a trade is seen: Airflow begins to watch when it reads the DAG again."""
        for _ in range(5):
            seconds, operation = self.trade()
            if self.run_of(operation) == "asset_triggered":
                return
        raise TimeoutError(f"nobody watches the balances; the last trade took {seconds:.1f} s")


def run(quick: bool) -> list[Figure]:
    """Measure both, and compare."""
    settings = {
        "BALLAST_REBALANCING_REACTION": "true",
        "BALLAST_REBALANCING_CHECK_INTERVAL": f"{INTERVAL}s",
        # No leg is deferred while there is no triggerer. It comes after the first effect.
        "BALLAST_WORKER_PATIENCE": "120s",
    }
    over = "SQLite"
    with ExitStack() as stack:
        if binaries() is not None:
            over, folder = "PostgreSQL", stack.enter_context(tempfile.TemporaryDirectory())
            postgres = stack.enter_context(Postgres(Path(folder) / "postgres.log"))
            settings |= of_airflow(postgres.create("airflow"))
        home = RUN / "bench-reaction"
        ballast = stack.enter_context(LocalBallast(home, Progress(), SCENARIOS["balanced"], extra=settings))
        with Nodes(ballast.world) as nodes:
            ballast.unpause()
            ballast.airflow.wait_until(lambda: ballast.ledger.snapshot_before(utc_now()), "looked at once")
            bench = Bench(ballast, nodes)
            bench.until_watched()
            followed = [bench.trade()[0] for _ in range(5 if quick else 12)]
            ballast.airflow.stop(["triggerer"])
            alone = [bench.trade()[0] for _ in range(2)]
        violations = ballast.world.conservation()
    if violations:
        raise RuntimeError(f"money is missing or too much: {violations}")
    sys.stdout.write(f"followed: {_shown(followed)}\nalone: {_shown(alone)}\n")
    scheduled = Figure.of(f"the same, by a schedule of {INTERVAL} s alone", alone, "s")
    return [
        Figure.of(
            "trade to first effect",
            followed,
            "s",
            goal="<= 3",
            compared_with=f"the schedule alone: {scheduled.value:.0f} s; Airflow over {over}",
        ),
        scheduled,
    ]


def _shown(seconds: list[float]) -> str:
    return ", ".join(f"{one:.1f}" for one in seconds)
