"""Reads from the ledger what alerts are about, with few statements however much there is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sqlalchemy import func, select

from include.alerts.detect import ETH_DECIMALS
from include.alerts.kinds import Kind
from include.alerts.state import Books, LostEffect, OpenLeg, Rules, Unread, Verdict
from include.book import Network
from include.domain.amounts import parse, plain, to_base_units
from include.domain.decision import Reason
from include.ledger import queries
from include.ledger.alerts import readings, standing
from include.ledger.costs import waited
from include.ledger.database import reading
from include.ledger.records import CheckMode, EffectStatus, LegState, Operation, Verb
from include.ledger.schema import (
    CheckRow,
    DecisionRow,
    EffectRow,
    InterventionRow,
    LegRow,
    NonceRow,
    OperationRow,
)
from include.legs.approval import approval_from

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal

    from sqlalchemy.orm import Session

    from include.ledger.ledger import Ledger
    from include.settings import Settings

READINGS_LAST: Final = 3
"""So many intervals a reading of a chain is believed."""
REPORT: Final = "report"


def rules(settings: Settings) -> Rules:
    """Return what is set about alerts."""
    least = {
        Network.ETHEREUM: settings.ethereum_min_gas_eth,
        Network.BASE: settings.base_min_gas_eth,
    }
    return Rules(
        check_interval=settings.rebalancing_check_interval,
        missed_checks=settings.alert_missed_checks,
        cost_after=settings.alert_cost_after,
        gas={
            network.value: int(to_base_units(eth, ETH_DECIMALS) * settings.alert_gas_factor)
            for network, eth in least.items()
        },
        readings_last=settings.alert_chain_interval * READINGS_LAST,
        reports_stray=settings.stray_tokens == REPORT,
    )


def read_books(ledger: Ledger, settings: Settings, now: datetime) -> Books:
    """Return what the ledger says now."""
    with reading(ledger.engine) as session:
        head = queries.newest_check(session)
        verdicts = {} if head is None else _verdicts(session, head)
        known = Books(
            legs=_legs(session),
            lost=_lost(session),
            checked_at=None if head is None else head.taken_at,
            unread=_unread(session, settings.alert_missed_checks),
            over_daily_limit=verdicts.get(Reason.OVER_DAILY_LIMIT, ()),
            costly=(),
            stray={} if head is None else _stray(session, settings, head.id),
            seen_at=None if head is None else head.taken_at,
            known_nonces=_known_nonces(session, settings),
            readings=readings(session),
            late_runs={
                one.key.partition(":")[2]: one.since
                for one in standing(session)
                if one.kind == Kind.RUN_OVERDUE
            },
        )
    costly = verdicts.get(Reason.OVER_COST_BUDGET, ())
    return _with_waits(known, costly, ledger, settings, now) if costly else known


def _legs(session: Session) -> tuple[OpenLeg, ...]:
    """Return the leg of every open operation that has to go on: its first that is not done."""
    rows = session.execute(
        select(OperationRow, LegRow)
        .join(LegRow, LegRow.operation_id == OperationRow.id)
        .where(queries.OPEN, LegRow.done_at.is_(None))
        .order_by(OperationRow.opened_at, OperationRow.id, LegRow.position)
    )
    approved = set(
        session.scalars(
            select(InterventionRow.operation_id)
            .join(OperationRow, OperationRow.id == InterventionRow.operation_id)
            .where(queries.OPEN, InterventionRow.verb == Verb.APPROVE.value)
        )
    )
    found: dict[str, OpenLeg] = {}
    for operation, leg in rows:
        if operation.id not in found:
            found[operation.id] = _leg(
                Operation.of(operation), LegState.of(leg), approved=operation.id in approved
            )
    return tuple(found.values())


def _leg(operation: Operation, leg: LegState, *, approved: bool) -> OpenLeg:
    # Only what has not begun is asked about.
    approval = None if approved or leg.position else approval_from([leg], ())
    return OpenLeg(
        operation_id=operation.id,
        asset=operation.asset,
        what=_what(operation),
        leg=leg.name.value,
        since=leg.waiting_since or leg.started_at or operation.opened_at,
        waiting_for=leg.waiting_for,
        due_at=leg.due_at,
        attention=leg.attention,
        approve_by=None if approval is None else approval.until,
    )


def _what(operation: Operation) -> str:
    return f"{operation.kind.value} of {plain(operation.quantity)} {operation.asset}"


def _lost(session: Session) -> tuple[LostEffect, ...]:
    rows = session.execute(
        select(OperationRow, EffectRow)
        .join(EffectRow, EffectRow.operation_id == OperationRow.id)
        .where(queries.OPEN, EffectRow.status == EffectStatus.UNKNOWN.value)
        .order_by(EffectRow.intended_at, EffectRow.id)
    )
    return tuple(
        LostEffect(
            operation_id=operation.id,
            asset=operation.asset,
            what=_what(Operation.of(operation)),
            leg=effect.leg,
            name=effect.name,
            since=effect.sent_at or effect.intended_at,
        )
        for operation, effect in rows
    )


def _unread(session: Session, checks: int) -> Unread | None:
    """Return what the last checks, so many in a row, could all not read."""
    last = session.execute(
        select(CheckRow.id, CheckRow.taken_at)
        .where(CheckRow.mode != CheckMode.REPLAY.value)
        .order_by(CheckRow.taken_at.desc())
        .limit(checks)
    ).all()
    if len(last) < checks:
        return None
    unread = (
        select(DecisionRow.asset)
        .where(DecisionRow.check_id.in_([row.id for row in last]), DecisionRow.reason == Reason.UNREAD.value)
        .group_by(DecisionRow.asset)
        .having(func.count() == checks)
    )
    rows = session.execute(
        select(DecisionRow.asset, DecisionRow.decision)
        .where(DecisionRow.check_id == last[0].id, DecisionRow.asset.in_(unread))
        .order_by(DecisionRow.asset)
    ).all()
    if not rows:
        return None
    return Unread(tuple(row.asset for row in rows), last[-1].taken_at, rows[0].decision["detail"])


def _verdicts(session: Session, head: queries.CheckHead) -> Mapping[Reason, tuple[Verdict, ...]]:
    """Return what a live check decided of the reasons that are told; another check moves nothing anyway."""
    if head.mode is not CheckMode.LIVE:
        return {}
    told = (Reason.OVER_DAILY_LIMIT, Reason.OVER_COST_BUDGET)
    rows = session.execute(
        select(DecisionRow.asset, DecisionRow.reason, DecisionRow.decision)
        .where(DecisionRow.check_id == head.id, DecisionRow.reason.in_([reason.value for reason in told]))
        .order_by(DecisionRow.asset)
    ).all()
    return {
        reason: tuple(
            Verdict(row.asset, row.decision["detail"], head.taken_at)
            for row in rows
            if row.reason == reason.value
        )
        for reason in told
    }


def _with_waits(
    books: Books, costly: tuple[Verdict, ...], ledger: Ledger, settings: Settings, now: datetime
) -> Books:
    """Add since when assets are refused for their cost."""
    gap = max(settings.cost_patience, 3 * settings.rebalancing_check_interval)
    found = []
    for one in costly:
        _, refused_for = waited(ledger, one.asset, now, longest_gap=gap)
        found.append(Verdict(one.asset, one.detail, now - refused_for))
    return replace(books, costly=tuple(found))


def _stray(session: Session, settings: Settings, check_id: str) -> dict[str, Decimal]:
    """Return what the newest check saw in the wallet of assets that have vaults."""
    in_vaults = [symbol for symbol, own in settings.assets.items() if own.vaults]
    if not in_vaults:
        return {}
    inventories = queries.inventories(session, check_id)
    found = {}
    for symbol in sorted(in_vaults):
        onchain = inventories.get(symbol, {}).get("onchain", {})
        held = parse(onchain["held"]) if "held" in onchain else None
        if held:
            found[symbol] = held
    return found


def _known_nonces(session: Session, settings: Settings) -> dict[str, int]:
    if settings.wallet is None:
        return {}
    chains = {
        settings.chains.ethereum.chain_id: Network.ETHEREUM.value,
        settings.chains.base.chain_id: Network.BASE.value,
    }
    rows = session.execute(
        select(NonceRow.chain_id, func.max(NonceRow.nonce))
        .where(NonceRow.chain_id.in_(chains), NonceRow.sender == settings.wallet)
        .group_by(NonceRow.chain_id)
    )
    return {chains[chain_id]: highest for chain_id, highest in rows if highest is not None}
