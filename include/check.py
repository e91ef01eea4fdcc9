"""One look: snapshot, imbalances, plan. It records what it saw and decided, and changes nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from include import costs, gate, snapshot
from include.domain.limits import REFUSALS_COUNT_FOR, midnight, moved, refusals
from include.domain.operation import OpenOperation, OperationStatus, Settled
from include.domain.plan import NOTHING_HELD, plan, to_ask
from include.ledger.ledger import new_id
from include.ledger.records import CheckMode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from include.book import Venues
    from include.domain.inventory import Snapshot
    from include.domain.limits import Hold
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
    venues: Venues,
    ledger: Ledger,
    run: Run,
    switch: Switch,
    *,
    hold: Hold = NOTHING_HELD,
    ask: gate.Ask = gate.ask,
    read: costs.Read = costs.read,
    new_id: Callable[[], str] = new_id,
) -> Checked:
    """Look at both venues, decide about every asset, and record both.

    :param hold: the assets that people hold back.
    :param ask: asks the gate about what would be moved.
    :param read: reads what it would cost.
    """
    # What is open is read before the balances: an operation that ends in between is still claimed here.
    open_operations, settled = ledger.open_operations(), ledger.settled()
    check_id = new_id()
    taken = snapshot.take(venues, check_id)
    mode = _mode(venues.settings.rebalancing_enabled, run)
    policy = venues.settings.policy(
        may_start=switch is Switch.RUN, selected=run.selected, dry_run=mode is CheckMode.DRY_RUN
    )
    now = venues.now()
    moved_today = ledger.moved_since(midnight(now))
    decide = partial(
        plan, taken, policy, open_operations, settled=settled, moved_today=moved_today, hold=hold, now=now
    )
    decisions = decide()
    if shut := ask(venues.settings, to_ask(decisions)):
        decisions = decide(shut=shut)
    decisions = costs.gate(
        venues, ledger, taken, decisions, lambda over: decide(shut={**shut, **over}), read=read, now=now
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

    What was open, settled or moved then counts as it did then. Neither hold list nor gate is asked: both
    speak of today. Nothing is planned: what would have been moved is proposed. Returns None where no balances
    were recorded by then.
    """
    recorded = ledger.snapshot_before(moment)
    if recorded is None:
        return None
    check_id = new_id()
    taken = replace(recorded, id=check_id)
    before = [
        _as_it_was(operation, taken.taken_at)
        for operation in ledger.operations()
        if operation.opened_at <= taken.taken_at
    ]
    day = midnight(taken.taken_at)
    decisions = plan(
        taken,
        settings.policy(may_start=True, selected=run.selected, dry_run=True),
        [
            OpenOperation(operation.id, operation.kind, operation.asset)
            for operation in before
            if operation.status.is_open
        ],
        settled=_settled(before, taken.taken_at),
        moved_today=moved((one.asset, one.quantity, one.status) for one in before if one.opened_at >= day),
        now=taken.taken_at,
    )
    ledger.record_check(check_id, run.id, CheckMode.REPLAY, taken, decisions)
    return Checked(check_id, CheckMode.REPLAY, taken, decisions)


def _as_it_was(operation: Operation, moment: datetime) -> Operation:
    """Return an operation that was closed after a moment as the open one it was then."""
    if operation.closed_at is None or operation.closed_at <= moment:
        return operation
    return replace(operation, status=OperationStatus.OPEN, closed_at=None)


def _settled(operations: Sequence[Operation], moment: datetime) -> dict[str, Settled]:
    """Return the end of each asset's last operation that was closed up to a moment."""
    closed = [(one.closed_at, one) for one in operations if one.closed_at is not None]
    closed.sort(key=lambda pair: pair[0], reverse=True)
    refused = refusals((one.asset, one.status) for at, one in closed if at >= moment - REFUSALS_COUNT_FOR)
    found: dict[str, Settled] = {}
    for at, one in closed:
        if one.asset not in found:
            count = refused.get(one.asset, 0)
            found[one.asset] = Settled(one.asset, at, one.base_block, one.ethereum_block, count)
    return found
