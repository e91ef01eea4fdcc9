"""One whole cycle in the local world: imbalances are found, put right by four operations, accounted for.

The last line is for programs; everything before it is for people.
"""

from __future__ import annotations

import re
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from include.domain.amounts import USDC, from_base_units, plain
from include.domain.decision import Reason
from include.domain.inventory import Balance
from include.domain.operation import OperationKind, OperationStatus
from include.ledger.costs import costs_of
from include.ledger.ledger import utc_now
from include.sandbox import codes
from include.sandbox.scenario import DESK, Shift, Side
from scripts.conservation import Books, NotConserved, compared
from scripts.cost_table import cost_table
from scripts.local_airflow import AirflowFailed
from scripts.local_ballast import RUN, LocalBallast
from scripts.progress import Progress

if TYPE_CHECKING:
    from include.domain.decision import Decision
    from include.domain.inventory import Inventory
    from include.ledger.ledger import Ledger
    from include.ledger.records import Operation

PATIENCE_SECONDS = 240
BACK = Shift(USDC, Decimal(4000), Side.OFFCHAIN)
"""Trading that turns the USDC around, once the first transfer has settled and been looked at."""


class DemoFailed(RuntimeError):
    """What the demo is to show did not happen."""


@dataclass
class Demo:
    """Watches the ledger, and trades once in between."""

    ballast: LocalBallast
    tell: Progress
    traded: bool = False

    def __post_init__(self) -> None:
        self._told: dict[str, str] = {}

    @property
    def ledger(self) -> Ledger:
        """The ledger that Airflow's tasks write."""
        return self.ballast.ledger

    def run(self) -> None:
        """Wait until each of the four operations has settled and everything is back in its band.

        :raises DemoFailed: when that does not happen, or an operation does not settle.
        """
        end = time.monotonic() + PATIENCE_SECONDS
        while not self.is_done():
            self.show_news()
            self.trade_back()
            if time.monotonic() > end:
                raise DemoFailed(f"not everything settled in {PATIENCE_SECONDS} s: {self.open_legs()}")
            self.ballast.airflow.wait_until(lambda: True, "running")
            time.sleep(0.5)
        self.show_news()

    def is_done(self) -> bool:
        """Tell whether all kinds have settled and the newest look found nothing to do."""
        operations = self.ledger.operations()
        failed = [one for one in operations if one.status is OperationStatus.CANCELLED]
        if failed:
            raise DemoFailed("; ".join(f"{one.kind} {one.asset}: {one.outcome}" for one in failed))
        if {one.kind for one in operations if not one.status.is_open} != set(OperationKind):
            return False
        newest = self.newest_decisions()
        return bool(newest) and all(one.reason is Reason.BALANCED for one in newest)

    def newest_decisions(self) -> list[Decision]:
        """Return the decisions of the newest check."""
        newest = self.ledger.snapshot_before(utc_now())
        return [] if newest is None else self.ledger.decisions(newest.id)

    def trade_back(self) -> None:
        """Trade the USDC to the other side, when the first transfer has been looked at as settled."""
        if self.traded:
            return
        first = [
            one for one in self.ledger.operations(kind=OperationKind.USDC_ALPACA_TO_BASE) if one.closed_at
        ]
        if first and self.seen_after(first[0]) is not None:
            self.traded = True
            self.ballast.world.shift(BACK)
            self.tell(f"trading: {plain(BACK.amount)} USDC paid out at Alpaca and taken in on Base")

    def seen_after(self, operation: Operation) -> Inventory | None:
        """Return an operation's asset at the first look after it was closed."""
        taken = self.ledger.snapshot_after(operation.closed_at) if operation.closed_at else None
        return None if taken is None else taken.inventories[operation.asset]

    def show_news(self) -> None:
        """Write a line for each operation whose state is not what it was."""
        for operation in self.ledger.operations():
            label = f"{operation.kind:<20} {plain(operation.quantity)} {operation.asset}"
            estimate, _ = costs_of(self.ledger, operation)
            if estimate is not None and operation.id not in self._told:
                self.tell(f"{label:<44} expected to cost {estimate.cost.words()}")
            state = str(operation.status)
            for leg in self.ledger.legs(operation.id):
                if not leg.is_done and operation.status.is_open:
                    state = f"{leg.name}: {without_ids(leg.waiting_for or 'starting')}"
                    break
            if self._told.get(operation.id) != state:
                self._told[operation.id] = state
                self.tell(f"{label:<44} {state}")

    def open_legs(self) -> list[str]:
        """Say what is not finished."""
        return [
            f"{operation.kind} {operation.asset}, {leg.name}: {leg.attention or leg.waiting_for}"
            for operation in self.ledger.operations(only_open=True)
            for leg in self.ledger.legs(operation.id)
            if not leg.is_done
        ] or [f"{one.asset}: {one.detail}" for one in self.newest_decisions()]

    def table(self) -> Table:
        """Show what was moved, by which operation, and what it came to."""
        table = Table(title="What Ballast did (onchain / offchain)", title_justify="left")
        for name in ("asset", "before", "moved", "by", "after", "ratio"):
            table.add_column(name, justify="left" if name in ("asset", "by") else "right", no_wrap=True)
        for operation in self.ledger.operations():
            before = self.ledger.snapshot(operation.check_id).inventories[operation.asset]
            after = self.seen_after(operation)
            moved = from_base_units(operation.delivered or 0, operation.decimals)
            table.add_row(
                operation.asset,
                _sides(before),
                plain(moved),
                operation.kind.value,
                _sides(after),
                f"{_ratio(before)} -> {_ratio(after)}",
            )
        return table

    def transactions(self) -> list[str]:
        """List every transaction and request of every operation."""
        lines = []
        for operation in self.ledger.operations():
            found = [(effect.name, effect.reference) for effect in self.ledger.effects(operation.id)]
            known = {reference for _, reference in found}
            # What somebody else sent for us: the minting transaction, the withdrawal's.
            for leg in self.ledger.legs(operation.id):
                if leg.notes.get("proof") not in known:
                    found.append((f"{leg.name} arrived", leg.notes.get("proof")))
            lines += [
                f"{operation.asset:<5} {operation.kind:<20} {name:<19} {hash_}" for name, hash_ in found
            ]
        return lines

    def summary(self, seconds: int) -> str:
        """Return the last line."""
        settled = Counter(
            one.kind for one in self.ledger.operations() if one.status is OperationStatus.SETTLED
        )
        kinds = " ".join(f"{kind.value}={settled[kind]}" for kind in OperationKind)
        return f"demo: settled={settled.total()} {kinds} conservation=exact seconds={seconds}"


