"""The truth about operations: checks and what they decided, claims, leases, and what settled."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import func, or_, select, update
from sqlalchemy.exc import IntegrityError

from include.domain.inventory import Snapshot
from include.domain.limits import REFUSALS_COUNT_FOR, midnight, moved, refusals
from include.domain.operation import OpenOperation, OperationKind, OperationStatus, Settled
from include.domain.plan import Decision
from include.ledger.commits import changed as rows_changed
from include.ledger.database import migrate, open_engine, reading, require_current, writing
from include.ledger.lease import Lease, LeaseLost
from include.ledger.records import CheckMode, Effect, Intervention, LegState, Operation
from include.ledger.schema import (
    CheckRow,
    DecisionRow,
    EffectRow,
    InterventionRow,
    LegRow,
    OperationRow,
    Utc,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import timedelta
    from decimal import Decimal

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from include.domain.limits import DailyLimits
    from include.domain.operation import Leg


NO_NOTES: Final[Mapping[str, Any]] = MappingProxyType({})
CLAIM_LOCK: Final = 0x636C61696D  # an arbitrary number for PostgreSQL's advisory lock


class AssetClaimed(RuntimeError):
    """The asset has an open operation already."""


class SnapshotOutdated(RuntimeError):
    """An operation on the asset was closed after the snapshot: the plan rests on old balances."""


class DailyLimitReached(RuntimeError):
    """Together with what was opened today already, the operation would exceed a daily maximum."""


class LeaseHeld(RuntimeError):
    """Somebody else advances the operation until `until`, unless they renew it."""

    def __init__(self, operation_id: str, until: datetime) -> None:
        super().__init__(f"operation {operation_id} is advanced by somebody else until {until:%H:%M:%S} UTC")
        self.until = until


def utc_now() -> datetime:
    """Return the time of this machine, in UTC."""
    return datetime.now(UTC)


def new_id() -> str:
    """Return a fresh random identifier of 36 characters."""
    return str(uuid.uuid4())


class Ledger:
    """The ledger of one book.

    :param engine: from `open_engine`.
    :param now: the clock.
    :param new_id: where identifiers come from.
    """

    def __init__(
        self, engine: Engine, *, now: Callable[[], datetime] = utc_now, new_id: Callable[[], str] = new_id
    ) -> None:
        self.engine = engine
        self._now = now
        self._new_id = new_id

    @classmethod
    def open(cls, url: str, *, now: Callable[[], datetime] = utc_now) -> Ledger:
        """Open the ledger at a database URL. A SQLite file is brought up to date; a server must be already.

        :raises LedgerOutdated: when `python -m include.ledger migrate` has to be run first.
        """
        engine = open_engine(url)
        if engine.dialect.name == "sqlite":
            migrate(engine)
        else:
            require_current(engine)
        return cls(engine, now=now)

    def close(self) -> None:
        """Give the database connections back."""
        self.engine.dispose()

    # -- checks ----------------------------------------------------------------------------------------

    def record_check(
        self, check_id: str, run_id: str, mode: CheckMode, snapshot: Snapshot, decisions: Sequence[Decision]
    ) -> None:
        """Keep a snapshot, whole, and every decision made on it."""
        with writing(self.engine) as session:
            session.add(
                CheckRow(
                    id=check_id,
                    run_id=run_id,
                    mode=mode.value,
                    taken_at=snapshot.taken_at,
                    recorded_at=self._now(),
                    base_block=snapshot.base_block,
                    ethereum_block=snapshot.ethereum_block,
                    snapshot=snapshot.to_dict(),
                )
            )
            session.flush()
            session.add_all(
                DecisionRow(
                    check_id=check_id,
                    asset=decision.asset,
                    reason=decision.reason.value,
                    decision=decision.to_dict(),
                )
                for decision in decisions
            )

    def snapshot(self, check_id: str) -> Snapshot:
        """Return the snapshot of a check."""
        with reading(self.engine) as session:
            return Snapshot.from_dict(session.get_one(CheckRow, check_id).snapshot)

    def snapshot_before(self, moment: datetime) -> Snapshot | None:
        """Return the newest snapshot of the venues that was not taken after a moment.

        What a replay decided on is a copy of such a one, and is not looked at.
        """
        with reading(self.engine) as session:
            row = session.scalars(
                select(CheckRow)
                .where(CheckRow.taken_at <= moment, CheckRow.mode != CheckMode.REPLAY.value)
                .order_by(CheckRow.taken_at.desc())
                .limit(1)
            ).one_or_none()
            return None if row is None else Snapshot.from_dict(row.snapshot)

    def snapshot_after(self, moment: datetime) -> Snapshot | None:
        """Return the oldest snapshot of the venues that was taken after a moment."""
        with reading(self.engine) as session:
            row = session.scalars(
                select(CheckRow)
                .where(CheckRow.taken_at > moment, CheckRow.mode != CheckMode.REPLAY.value)
                .order_by(CheckRow.taken_at)
                .limit(1)
            ).one_or_none()
            return None if row is None else Snapshot.from_dict(row.snapshot)

    def decisions(self, check_id: str) -> list[Decision]:
        """Return what a check decided, by asset."""
        with reading(self.engine) as session:
            rows = session.scalars(
                select(DecisionRow).where(DecisionRow.check_id == check_id).order_by(DecisionRow.asset)
            )
            return [Decision.from_dict(row.decision) for row in rows]

    # -- operations ------------------------------------------------------------------------------------

    def claim(
        self,
        *,
        kind: OperationKind,
        asset: str,
        amount: int,
        decimals: int,
        check_id: str,
        run_id: str,
        taken_at: datetime,
        daily: DailyLimits | None = None,
        legs: Sequence[Leg] | None = None,
        notes: Mapping[str, Any] = NO_NOTES,
        estimate: Mapping[str, Any] | None = None,
    ) -> Operation:
        """Open an operation, which claims its asset.

        :param amount: base units of `decimals` decimals.
        :param taken_at: when the snapshot was taken that the amount rests on.
        :param daily: the most that may be moved in a day.
        :param legs: what it consists of, in order; by default the legs that every operation of its kind has.
        :param notes: what none of its legs must forget, whatever is set by then.
        :param estimate: what it is expected to cost, as JSON.
        :raises AssetClaimed: when the asset has an open operation.
        :raises SnapshotOutdated: when one was closed since the snapshot.
        :raises DailyLimitReached: when the day has no room for it.
        """
        row = OperationRow(
            id=self._new_id(),
            kind=kind.value,
            asset=asset,
            amount=amount,
            decimals=decimals,
            status=OperationStatus.OPEN.value,
            check_id=check_id,
            run_id=run_id,
            opened_at=self._now(),
            estimate=None if estimate is None else dict(estimate),
            fence=0,
        )
        try:
            with writing(self.engine) as session:
                if daily is not None and session.get_bind().dialect.name == "postgresql":
                    # Claims of different assets share a day's limit, so each waits for the one before to be
                    # committed. SQLite has one writer at a time anyway.
                    session.execute(select(func.pg_advisory_xact_lock(CLAIM_LOCK)))
                session.add(row)
                session.flush()
                # Asked after the insert: from here on nobody else can open or close one for this asset.
                closed_since = session.scalar(
                    select(func.count())
                    .select_from(OperationRow)
                    .where(OperationRow.asset == asset, OperationRow.closed_at >= taken_at)
                )
                if closed_since:
                    msg = f"an operation on {asset} was closed after the snapshot was taken"
                    raise SnapshotOutdated(msg)
                over = daily and daily.exceeded(asset, _moved(session, midnight(row.opened_at)))
                if over:
                    raise DailyLimitReached(over)
                session.add_all(
                    LegRow(
                        operation_id=row.id,
                        name=leg.value,
                        position=position,
                        amount_in=amount if position == 0 else None,
                        notes=dict(notes),
                    )
                    for position, leg in enumerate(kind.legs if legs is None else legs)
                )
                return Operation.of(row)
        except IntegrityError as error:
            msg = f"{asset} has an open operation"
            raise AssetClaimed(msg) from error

    def adopt(self, operation: Operation, run_id: str) -> bool:
        """Hand an open operation over to another run. Of several who try, one succeeds."""
        with writing(self.engine) as session:
            changed = session.execute(
                update(OperationRow)
                .where(
                    OperationRow.id == operation.id,
                    OperationRow.run_id == operation.run_id,
                    OperationRow.status == OperationStatus.OPEN.value,
                )
                .values(run_id=run_id)
            )
            return rows_changed(changed) == 1

    def operation(self, operation_id: str) -> Operation:
        """Return one operation.

        :raises LookupError: when there is none with this id.
        """
        with reading(self.engine) as session:
            row = session.get(OperationRow, operation_id)
            if row is None:
                msg = f"the ledger has no operation {operation_id}"
                raise LookupError(msg)
            return Operation.of(row)

    def operations(self, *, only_open: bool = False, kind: OperationKind | None = None) -> list[Operation]:
        """Return operations, oldest first."""
        query = select(OperationRow).order_by(OperationRow.opened_at, OperationRow.id)
        if only_open:
            query = query.where(OperationRow.status == OperationStatus.OPEN.value)
        if kind is not None:
            query = query.where(OperationRow.kind == kind.value)
        with reading(self.engine) as session:
            return [Operation.of(row) for row in session.scalars(query)]

    def begun_in(self, run_id: str) -> str | None:
        """Return an operation that a check of a run has led to, or None. One that was cancelled is none."""
        with reading(self.engine) as session:
            return session.scalars(
                select(OperationRow.id)
                .join(CheckRow, CheckRow.id == OperationRow.check_id)
                .where(CheckRow.run_id == run_id, OperationRow.status != OperationStatus.CANCELLED.value)
                .order_by(OperationRow.opened_at.desc())
                .limit(1)
            ).one_or_none()

    def open_operations(self) -> list[OpenOperation]:
        """Return the claims, as the plan wants them."""
        return [
            OpenOperation(id=operation.id, kind=operation.kind, asset=operation.asset)
            for operation in self.operations(only_open=True)
        ]

    def moved_since(self, moment: datetime) -> dict[str, Decimal]:
        """Return, by asset, what the operations opened since a moment move. Cancelled ones do not count."""
        with reading(self.engine) as session:
            return _moved(session, moment)

    def settled(self) -> dict[str, Settled]:
        """Return when each asset's last operation was closed, and the highest blocks of its receipts.

        With it, how many of its operations of the last day were cancelled in a row.
        """
        with reading(self.engine) as session:
            lately = session.execute(
                select(OperationRow.asset, OperationRow.status)
                .where(OperationRow.closed_at >= self._now() - REFUSALS_COUNT_FOR)
                .order_by(OperationRow.closed_at.desc())
            )
            refused = refusals((asset, OperationStatus(status)) for asset, status in lately)
            rows = session.execute(
                select(
                    OperationRow.asset,
                    func.max(OperationRow.closed_at, type_=Utc()),
                    func.max(OperationRow.base_block),
                    func.max(OperationRow.ethereum_block),
                )
                .where(OperationRow.closed_at.is_not(None))
                .group_by(OperationRow.asset)
            )
            return {
                asset: Settled(
                    asset=asset,
                    at=closed_at,
                    base_block=base_block,
                    ethereum_block=ethereum_block,
                    refusals=refused.get(asset, 0),
                )
                for asset, closed_at, base_block, ethereum_block in rows
                if closed_at is not None
            }

    def legs(self, operation_id: str) -> list[LegState]:
        """Return the legs of an operation, in their order."""
        with reading(self.engine) as session:
            rows = session.scalars(
                select(LegRow).where(LegRow.operation_id == operation_id).order_by(LegRow.position)
            )
            return [LegState.of(row) for row in rows]

    def lately(self, leg: Leg, most: int) -> list[LegState]:
        """Return the legs of a name that were done last, the newest first."""
        with reading(self.engine) as session:
            rows = session.scalars(
                select(LegRow)
                .where(LegRow.name == leg.value, LegRow.done_at.is_not(None))
                .order_by(LegRow.done_at.desc())
                .limit(most)
            )
            return [LegState.of(row) for row in rows]

    def effects(self, operation_id: str) -> list[Effect]:
        """Return everything an operation did or meant to do to the outside world, oldest first."""
        with reading(self.engine) as session:
            rows = session.scalars(
                select(EffectRow)
                .where(EffectRow.operation_id == operation_id)
                .order_by(EffectRow.intended_at, EffectRow.id)
            )
            return [Effect.of(row) for row in rows]

    def interventions(self, operation_id: str) -> list[Intervention]:
        """Return what people did with an operation, oldest first."""
        with reading(self.engine) as session:
            rows = session.scalars(
                select(InterventionRow)
                .where(InterventionRow.operation_id == operation_id)
                .order_by(InterventionRow.at, InterventionRow.id)
            )
            return [Intervention.of(row) for row in rows]

    # -- leases ----------------------------------------------------------------------------------------

    @contextmanager
    def lease(self, operation_id: str, owner: str, duration: timedelta) -> Iterator[Lease]:
        """Take the right to advance an operation, and give it back at the end.

        :param owner: who asks, for people to read; the same owner may not take it twice either.
        :raises LeaseHeld: when somebody has it.
        """
        now = self._now()
        with writing(self.engine) as session:
            taken = session.execute(
                update(OperationRow)
                .where(
                    OperationRow.id == operation_id,
                    or_(OperationRow.lease_until.is_(None), OperationRow.lease_until <= now),
                )
                .values(
                    fence=OperationRow.fence + 1,
                    lease_owner=owner,
                    lease_until=now + duration,
                )
            )
            row = session.get_one(OperationRow, operation_id)
            if rows_changed(taken) == 0:
                raise LeaseHeld(operation_id, row.lease_until or now)
            fence = row.fence
        lease = Lease(
            self.engine,
            operation_id=operation_id,
            fence=fence,
            duration=duration,
            now=self._now,
            new_id=self._new_id,
        )
        try:
            yield lease
        finally:
            _release(lease)


def _moved(session: Session, since: datetime) -> dict[str, Decimal]:
    rows = session.scalars(select(OperationRow).where(OperationRow.opened_at >= since))
    return moved((one.asset, one.quantity, one.status) for one in map(Operation.of, rows))


def _release(lease: Lease) -> None:
    try:
        lease.release()
    except LeaseLost:
        # Somebody took it after it had run out: theirs now, and nothing of ours is left to write.
        return
