"""From planned to open: before the claim nothing is promised, after it nothing is forgotten."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from include import costs, gate
from include.check import Switch
from include.domain.amounts import to_base_units
from include.domain.cost import Quote
from include.domain.limits import midnight
from include.domain.plan import NOTHING_HELD, plan, to_ask
from include.ledger.ledger import AssetClaimed, DailyLimitReached, SnapshotOutdated
from include.legs.route import Terms, approval_until, legs_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from include.domain.cost import Estimate
    from include.domain.decision import PlannedOperation
    from include.domain.limits import Hold
    from include.domain.operation import OperationKind
    from include.domain.policy import Policy
    from include.ledger.ledger import Ledger
    from include.ledger.records import Operation
    from include.settings import Settings

log = logging.getLogger(__name__)

UNASKED: Final = Quote(missing=("the check did not ask for prices",))


@dataclass(frozen=True, slots=True)
class Assignment:
    """An operation that a run is to push, as it is handed to the run's tasks."""

    operation_id: str
    asset: str
    label: str

    @classmethod
    def of(cls, operation: Operation) -> Assignment:
        """Name an operation for people."""
        return cls(operation.id, operation.asset, operation.label)

    def to_dict(self) -> dict[str, str]:
        """Return the JSON form."""
        return asdict(self)


def claim(
    ledger: Ledger,
    settings: Settings,
    kind: OperationKind,
    *,
    check_id: str,
    run_id: str,
    switch: Switch,
    is_running: Callable[[str], bool],
    hold: Hold = NOTHING_HELD,
    ask: gate.Ask = gate.ask,
    now: datetime,
) -> list[Assignment]:
    """Open what a check planned of one kind, adopt what dead runs left open, and hand out both.

    Running it again hands out the same again.

    :param is_running: tells whether a run may still push its operations.
    :param hold: the assets that people hold back by now.
    :param ask: asks the gate once more about what is to be opened.
    """
    if switch is not Switch.HALT:
        _adopt(ledger, kind, run_id, is_running)
    if switch is Switch.RUN:
        _open_planned(ledger, settings, kind, check_id=check_id, run_id=run_id, hold=hold, ask=ask, now=now)
    mine = [
        operation for operation in ledger.operations(only_open=True, kind=kind) if operation.run_id == run_id
    ]
    return [Assignment.of(operation) for operation in mine]


def _adopt(ledger: Ledger, kind: OperationKind, run_id: str, is_running: Callable[[str], bool]) -> None:
    for operation in ledger.operations(only_open=True, kind=kind):
        if operation.run_id == run_id or is_running(operation.run_id):
            continue
        if ledger.adopt(operation, run_id):
            log.warning("operation %s is adopted from %s, which is over", operation.id, operation.run_id)


def _open_planned(
    ledger: Ledger,
    settings: Settings,
    kind: OperationKind,
    *,
    check_id: str,
    run_id: str,
    hold: Hold,
    ask: gate.Ask,
    now: datetime,
) -> None:
    recorded = {
        decision.asset: decision
        for decision in ledger.decisions(check_id)
        if decision.operation is not None and decision.operation.kind is kind
    }
    planned = {asset: decision.operation for asset, decision in recorded.items()}
    if not planned:
        return
    # Planned again with what is open, settled, moved and allowed by now: what is still planned is right.
    snapshot = ledger.snapshot(check_id)
    policy = settings.policy(may_start=True, selected=frozenset(planned))
    open_operations, settled = ledger.open_operations(), ledger.settled()
    moved_today = ledger.moved_since(midnight(now))
    # What a person asked for is what the check recorded, whatever the run's parameters say by now.
    asked = next((decision.asked for decision in recorded.values() if decision.asked), None)
    if asked is not None:
        asked = replace(asked, begun_as=ledger.begun_in(run_id))
    decide = partial(
        plan,
        snapshot,
        policy,
        open_operations,
        asked=asked,
        settled=settled,
        moved_today=moved_today,
        hold=hold,
        now=now,
    )
    decisions = decide()
    if shut := ask(settings, to_ask(decisions)):
        decisions = decide(shut=shut)
    for decision in decisions:
        asset, found, wanted = decision.asset, decision.operation, planned.get(decision.asset)
        if wanted is None:
            continue
        if found is not None and found.kind is kind:
            # Never more than the check recorded: that shared out the day among all kinds.
            operation = replace(found, amount=min(found.amount, wanted.amount))
            priced = recorded[asset].estimate
            # Weighed again by the prices of the check: what is cut costs more for each USDC.
            estimate, dear = costs.weigh(
                settings,
                ledger,
                snapshot,
                decision,
                operation=operation,
                quote=UNASKED if priced is None else priced.quote,
                now=now,
            )
            if dear is not None:
                log.info("%s is not moved after all: %s: %s", asset, dear.reason, dear.why)
                continue
            _open(
                ledger,
                settings,
                operation,
                policy,
                check_id=check_id,
                run_id=run_id,
                taken_at=snapshot.taken_at,
                now=now,
                estimate=None if priced is None else estimate,
            )
        else:
            log.info("%s is not moved after all: %s: %s", asset, decision.reason, decision.detail)


def _open(
    ledger: Ledger,
    settings: Settings,
    operation: PlannedOperation,
    policy: Policy,
    *,
    check_id: str,
    run_id: str,
    taken_at: datetime,
    now: datetime,
    estimate: Estimate | None,
) -> None:
    kind, asset = operation.kind, settings.asset(operation.asset)
    terms = Terms.of(settings, operation.asset, approve_until=approval_until(asset, operation.amount, now))
    try:
        opened = ledger.claim(
            kind=kind,
            asset=operation.asset,
            amount=to_base_units(operation.amount, kind.decimals),
            decimals=kind.decimals,
            check_id=check_id,
            run_id=run_id,
            taken_at=taken_at,
            daily=policy.daily,
            legs=legs_of(kind, asset, settings.dollars),
            notes={"terms": terms.to_dict()},
            estimate=None if estimate is None else estimate.to_dict(),
        )
    except (AssetClaimed, SnapshotOutdated, DailyLimitReached) as refused:
        log.info("%s %s is not opened: %s", kind, operation.asset, refused)
    else:
        log.info("operation %s is opened: %s %s", opened.id, kind, operation.asset)
