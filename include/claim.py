"""From planned to open: before the claim nothing is promised, after it nothing is forgotten."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from include.check import Switch
from include.domain.amounts import plain, to_base_units
from include.domain.plan import plan
from include.ledger.ledger import AssetClaimed, SnapshotOutdated

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from include.domain.decision import PlannedOperation
    from include.domain.operation import OperationKind
    from include.ledger.ledger import Ledger
    from include.ledger.records import Operation
    from include.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Assignment:
    """An operation that a run is to push, as it is handed to the run's tasks."""

    operation_id: str
    asset: str
    label: str

    @classmethod
    def of(cls, operation: Operation) -> Assignment:
        """Name an operation for people."""
        unit = "USDC" if operation.kind.moves_usdc else f"{operation.asset} shares"
        return cls(operation.id, operation.asset, f"{plain(operation.quantity)} {unit}")

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
    now: datetime,
) -> list[Assignment]:
    """Open what a check planned of one kind, adopt what dead runs left open, and hand out both.

    Running it again hands out the same again.

    :param is_running: tells whether a run may still push its operations.
    """
    if switch is not Switch.HALT:
        _adopt(ledger, kind, run_id, is_running)
    if switch is Switch.RUN:
        _open_planned(ledger, settings, kind, check_id=check_id, run_id=run_id, now=now)
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
    ledger: Ledger, settings: Settings, kind: OperationKind, *, check_id: str, run_id: str, now: datetime
) -> None:
    planned = {
        decision.asset
        for decision in ledger.decisions(check_id)
        if decision.operation is not None and decision.operation.kind is kind
    }
    if not planned:
        return
    # Planned again with what is open, settled and allowed by now: what is still planned is still right.
    snapshot = ledger.snapshot(check_id)
    decisions = plan(
        snapshot,
        settings.policy(may_start=True, selected=frozenset(planned)),
        ledger.open_operations(),
        settled=ledger.settled(),
        now=now,
    )
    for decision in decisions:
        if decision.operation is not None:
            _open(ledger, decision.operation, check_id=check_id, run_id=run_id, taken_at=snapshot.taken_at)
        elif decision.asset in planned:
            log.info("%s is not moved after all: %s: %s", decision.asset, decision.reason, decision.detail)


def _open(
    ledger: Ledger, operation: PlannedOperation, *, check_id: str, run_id: str, taken_at: datetime
) -> None:
    kind = operation.kind
    try:
        opened = ledger.claim(
            kind=kind,
            asset=operation.asset,
            amount=to_base_units(operation.amount, kind.decimals),
            decimals=kind.decimals,
            check_id=check_id,
            run_id=run_id,
            taken_at=taken_at,
        )
    except (AssetClaimed, SnapshotOutdated) as refused:
        log.info("%s %s is not opened: %s", kind, operation.asset, refused)
    else:
        log.info("operation %s is opened: %s %s", opened.id, kind, operation.asset)
