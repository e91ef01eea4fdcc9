"""The right to advance one operation, and every write that needs it.

Each write first renews the lease under its fencing number. Whoever lost the lease in the meantime, say
because its machine slept, finds that number gone and writes nothing.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from include.domain.operation import OperationStatus
from include.ledger.commits import (
    EffectMoved,
    MoneyMayHaveMoved,
    changed,
    close_operation,
    latest,
    may_have_moved,
    move_effect,
    transaction_row,
)
from include.ledger.database import reading, writing
from include.ledger.records import Effect, EffectStatus, LegState, StoredTransaction
from include.ledger.schema import EffectRow, LegRow, NonceRow, OperationRow, TransactionRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy import Engine
    from sqlalchemy.orm import Session

    from include.domain.operation import Leg


__all__ = ["EffectMoved", "Lease", "LeaseLost", "MoneyMayHaveMoved", "NonceTaken"]


class LeaseLost(RuntimeError):
    """Somebody else advances the operation now; nothing was written."""


class NonceTaken(RuntimeError):
    """Another effect claimed the nonce first; nothing was written. Sign again with the next one."""


class Lease:
    """A lease on one operation. Opened by `Ledger.lease`; every method that writes raises `LeaseLost`."""

    def __init__(
        self,
        engine: Engine,
        *,
        operation_id: str,
        fence: int,
        duration: timedelta,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self.operation_id = operation_id
        self._engine = engine
        self._fence = fence
        self._duration = duration
        self.now = now
        self.new_id = new_id

    @contextmanager
    def fenced(self) -> Iterator[Session]:
        """Open a session that is committed only where the operation is still this lease's to advance.

        :raises LeaseLost: when somebody else took over.
        """
        with writing(self._engine) as session:
            renewed = session.execute(
                update(OperationRow)
                .where(OperationRow.id == self.operation_id, OperationRow.fence == self._fence)
                .values(lease_until=self.now() + self._duration)
            )
            if changed(renewed) == 0:
                msg = f"operation {self.operation_id} is advanced by somebody else"
                raise LeaseLost(msg)
            yield session

    def release(self) -> None:
        """Let the next one advance the operation at once, instead of when the lease ends."""
        with self.fenced() as session:
            session.execute(
                update(OperationRow)
                .where(OperationRow.id == self.operation_id)
                .values(lease_owner=None, lease_until=None)
            )

    # -- effects ---------------------------------------------------------------------------------------

    def effect(self, leg: Leg, name: str) -> Effect | None:
        """Return the newest attempt of an effect, or None where it was never intended."""
        with reading(self._engine) as session:
            row = session.scalars(
                select(EffectRow)
                .where(
                    EffectRow.operation_id == self.operation_id, EffectRow.leg == leg, EffectRow.name == name
                )
                .order_by(EffectRow.attempt.desc())
                .limit(1)
            ).one_or_none()
            return None if row is None else Effect.of(row)

    def intend(self, leg: Leg, name: str, intent: Mapping[str, Any], *, irreversible: bool) -> Effect:
        """Record what is about to be done, before it is done.

        :param intent: everything that a retry needs in order to do exactly the same again.
        :param irreversible: whether money leaves its venue by it, so that the claim must outlive a failure.
        """
        with self.fenced() as session:
            return Effect.of(self._add_effect(session, leg, name, intent, irreversible=irreversible))

    def _add_effect(
        self, session: Session, leg: Leg, name: str, intent: Mapping[str, Any], *, irreversible: bool
    ) -> EffectRow:
        attempts = session.scalar(
            select(func.max(EffectRow.attempt)).where(
                EffectRow.operation_id == self.operation_id, EffectRow.leg == leg, EffectRow.name == name
            )
        )
        row = EffectRow(
            id=self.new_id(),
            operation_id=self.operation_id,
            leg=leg.value,
            name=name,
            attempt=(attempts or 0) + 1,
            status=EffectStatus.INTENDED.value,
            irreversible=irreversible,
            intent=dict(intent),
            intended_at=self.now(),
        )
        session.add(row)
        session.flush()
        return row

    def sent(self, effect: Effect, **found: Any) -> Effect:
        """Record that the effect is being sent from here on. Of several who try, one succeeds.

        :param found: facts to keep beside the intent, such as what the venue listed just before.
        :raises EffectMoved: when it was sent already.
        """
        intent = {**effect.intent, **found}
        return self._move(
            effect, EffectStatus.INTENDED, status=EffectStatus.SENT.value, sent_at=self.now(), intent=intent
        )

    def done(self, effect: Effect, reference: str, *, gas_paid: int | None = None) -> Effect:
        """Record the proof that the effect happened.

        :param gas_paid: what its transaction cost, in wei.
        """
        return self._resolve(effect, EffectStatus.DONE, reference=reference, gas_paid=gas_paid)

    def not_done(self, effect: Effect, why: str, *, gas_paid: int | None = None) -> Effect:
        """Record the proof that the effect did not happen and never will.

        :param gas_paid: what its transaction cost all the same, in wei.
        """
        return self._resolve(effect, EffectStatus.NOT_DONE, detail=why, gas_paid=gas_paid)

    def paid(self, effect: Effect, gas_paid: int) -> Effect:
        """Record what the transaction of a resolved effect cost, where it was resolved without knowing."""
        return self._move(effect, effect.status, gas_paid=gas_paid)

    def unknown(self, effect: Effect, why: str) -> Effect:
        """Record that nobody can tell from here whether the effect happened."""
        return self._move(effect, effect.status, status=EffectStatus.UNKNOWN.value, detail=why)

    def _resolve(self, effect: Effect, status: EffectStatus, **values: Any) -> Effect:
        return self._move(effect, effect.status, status=status.value, resolved_at=self.now(), **values)

    def _move(self, effect: Effect, expected: EffectStatus, **values: Any) -> Effect:
        with self.fenced() as session:
            return move_effect(session, effect, expected, **values)

    # -- transactions ----------------------------------------------------------------------------------

    def next_nonce(self, chain_id: int, sender: str) -> int:
        """Return the nonce after the highest one ever claimed here, 0 where none was."""
        with reading(self._engine) as session:
            highest = session.scalar(
                select(func.max(NonceRow.nonce)).where(
                    NonceRow.chain_id == chain_id, NonceRow.sender == sender
                )
            )
            return 0 if highest is None else highest + 1

    def intend_transaction(
        self,
        leg: Leg,
        name: str,
        intent: Mapping[str, Any],
        transaction: StoredTransaction,
        *,
        irreversible: bool,
    ) -> Effect:
        """Claim the nonce and store the signed bytes in one commit. Only then may they be broadcast.

        :param transaction: its `effect_id` is filled in here.
        :raises NonceTaken: when another effect has the nonce.
        """
        try:
            with self.fenced() as session:
                row = self._add_effect(session, leg, name, intent, irreversible=irreversible)
                session.add(
                    NonceRow(
                        chain_id=transaction.chain_id,
                        sender=transaction.sender,
                        nonce=transaction.nonce,
                        effect_id=row.id,
                    )
                )
                session.flush()
                session.add(transaction_row(transaction, row.id))
                return Effect.of(row)
        except IntegrityError as error:
            msg = (
                f"nonce {transaction.nonce} of {transaction.sender} on chain {transaction.chain_id} is taken"
            )
            raise NonceTaken(msg) from error

    def replace_transaction(self, effect: Effect, transaction: StoredTransaction) -> None:
        """Store a further transaction with the effect's nonce, before it is broadcast."""
        with self.fenced() as session:
            session.add(transaction_row(transaction, effect.id))

    def transactions(self, effect: Effect) -> Sequence[StoredTransaction]:
        """Return what was signed for an effect, oldest first."""
        with reading(self._engine) as session:
            rows = session.scalars(
                select(TransactionRow)
                .where(TransactionRow.effect_id == effect.id)
                .order_by(TransactionRow.signed_at, TransactionRow.hash)
            )
            return [StoredTransaction.of(row) for row in rows]

    def unresolved_before(self, chain_id: int, sender: str, nonce: int) -> list[StoredTransaction]:
        """Return the stored transactions with a lower nonce whose effect is not resolved, lowest nonce first.

        A transaction waits for every lower nonce, so whoever sends one helps the ones before it along.
        """
        with reading(self._engine) as session:
            rows = session.scalars(
                select(TransactionRow)
                .join(EffectRow, EffectRow.id == TransactionRow.effect_id)
                .where(
                    TransactionRow.chain_id == chain_id,
                    TransactionRow.sender == sender,
                    TransactionRow.nonce < nonce,
                    EffectRow.status.not_in([EffectStatus.DONE.value, EffectStatus.NOT_DONE.value]),
                )
                .order_by(TransactionRow.nonce, TransactionRow.signed_at)
            )
            return [StoredTransaction.of(row) for row in rows]

    def transactions_between(
        self, chain_id: int, sender: str, first: int, last: int
    ) -> list[StoredTransaction]:
        """Return all stored transactions with these nonces, both ends included, lowest nonce first.

        What a reorganisation took off the chain is among them, though its effect was resolved.
        """
        with reading(self._engine) as session:
            rows = session.scalars(
                select(TransactionRow)
                .where(
                    TransactionRow.chain_id == chain_id,
                    TransactionRow.sender == sender,
                    TransactionRow.nonce.between(first, last),
                )
                .order_by(TransactionRow.nonce, TransactionRow.signed_at)
            )
            return [StoredTransaction.of(row) for row in rows]

    def reference_taken(self, reference: str) -> bool:
        """Tell whether any effect of any operation already stands for this id at a venue."""
        with reading(self._engine) as session:
            return (
                session.scalar(select(EffectRow.id).where(EffectRow.reference == reference).limit(1))
                is not None
            )

    # -- legs and the operation ------------------------------------------------------------------------

    def leg(self, name: Leg) -> LegState:
        """Return how far a leg is."""
        with reading(self._engine) as session:
            return LegState.of(session.get_one(LegRow, (self.operation_id, name.value)))

    def note(self, leg: Leg, **notes: Any) -> None:
        """Keep facts that the leg must not forget, such as an attested message."""
        with self.fenced() as session:
            row = session.get_one(LegRow, (self.operation_id, leg.value))
            row.notes = {**row.notes, **notes}

    def wait(
        self,
        leg: Leg,
        *,
        waiting_for: str,
        due_in: timedelta,
        attention: str | None,
        notes: Mapping[str, Any] | None = None,
    ) -> LegState:
        """Record what the leg waits for. The same wait keeps its beginning and its due time.

        :param notes: facts to keep in the same commit, as `note` does.
        """
        with self.fenced() as session:
            row = session.get_one(LegRow, (self.operation_id, leg.value))
            row.started_at = row.started_at or self.now()
            if row.waiting_for != waiting_for:
                row.waiting_for = waiting_for
                row.waiting_since = self.now()
                row.due_at = self.now() + due_in
            row.attention = attention
            row.notes = {**row.notes, **(notes or {})}
            return LegState.of(row)

    def finish(
        self,
        leg: Leg,
        *,
        amount_out: int,
        base_block: int | None = None,
        ethereum_block: int | None = None,
    ) -> bool:
        """Record that the leg's money has arrived; with the last leg the operation is settled in one commit.

        :param amount_out: what arrived, in base units: the next leg moves exactly this.
        :param base_block: the block of the last receipt on Base, where there is one; likewise on Ethereum.
        :return: whether the operation is settled now, and its asset free.
        """
        with self.fenced() as session:
            operation = session.get_one(OperationRow, self.operation_id)
            row = session.get_one(LegRow, (self.operation_id, leg.value))
            row.amount_out = amount_out
            row.started_at = row.started_at or self.now()
            row.done_at = self.now()
            row.waiting_for = row.waiting_since = row.due_at = row.attention = None
            operation.base_block = latest(operation.base_block, base_block)
            operation.ethereum_block = latest(operation.ethereum_block, ethereum_block)
            following = session.scalars(
                select(LegRow).where(
                    LegRow.operation_id == self.operation_id, LegRow.position == row.position + 1
                )
            ).one_or_none()
            if following is not None:
                following.amount_in = amount_out
                return False
            operation.delivered = amount_out
            close_operation(operation, OperationStatus.SETTLED, "settled", self.now())
            return True

    def is_cancellable(self) -> bool:
        """Tell whether it is certain that no money has left its venue."""
        with reading(self._engine) as session:
            return not may_have_moved(session, self.operation_id)

    def cancel(self, why: str, *, undone: Sequence[Effect] = (), base_block: int | None = None) -> None:
        """Close the operation and free its asset, as nothing irreversible happened or all of it is undone.

        :param undone: what happened and is proven to have changed nothing in the end. Every irreversible
            effect that is done has to be among them, those that undid the others too: nothing is forgotten.
        :param base_block: the block of the last receipt on Base, where there is one.
        :raises MoneyMayHaveMoved: when anything else may have happened.
        """
        with self.fenced() as session:
            if may_have_moved(session, self.operation_id, {effect.id for effect in undone}):
                msg = f"operation {self.operation_id} has moved money, or may have: {why}"
                raise MoneyMayHaveMoved(msg)
            for effect in undone:
                move_effect(session, effect, EffectStatus.DONE, detail=f"undone: {why}")
            operation = session.get_one(OperationRow, self.operation_id)
            operation.base_block = latest(operation.base_block, base_block)
            close_operation(operation, OperationStatus.CANCELLED, why, self.now())
