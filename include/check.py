"""One look: snapshot, imbalances, plan. It records what it saw and decided, and changes nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from include import snapshot
from include.domain.operation import OpenOperation, Settled
from include.domain.plan import plan
from include.ledger.ledger import new_id
from include.ledger.records import CheckMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from include.book import Venues
    from include.domain.inventory import Snapshot
    from include.domain.plan import Decision
    from include.ledger.ledger import Ledger
    from include.ledger.records import Operation
    from include.settings import Settings


class Switch(StrEnum):
    """What people allow the running system to do."""

    RUN = "run"
    DRAIN = "drain"  # finish and adopt what is open, start nothing
    HALT = "halt"  # nothing goes on, not even what is open

    @classmethod
    def read(cls, value: str | None) -> Switch:
        """Read the switch. One that is missing or misspelt starts nothing new.

        A typing error must neither start operations nor stop money that is on its way.
        """
        try:
            return cls((value or "").strip().lower())
        except ValueError:
            return cls.DRAIN


@dataclass(frozen=True, slots=True)
class Run:
    """The run that a check belongs to.

    :param selected: the only assets it may move; None for all.
    :param dry_run: decide everything and move nothing.
    """

    id: str
    dry_run: bool = False
    selected: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """What one check saw and decided."""

    id: str
    mode: CheckMode
    snapshot: Snapshot
    decisions: tuple[Decision, ...]


def check(
    venues: Venues, ledger: Ledger, run: Run, switch: Switch, *, new_id: Callable[[], str] = new_id
) -> Checked:
    """Look at both venues, decide about every asset, and record both."""
    # What is open is read before the balances: an operation that ends in between is still claimed here.
    open_operations, settled = ledger.open_operations(), ledger.settled()
    check_id = new_id()
    taken = snapshot.take(venues, check_id)
    mode = _mode(venues.settings.rebalancing_enabled, run)
    decisions = plan(
        taken,
        venues.settings.policy(
            may_start=switch is Switch.RUN, selected=run.selected, dry_run=mode is CheckMode.DRY_RUN
        ),
        open_operations,
        settled=settled,
        now=venues.now(),
    )
    ledger.record_check(check_id, run.id, mode, taken, decisions)
    return Checked(check_id, mode, taken, decisions)


def _mode(enabled: bool, run: Run) -> CheckMode:
    if run.dry_run:
        return CheckMode.DRY_RUN
    return CheckMode.LIVE if enabled else CheckMode.OBSERVE


def replay(
    ledger: Ledger,
    settings: Settings,
    run: Run,
    moment: datetime,
    *,
    new_id: Callable[[], str] = new_id,
) -> Checked | None:
    """Decide again, with today's settings, on the newest balances recorded up to a moment.

    What was open or settled then counts as it did then. Nothing is planned: what would have been moved is
    proposed. Returns None where no balances were recorded by then.
    """
    recorded = ledger.snapshot_before(moment)
    if recorded is None:
        return None
    check_id = new_id()
    taken = replace(recorded, id=check_id)
    before = [operation for operation in ledger.operations() if operation.opened_at <= taken.taken_at]
    decisions = plan(
        taken,
        settings.policy(may_start=True, selected=run.selected, dry_run=True),
        [
            OpenOperation(operation.id, operation.kind, operation.asset)
            for operation in before
            if operation.closed_at is None or operation.closed_at > taken.taken_at
        ],
        settled=_settled(before, taken.taken_at),
        now=taken.taken_at,
    )
    ledger.record_check(check_id, run.id, CheckMode.REPLAY, taken, decisions)
    return Checked(check_id, CheckMode.REPLAY, taken, decisions)


def _settled(operations: Iterable[Operation], moment: datetime) -> dict[str, Settled]:
    """Return the end of each asset's last operation that was closed up to a moment."""
    found: dict[str, Settled] = {}
    for operation in operations:
        closed_at, asset = operation.closed_at, operation.asset
        if closed_at is None or closed_at > moment:
            continue
        if asset not in found or found[asset].at < closed_at:
            found[asset] = Settled(asset, closed_at, operation.base_block, operation.ethereum_block)
    return found
