"""Steps of a commit, for whoever has a fenced session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import CursorResult, select, update

from include.ledger.records import Effect, EffectStatus, StoredTransaction
from include.ledger.schema import EffectRow, NonceRow, OperationRow, TransactionRow

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from sqlalchemy.orm import Session

    from include.domain.operation import OperationStatus


class MoneyMayHaveMoved(RuntimeError):
    """The operation cannot be cancelled: an irreversible effect was sent, or may have been."""


class EffectMoved(RuntimeError):
    """The effect is not in the state it was read in; nothing was written."""


def move_effect(session: Session, effect: Effect, expected: EffectStatus, **values: Any) -> Effect:
    """Change an effect that is still in the status it was read in.

    :raises EffectMoved: when it is not.
    """
    moved = session.execute(
        update(EffectRow)
        .where(EffectRow.id == effect.id, EffectRow.status == expected.value)
        .values(**values)
    )
    if changed(moved) == 0:
        msg = f"effect {effect.name} of operation {effect.operation_id} is no longer {expected.value}"
        raise EffectMoved(msg)
    return Effect.of(session.get_one(EffectRow, effect.id))


def may_have_moved(session: Session, operation_id: str, undone: Collection[str] = ()) -> bool:
    """Tell whether an operation has moved money, or may have.

    :param undone: ids of effects of which it is proven that they happened, and that they changed nothing in
        the end. One that is not done by its own record counts all the same.
    """
    statuses = session.execute(
        select(EffectRow.status, EffectRow.id, NonceRow.nonce)
        .outerjoin(NonceRow, NonceRow.effect_id == EffectRow.id)
        .where(EffectRow.operation_id == operation_id, EffectRow.irreversible.is_(True))
    )
    # An intended request was never sent; an intended transaction is signed, and its bytes may be out.
    return any(
        status not in (EffectStatus.NOT_DONE.value, EffectStatus.INTENDED.value)
        or (status == EffectStatus.INTENDED.value and nonce is not None)
        for status, effect_id, nonce in statuses
        if not (status == EffectStatus.DONE.value and effect_id in undone)
    )


def close_operation(operation: OperationRow, status: OperationStatus, outcome: str, at: datetime) -> None:
    """Close an operation, which frees its asset."""
    operation.status = status.value
    operation.closed_at = at
    operation.outcome = outcome


def transaction_row(transaction: StoredTransaction, effect_id: str) -> TransactionRow:
    """Return the row that keeps a signed transaction."""
    return TransactionRow(
        hash=transaction.hash,
        effect_id=effect_id,
        chain_id=transaction.chain_id,
        sender=transaction.sender,
        nonce=transaction.nonce,
        raw=transaction.raw,
        gas=transaction.gas,
        max_fee_per_gas=transaction.max_fee_per_gas,
        max_priority_fee_per_gas=transaction.max_priority_fee_per_gas,
        signed_at=transaction.signed_at,
        signed_at_block=transaction.signed_at_block,
    )


def latest(one: int | None, other: int | None) -> int | None:
    """Return the higher of two block numbers, of which either may be missing."""
    return max((block for block in (one, other) if block is not None), default=None)


def changed(result: Any) -> int:
    """Return how many rows a statement changed."""
    rows: CursorResult[Any] = result
    return rows.rowcount