def without_ids(text: str) -> str:
    """Leave hashes and ids out of a line that is read in passing."""
    return re.sub(r" (\(request )?(0x[0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\)?", "", text)


def _sides(inventory: Inventory | None) -> str:
    if inventory is None:
        return "-"
    return " / ".join(
        plain(side.total) if isinstance(side, Balance) else "unread"
        for side in (inventory.onchain, inventory.offchain)
    )


def _ratio(inventory: Inventory | None) -> str:
    ratio = inventory.ratio if inventory is not None else None
    return "-" if ratio is None else f"{ratio:.3f}"


def main() -> int:
    """Run the demo, and end everything it started."""
    tell = Progress()
    home = RUN / "demo"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        feed = codes.create2_address(codes.price_feed_code())
        with LocalBallast(home, tell, DESK, extra={"BALLAST_ETH_PRICE_FEED": feed}) as ballast:
            demo = Demo(ballast, tell)
            before = Books.of(ballast.world)
            ballast.unpause()
            tell(f"the DAG is running; watch it at {ballast.airflow.url}/dags/rebalancing")
            demo.run()
            violations = ballast.world.conservation()
            if violations:
                raise DemoFailed("money is missing or too much: " + "; ".join(violations))
            table, transactions = demo.table(), demo.transactions()
            costs = cost_table(demo.ledger)
            conservation = compared(before, Books.of(ballast.world))
            tell("stopping everything")
    except (DemoFailed, NotConserved, AirflowFailed) as failure:
        sys.stderr.write(f"demo failed: {failure}\nThe logs are in {home / 'airflow'}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("demo: interrupted; everything it started has been ended\n")
        return 130
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table)
    console.print(costs)
    heading = "Conservation, over all places (fees included; a dollar at Alpaca is a USDC here)"
    lines = ["", *transactions, "", heading, *conservation, "", demo.summary(tell.seconds), ""]
    sys.stdout.write("\n".join(lines))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
