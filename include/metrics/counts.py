"""What is counted over the whole ledger, by the database: sums of rows that do not change any more."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import Float, String, cast, func, select, type_coerce

from include.domain.operation import Leg
from include.ledger import queries
from include.ledger.alerts import readings, standing
from include.ledger.records import EffectStatus
from include.ledger.schema import (
    CheckRow,
    EffectRow,
    InterventionRow,
    LegRow,
    NonceRow,
    OperationRow,
    TellingRow,
)

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute, Session

    from include.ledger.alerts import Alert, Reading

FEES = {Leg.BRIDGE: "bridge", Leg.WITHDRAW: "withdrawal"}


@dataclass(frozen=True, slots=True)
class Counts:
    """What the ledger adds up to. Sums are floats: they are drawn, and nothing is decided by them.

    :param closed: by kind and status.
    :param delivered: by kind and asset, in shares or USDC.
    :param fees: by fee, in USDC.
    :param gas: by chain id, in ETH.
    :param untold: by notifier, what it did not take when it was told last.
    """

    checks: dict[str, int] = field(default_factory=dict)
    closed: dict[tuple[str, str], int] = field(default_factory=dict)
    delivered: dict[tuple[str, str], float] = field(default_factory=dict)
    interventions: dict[str, int] = field(default_factory=dict)
    fees: dict[str, float] = field(default_factory=dict)
    gas: dict[int, float] = field(default_factory=dict)
    unknown: int = 0
    alerts: tuple[Alert, ...] = ()
    readings: dict[str, Reading] = field(default_factory=dict)
    untold: dict[str, int] = field(default_factory=dict)


def count(session: Session) -> Counts:
    """Return what the ledger adds up to, with a number of statements that does not depend on how much."""
    checks = session.execute(select(CheckRow.mode, func.count()).group_by(CheckRow.mode))
    closed, delivered = _closed(session)
    interventions = session.execute(select(InterventionRow.verb, func.count()).group_by(InterventionRow.verb))
    unknown = session.scalar(
        select(func.count())
        .select_from(EffectRow)
        .join(OperationRow, OperationRow.id == EffectRow.operation_id)
        .where(queries.OPEN, EffectRow.status == EffectStatus.UNKNOWN.value)
    )
    untold = session.execute(
        select(TellingRow.notifier, func.count()).where(TellingRow.failures > 0).group_by(TellingRow.notifier)
    )
    return Counts(
        checks={mode: number for mode, number in checks},
        closed=closed,
        delivered=delivered,
        interventions={verb: number for verb, number in interventions},
        fees=_fees(session),
        gas=_gas(session),
        unknown=unknown or 0,
        alerts=tuple(standing(session)),
        readings=readings(session),
        untold={notifier: number for notifier, number in untold},
    )


def _number(column: InstrumentedAttribute[int | None]) -> ColumnElement[float]:
    """Read base units, which are kept as text, as a number that the database can add."""
    return cast(type_coerce(column, String), Float)


def _closed(
    session: Session,
) -> tuple[dict[tuple[str, str], int], dict[tuple[str, str], float]]:
    rows = session.execute(
        select(
            OperationRow.kind,
            OperationRow.status,
            OperationRow.asset,
            OperationRow.decimals,
            func.count(),
            func.sum(_number(OperationRow.delivered)),
        )
        .where(~queries.OPEN)
        .group_by(OperationRow.kind, OperationRow.status, OperationRow.asset, OperationRow.decimals)
    )
    closed: dict[tuple[str, str], int] = {}
    delivered: dict[tuple[str, str], float] = {}
    for kind, status, asset, decimals, number, units in rows:
        closed[kind, status] = closed.get((kind, status), 0) + number
        if units:
            delivered[kind, asset] = delivered.get((kind, asset), 0.0) + units / 10**decimals
    return closed, delivered


def _fees(session: Session) -> dict[str, float]:
    """Return what was kept of USDC between the start and the end of legs that are done."""
    kept = _number(LegRow.amount_in) - _number(LegRow.amount_out)
    rows = session.execute(
        select(LegRow.name, OperationRow.decimals, func.sum(kept))
        .join(OperationRow, OperationRow.id == LegRow.operation_id)
        .where(LegRow.name.in_([leg.value for leg in FEES]), LegRow.done_at.is_not(None))
        .group_by(LegRow.name, OperationRow.decimals)
    )
    return {FEES[Leg(name)]: units / 10**decimals for name, decimals, units in rows if units is not None}


def _gas(session: Session) -> dict[int, float]:
    rows = session.execute(
        select(NonceRow.chain_id, func.sum(_number(EffectRow.gas_paid)))
        .join(EffectRow, EffectRow.id == NonceRow.effect_id)
        .group_by(NonceRow.chain_id)
    )
    return {chain_id: wei / 10**18 for chain_id, wei in rows if wei is not None}
