"""What a person does with an open operation: each act is one commit, and who and why are part of it.

What is written here was checked before, in `include/exits`. Only one thing is checked again: that no
operation is cancelled that may have moved money.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from include.domain.operation import OperationStatus
from include.ledger.commits import MoneyMayHaveMoved, close_operation, may_have_moved, move_effect
from include.ledger.records import EffectStatus, Verb
from include.ledger.schema import InterventionRow, LegRow, OperationRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from include.ledger.lease import Lease
    from include.ledger.records import Effect


@dataclass(frozen=True, slots=True)
class Person:
    """A person who holds the lease of an operation. Every method raises `LeaseLost` where it is lost.

    :param actor: who it is.
    :param reason: why, in their own words.
    """

    lease: Lease
    actor: str
    reason: str

    def resume(self) -> None:
        """Forget what the legs wait for, so that they say it anew when they are pushed next."""
        with self.lease.fenced() as session:
            waited = self._forget_waits(session)
            self._record(session, Verb.RESUME, waited_for=waited)

    def adopt(self, effect: Effect, reference: str) -> None:
        """Record that an effect happened, under the id that its venue knows it by."""
        with self.lease.fenced() as session:
            self._resolve(session, effect, EffectStatus.DONE, reference=reference)
            self._forget_waits(session)
            self._record(
                session,
                Verb.ADOPT,
                effect=effect.id,
                name=effect.name,
                was=effect.status,
                reference=reference,
            )

    def refute(self, effect: Effect, why: str) -> None:
        """Record that an effect did not happen and never will."""
        with self.lease.fenced() as session:
            self._resolve(session, effect, EffectStatus.NOT_DONE, detail=why)
            self._forget_waits(session)
            self._record(
                session, Verb.RECONCILE, effect=effect.id, name=effect.name, was=effect.status, found=why
            )

    def cancel(self, refuted: Sequence[Effect] = (), why: str = "") -> None:
        """Close the operation as one in which nothing irreversible happened.

        :param refuted: effects that are known by now not to have happened.
        :param why: how that is known.
        :raises MoneyMayHaveMoved: when something else may have; nothing is written.
        """
        with self.lease.fenced() as session:
            for effect in refuted:
                self._resolve(session, effect, EffectStatus.NOT_DONE, detail=why)
            self._require_nothing_moved(session)
            self._close(session, OperationStatus.CANCELLED)
            self._record(session, Verb.CANCEL, refuted=[effect.id for effect in refuted], found=why)

    def approve(self) -> None:
        """Record that the operation may begin."""
        with self.lease.fenced() as session:
            self._forget_waits(session)
            self._record(session, Verb.APPROVE)

    def reject(self) -> None:
        """Close the operation as one that was not to begin.

        :raises MoneyMayHaveMoved: when it has begun; nothing is written.
        """
        with self.lease.fenced() as session:
            self._require_nothing_moved(session)
            self._close(session, OperationStatus.CANCELLED, "rejected: ")
            self._record(session, Verb.REJECT)

    def close(self, delivered: int) -> None:
        """Close the operation as the person says it ended.

        :param delivered: what arrived at its destination, in base units of the operation.
        """
        with self.lease.fenced() as session:
            self._close(session, OperationStatus.RECONCILED).delivered = delivered
            self._record(session, Verb.RECONCILE, delivered=str(delivered))

    def _require_nothing_moved(self, session: Session) -> None:
        if may_have_moved(session, self.lease.operation_id):
            msg = f"operation {self.lease.operation_id} has moved money, or may have"
            raise MoneyMayHaveMoved(msg)

    def _forget_waits(self, session: Session) -> dict[str, str]:
        """Clear what the legs wait for, and return it by the name of the leg."""
        legs = session.scalars(
            select(LegRow).where(LegRow.operation_id == self.lease.operation_id, LegRow.done_at.is_(None))
        )
        waited = {}
        for leg in legs:
            if leg.waiting_for is not None:
                waited[leg.name] = leg.attention or leg.waiting_for
            leg.waiting_for = leg.waiting_since = leg.due_at = leg.attention = None
        return waited

    def _resolve(self, session: Session, effect: Effect, status: EffectStatus, **values: Any) -> None:
        move_effect(
            session, effect, effect.status, status=status.value, resolved_at=self.lease.now(), **values
        )

    def _close(self, session: Session, status: OperationStatus, how: str = "") -> OperationRow:
        operation = session.get_one(OperationRow, self.lease.operation_id)
        close_operation(operation, status, f"{how}{self.reason} ({self.actor})", self.lease.now())
        return operation

    def _record(self, session: Session, verb: Verb, **detail: Any) -> None:
        session.add(
            InterventionRow(
                id=self.lease.new_id(),
                operation_id=self.lease.operation_id,
                verb=verb.value,
                reason=self.reason,
                actor=self.actor,
                at=self.lease.now(),
                detail=detail,
            )
        )
