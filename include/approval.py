"""Approval by a person: the question, and what becomes of an operation by the answer or without one.

Whether an operation needs it, and until when, was fixed at its claim. What is said here is written under the
operation's lease, so that it never races a leg.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from include.domain.cost import Estimate
from include.domain.inventory import Venue
from include.ledger.interventions import Person
from include.legs.approval import approval_of, unanswered
from include.legs.leg import approval_wait

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from include.ledger.ledger import Ledger
    from include.ledger.records import Operation

_PLACES = {Venue.ONCHAIN: "Base", Venue.OFFCHAIN: "Alpaca"}


class Stand(StrEnum):
    """Where an operation stands with its approval."""

    FREE = "free"
    """It needs nobody, or has begun."""
    APPROVED = "approved"
    PENDING = "pending"
    EXPIRED = "expired"
    """Nobody approved it in time."""
    REJECTED = "rejected"
    CLOSED = "closed"
    """It ended in some other way."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person said.

    :param approved: whether it may begin.
    :param by: who said so.
    :param reason: why, in their own words.
    """

    approved: bool
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is asked. The body is Markdown.

    :param until: when it is too late to approve.
    """

    subject: str
    body: str
    until: datetime


def stand_of(ledger: Ledger, operation_id: str, now: datetime) -> Stand:
    """Say where an operation stands. Nothing is written.

    :raises LookupError: when there is no such operation.
    """
    operation = ledger.operation(operation_id)
    approval = approval_of(operation, ledger)
    if not operation.status.is_open:
        rejected = approval is not None and approval.refused is not None
        return Stand.REJECTED if rejected else Stand.CLOSED
    if approval is None:
        return Stand.FREE
    if approval.given is not None:
        return Stand.APPROVED
    return Stand.PENDING if now < approval.until else Stand.EXPIRED


def settle(
    ledger: Ledger,
    operation_id: str,
    *,
    owner: str,
    lease: timedelta,
    now: datetime,
    answer: Answer | None = None,
    halted: bool = False,
) -> Stand:
    """Write down the answer, or that it is waited for, or that it is too late; and say where it stands then.

    What is decided already stays as it is, so this can be done again at will.

    :param owner: who does this, for the lease.
    :param lease: how long that may take.
    :param answer: what a person said; None where nobody has said anything.
    :param halted: whether everything stands still: then nothing is cancelled for being late.
    :raises LeaseHeld: when somebody else works on the operation.
    :raises LeaseLost: when somebody took over in the middle; nothing was written.
    """
    stand = stand_of(ledger, operation_id, now)
    if stand not in (Stand.PENDING, Stand.EXPIRED):
        return stand
    with ledger.lease(operation_id, owner, lease) as held:
        # Again, as it may have changed while the lease was somebody else's.
        stand = stand_of(ledger, operation_id, now)
        approval = approval_of(ledger.operation(operation_id), ledger)
        if approval is None or stand not in (Stand.PENDING, Stand.EXPIRED):
            return stand
        if not held.is_cancellable():
            return Stand.FREE
        if answer is not None and not answer.approved:
            Person(held, answer.by, answer.reason).reject()
            return Stand.REJECTED
        if stand is Stand.PENDING and answer is not None:
            Person(held, answer.by, answer.reason).approve()
            return Stand.APPROVED
        if stand is Stand.PENDING:
            wait = approval_wait(approval.until, now)
            first = ledger.legs(operation_id)[0].name
            held.wait(first, waiting_for=wait.reason, due_in=wait.due_in, attention=wait.attention)
        elif not halted:
            held.cancel(unanswered(approval.until))
        return stand


def question(ledger: Ledger, operation_id: str) -> Question:
    """Return what a person is asked about an operation that needs approval.

    :raises ValueError: when it needs none.
    """
    operation = ledger.operation(operation_id)
    approval = approval_of(operation, ledger)
    if approval is None:
        raise ValueError(f"operation {operation_id} needs no approval")
    kind, what = operation.kind, operation.label
    rows = {
        "What": f"{kind.value.replace('_', ' ')}: {what}",
        "From": _PLACES[kind.source],
        "To": _PLACES[kind.destination],
        "Estimated cost": _cost(operation),
        "Approve until": f"{approval.until:%Y-%m-%d %H:%M:%S} UTC; without an answer it is cancelled then",
        "Operation": f"`{operation.id}`",
    }
    table = "\n".join(["| | |", "| --- | --- |", *(f"| {name} | {text} |" for name, text in rows.items())])
    body = (
        f"{table}\n\n**Why:** {_why(ledger, operation)}\n\nExactly this amount is moved, or nothing is begun."
    )
    return Question(f"{kind.value.replace('_', ' ')}: {what}", body, approval.until)


def _cost(operation: Operation) -> str:
    if not operation.estimate:
        return "was not estimated"
    cost = Estimate.from_dict(operation.estimate).cost
    return cost.words()


def _why(ledger: Ledger, operation: Operation) -> str:
    decisions = ledger.decisions(operation.check_id)
    return next((one.detail for one in decisions if one.asset == operation.asset), "is not recorded")
