"""The operations of the past, as they were at a moment."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from include.domain.amounts import from_base_units
from include.domain.limits import REFUSALS_COUNT_FOR, midnight, moved, refusals
from include.domain.operation import Leg, OpenOperation, OperationKind, OperationStatus, Settled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from include.ledger.records import LegState, Operation


@dataclass(frozen=True, slots=True)
class Past:
    """An operation as the ledger has it.

    :param amount: what it was claimed for, in whole shares or USDC.
    :param moved: what has left its source for good: 0 where nothing did, less than the amount where vaults
        held less.
    :param cancelled: whether it ended without having moved anything.
    :param base_block: of its last receipt there, None if it had none.
    """

    id: str
    kind: OperationKind
    asset: str
    amount: Decimal
    moved: Decimal
    opened_at: datetime
    closed_at: datetime | None
    status: OperationStatus
    base_block: int | None = None
    ethereum_block: int | None = None

    @classmethod
    def of(cls, operation: Operation, legs: Sequence[LegState] = ()) -> Past:
        """Return what of an operation matters here.

        :param legs: what has left vaults is told by them.
        """
        return cls(
            id=operation.id,
            kind=operation.kind,
            asset=operation.asset,
            amount=operation.quantity,
            moved=_moved(operation, legs),
            opened_at=operation.opened_at,
            closed_at=operation.closed_at,
            status=operation.status,
            base_block=operation.base_block,
            ethereum_block=operation.ethereum_block,
        )

    def open_at(self, moment: datetime) -> bool:
        """Tell whether it was open at a moment."""
        return self.opened_at <= moment and (self.closed_at is None or self.closed_at > moment)

    def settled(self) -> Settled:
        """Return its end, as a snapshot has to be newer than it. It must have one."""
        assert self.closed_at is not None
        return Settled(self.asset, self.closed_at, self.base_block, self.ethereum_block)


def _moved(operation: Operation, legs: Sequence[LegState]) -> Decimal:
    if operation.status is OperationStatus.CANCELLED:
        return Decimal(0)
    if operation.status is OperationStatus.RECONCILED:
        return from_base_units(operation.delivered or 0, operation.decimals)
    for leg in legs:
        if leg.name is Leg.VAULT_WITHDRAW and leg.amount_out is not None:
            return from_base_units(leg.amount_out, operation.decimals)
    return operation.quantity


def open_at(past: Iterable[Past], moment: datetime) -> list[OpenOperation]:
    """Return the claims that there were at a moment."""
    return [OpenOperation(one.id, one.kind, one.asset) for one in past if one.open_at(moment)]


def moved_on_day(past: Iterable[Past], moment: datetime) -> dict[str, Decimal]:
    """Return, by asset, what the operations of the day up to a moment moved, as it counted at that moment.

    One that was cancelled later was open then, and counted.
    """
    day = midnight(moment)
    return moved(
        (one.asset, one.amount, OperationStatus.OPEN if one.open_at(moment) else one.status)
        for one in past
        if day <= one.opened_at <= moment
    )


def settled_at(past: Iterable[Past], moment: datetime) -> dict[str, Settled]:
    """Return, by asset, the end of its last operation that was closed up to a moment."""
    closed = [(one.closed_at, one) for one in past if one.closed_at is not None and one.closed_at <= moment]
    closed.sort(key=lambda pair: pair[0], reverse=True)
    refused = refusals((one.asset, one.status) for at, one in closed if at >= moment - REFUSALS_COUNT_FOR)
    found: dict[str, Settled] = {}
    for at, one in closed:
        if one.asset not in found:
            count = refused.get(one.asset, 0)
            found[one.asset] = Settled(one.asset, at, one.base_block, one.ethereum_block, count)
    return found
