"""What the ledger hands out: frozen copies of its rows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from include.domain.amounts import from_base_units, plain
from include.domain.operation import Leg, OperationKind, OperationStatus

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal

    from include.ledger.schema import Base, EffectRow, InterventionRow, LegRow, OperationRow, TransactionRow


T = TypeVar("T")


def _copied(record: type[T], row: Base, **converted: Any) -> T:
    """Build a record from the columns of the same names, but for those that are converted."""
    names = record.__dataclass_fields__  # type: ignore[attr-defined]  # every record here is a dataclass
    return record(**{name: converted.get(name, getattr(row, name)) for name in names})


class EffectStatus(StrEnum):
    """Where an effect stands. Nothing but evidence moves it to `done` or `not_done`."""

    INTENDED = "intended"
    SENT = "sent"
    DONE = "done"
    NOT_DONE = "not_done"
    UNKNOWN = "unknown"

    @property
    def is_resolved(self) -> bool:
        """Whether the world's answer is known."""
        return self in (EffectStatus.DONE, EffectStatus.NOT_DONE)


class CheckMode(StrEnum):
    """What the run of a check may do with its plan."""

    LIVE = "live"
    DRY_RUN = "dry_run"
    OBSERVE = "observe"
    REPLAY = "replay"


class Verb(StrEnum):
    """What a person can do with an open operation. `ANSWERS` are said when Airflow asks."""

    RESUME = "resume"
    CANCEL = "cancel"
    RECONCILE = "reconcile"
    ADOPT = "adopt"
    APPROVE = "approve"
    REJECT = "reject"


ANSWERS: Final = frozenset({Verb.APPROVE, Verb.REJECT})
"""What is said where Airflow asks whether an operation may begin, and nowhere else."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `amount` and `delivered` are base units of `decimals` decimals.

    `estimate` is the JSON form of what it was expected to cost, where that was asked.
    """

    id: str
    kind: OperationKind
    asset: str
    amount: int
    decimals: int
    status: OperationStatus
    check_id: str
    run_id: str
    opened_at: datetime
    closed_at: datetime | None
    outcome: str | None
    delivered: int | None
    base_block: int | None
    ethereum_block: int | None
    estimate: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, row: OperationRow) -> Operation:
        """Copy a row."""
        return _copied(cls, row, kind=OperationKind(row.kind), status=OperationStatus(row.status))

    @property
    def quantity(self) -> Decimal:
        """The amount in whole shares, tokens or USDC."""
        return from_base_units(self.amount, self.decimals)

    @property
    def label(self) -> str:
        """The amount with its unit, for people."""
        return f"{plain(self.quantity)} {'USDC' if self.kind.moves_usdc else f'{self.asset} shares'}"


@dataclass(frozen=True, slots=True)
class LegState:
    """One leg. Amounts are base units of the operation's decimals; `notes` must not be forgotten."""

    operation_id: str
    name: Leg
    position: int
    amount_in: int | None
    amount_out: int | None
    notes: Mapping[str, Any]
    started_at: datetime | None
    done_at: datetime | None
    waiting_for: str | None
    waiting_since: datetime | None
    due_at: datetime | None
    attention: str | None

    @classmethod
    def of(cls, row: LegRow) -> LegState:
        """Copy a row."""
        return _copied(cls, row, name=Leg(row.name), notes=dict(row.notes))

    @property
    def is_done(self) -> bool:
        """Whether the money of this leg has arrived."""
        return self.done_at is not None


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing done to the outside world. `reference` is the venue's id or the mined transaction's hash.

    `gas_paid` is what its transaction cost in wei, once that is known.
    """

    id: str
    operation_id: str
    leg: str
    name: str
    attempt: int
    status: EffectStatus
    irreversible: bool
    intent: Mapping[str, Any]
    reference: str | None
    detail: str | None
    intended_at: datetime
    sent_at: datetime | None
    gas_paid: int | None = None

    @classmethod
    def of(cls, row: EffectRow) -> Effect:
        """Copy a row."""
        return _copied(cls, row, status=EffectStatus(row.status), intent=dict(row.intent))


@dataclass(frozen=True, slots=True)
class StoredTransaction:
    """A signed transaction as stored. Fees are in wei per gas."""

    hash: str
    effect_id: str
    chain_id: int
    sender: str
    nonce: int
    raw: bytes
    gas: int
    max_fee_per_gas: int
    max_priority_fee_per_gas: int
    signed_at: datetime
    signed_at_block: int

    @classmethod
    def of(cls, row: TransactionRow) -> StoredTransaction:
        """Copy a row."""
        return _copied(cls, row)


@dataclass(frozen=True, slots=True)
class Intervention:
    """What a person did with an operation. `detail` says to which effect, with what evidence or statement."""

    id: str
    operation_id: str
    verb: Verb
    reason: str
    actor: str
    at: datetime
    detail: Mapping[str, Any]

    @classmethod
    def of(cls, row: InterventionRow) -> Intervention:
        """Copy a row."""
        return _copied(cls, row, verb=Verb(row.verb), detail=dict(row.detail))
