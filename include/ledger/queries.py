"""What is read from the ledger to be shown: many rows with few statements, and nothing is written.

Every function takes a session of `include.ledger.database.reading`, so that all of one answer is of one
moment. How many statements it makes does not depend on how many rows there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, or_, select

from include.ledger.records import CheckMode, Effect, Intervention, LegState, Operation
from include.ledger.schema import (
    CheckRow,
    DecisionRow,
    EffectRow,
    InterventionRow,
    LegRow,
    OperationRow,
    TransactionRow,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import Session

OPEN = OperationRow.status == "open"
"""Selects the operations that are open."""


@dataclass(frozen=True, slots=True)
class CheckHead:
    """A check without what it saw."""

    id: str
    run_id: str
    mode: CheckMode
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class Case:
    """One operation with all that belongs to it.

    :param signed: by id of the effect, the hash of the last transaction that was signed for it.
    """

    operation: Operation
    legs: tuple[LegState, ...]
    effects: tuple[Effect, ...]
    interventions: tuple[Intervention, ...]
    signed: Mapping[str, str]


def newest_check(session: Session) -> CheckHead | None:
    """Return the newest check that looked at the venues; a replay only looks at the ledger."""
    row = session.execute(
        select(CheckRow.id, CheckRow.run_id, CheckRow.mode, CheckRow.taken_at)
        .where(CheckRow.mode != CheckMode.REPLAY.value)
        .order_by(CheckRow.taken_at.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else CheckHead(row.id, row.run_id, CheckMode(row.mode), row.taken_at)


def inventories(session: Session, check_id: str) -> dict[str, Any]:
    """Return what a check saw of each asset, in the JSON form of an `Inventory`."""
    found: dict[str, Any] = session.scalars(select(CheckRow.snapshot).where(CheckRow.id == check_id)).one()[
        "inventories"
    ]
    return found


def decisions(session: Session, check_id: str) -> dict[str, dict[str, Any]]:
    """Return what a check decided, by asset, in the JSON form of a `Decision`."""
    rows = session.execute(
        select(DecisionRow.asset, DecisionRow.decision).where(DecisionRow.check_id == check_id)
    )
    return {asset: decision for asset, decision in rows}


def check_times(session: Session, since: datetime) -> list[tuple[str, datetime]]:
    """Return id and time of the checks that looked at the venues from a moment on, oldest first."""
    rows = session.execute(
        select(CheckRow.id, CheckRow.taken_at)
        .where(CheckRow.taken_at >= since, CheckRow.mode != CheckMode.REPLAY.value)
        .order_by(CheckRow.taken_at)
    )
    return [(check_id, taken_at) for check_id, taken_at in rows]


def inventories_of(
    session: Session, asset: str, check_ids: Collection[str]
) -> dict[str, dict[str, Any] | None]:
    """Return what checks saw of one asset, by check; None where a check did not look at it."""
    rows = session.execute(
        select(CheckRow.id, CheckRow.snapshot["inventories"][asset]).where(CheckRow.id.in_(check_ids))
    )
    return {check_id: inventory for check_id, inventory in rows}


def operations_since(session: Session, moment: datetime, asset: str | None = None) -> list[Operation]:
    """Return the operations that were opened or closed from a moment on, oldest first."""
    query = select(OperationRow).where(
        or_(OperationRow.opened_at >= moment, OperationRow.closed_at >= moment, OPEN)
    )
    if asset is not None:
        query = query.where(OperationRow.asset == asset)
    rows = session.scalars(query.order_by(OperationRow.opened_at, OperationRow.id))
    return [Operation.of(row) for row in rows]


def newest_operations(
    session: Session, limit: int, *, before: tuple[datetime, str] | None = None, asset: str | None = None
) -> list[Operation]:
    """Return operations, newest first.

    :param before: when the last one known already was opened, and its id.
    :param asset: only of this asset.
    """
    query = select(OperationRow).order_by(OperationRow.opened_at.desc(), OperationRow.id.desc()).limit(limit)
    if before is not None:
        moment, known = before
        query = query.where(
            or_(
                OperationRow.opened_at < moment,
                and_(OperationRow.opened_at == moment, OperationRow.id < known),
            )
        )
    if asset is not None:
        query = query.where(OperationRow.asset == asset)
    return [Operation.of(row) for row in session.scalars(query)]


def select_operations(session: Session, which: ColumnElement[bool]) -> list[Operation]:
    """Return the operations that a condition selects, oldest first."""
    rows = session.scalars(
        select(OperationRow).where(which).order_by(OperationRow.opened_at, OperationRow.id)
    )
    return [Operation.of(row) for row in rows]


def named(operation_id: str) -> ColumnElement[bool]:
    """Select one operation."""
    return OperationRow.id == operation_id


def cases(session: Session, operations: Iterable[Operation]) -> list[Case]:
    """Return operations with all that belongs to them, in the same order."""
    wanted = {operation.id: operation for operation in operations}
    if not wanted:
        return []
    legs: dict[str, list[LegState]] = {}
    for leg in session.scalars(
        select(LegRow).where(LegRow.operation_id.in_(wanted)).order_by(LegRow.position)
    ):
        legs.setdefault(leg.operation_id, []).append(LegState.of(leg))
    effects: dict[str, list[Effect]] = {}
    for effect in session.scalars(
        select(EffectRow)
        .where(EffectRow.operation_id.in_(wanted))
        .order_by(EffectRow.intended_at, EffectRow.id)
    ):
        effects.setdefault(effect.operation_id, []).append(Effect.of(effect))
    interventions: dict[str, list[Intervention]] = {}
    for done in session.scalars(
        select(InterventionRow)
        .where(InterventionRow.operation_id.in_(wanted))
        .order_by(InterventionRow.at, InterventionRow.id)
    ):
        interventions.setdefault(done.operation_id, []).append(Intervention.of(done))
    signed: dict[str, dict[str, str]] = {}
    for operation_id, effect_id, tx_hash in session.execute(
        select(EffectRow.operation_id, EffectRow.id, TransactionRow.hash)
        .join(TransactionRow, TransactionRow.effect_id == EffectRow.id)
        .where(EffectRow.operation_id.in_(wanted))
        .order_by(TransactionRow.signed_at)
    ):
        signed.setdefault(operation_id, {})[effect_id] = tx_hash
    return [
        Case(
            operation,
            tuple(legs.get(operation.id, ())),
            tuple(effects.get(operation.id, ())),
            tuple(interventions.get(operation.id, ())),
            signed.get(operation.id, {}),
        )
        for operation in wanted.values()
    ]
