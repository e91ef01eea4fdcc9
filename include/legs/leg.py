"""The contract of every leg, and the one way to advance one.

A leg is re-entrant. `advance` reads the ledger and the world, does the next thing, and says whether the leg
is done or what it waits for. First entry, retry, wake-up, cleared task and resumed run are the same call.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from include.domain.amounts import TOKEN_DECIMALS, USDC_DECIMALS, from_base_units
from include.domain.operation import Leg, OperationStatus
from include.ledger.ledger import LeaseHeld
from include.legs.approval import approval_from, approval_of, unanswered
from include.legs.conditions import Condition, Until
from include.legs.forecast import clocked
from include.legs.route import Terms
from include.venues.errors import OutcomeUnknown, Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal

    from include.book import Book, Venues
    from include.ledger.lease import Lease
    from include.ledger.records import LegState, Operation
    from include.settings import Settings

log = logging.getLogger(__name__)

LEASE_POLL = timedelta(seconds=1)
OUTAGE_POLL = timedelta(seconds=10)
OUTAGE_DUE = timedelta(minutes=10)
REFUSED_POLL = timedelta(seconds=60)
APPROVAL_POLL = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class InHand:
    """What a leg left in the wallet on Base, for the next one to take from there.

    :param token: its contract.
    :param units: how much of it, in the token's own base units.
    """

    token: str
    units: int


@dataclass(frozen=True, slots=True)
class Done:
    """The leg's money has arrived.

    :param amount: what arrived, in base units of the operation.
    :param base_block: the block of the last receipt on Base, where there is one; likewise on Ethereum.
    :param proof: the transaction hash or venue's id that a person can look up.
    :param in_hand: what it arrived as, where that is not the same number of the asset's own tokens.
    """

    amount: int
    proof: str
    base_block: int | None = None
    ethereum_block: int | None = None
    in_hand: InHand | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """The leg cannot go on before something happens.

    :param condition: what to poll; it only says that another look is worth it.
    :param every: time between two polls.
    :param reason: what is waited for, for people; the same words are the same wait.
    :param due_in: past this time the operation is overdue: reported, never failed.
    :param attention: what a person has to decide, where the leg cannot go on by itself.
    :param wake_at: look again then, even when the condition does not hold.
    """

    condition: Condition
    every: timedelta
    reason: str
    due_in: timedelta
    attention: str | None = None
    wake_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """The operation is over without this leg: cancelled, or reconciled by a person."""

    status: OperationStatus
    outcome: str


Outcome = Done | Wait | Closed


class LegOutOfOrder(RuntimeError):
    """A leg was advanced before the one it takes its money from was done."""


@dataclass(frozen=True)
class Step(ABC):
    """One entry into one leg, with everything it works on. A new leg is a subclass in a file of its own."""

    leg: ClassVar[Leg]

    book: Book
    lease: Lease
    operation: Operation
    state: LegState
    settings: Settings = field(init=False)
    venues: Venues = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", self.book.settings)
        object.__setattr__(self, "venues", self.book.venues)

    @property
    def amount(self) -> int:
        """What this leg moves, in base units of the operation: what arrived by the leg before."""
        if self.state.amount_in is None:
            msg = f"{self.leg} of operation {self.operation.id} has no money to move yet"
            raise LegOutOfOrder(msg)
        return self.state.amount_in

    @property
    def quantity(self) -> Decimal:
        """The same in whole shares or USDC."""
        return from_base_units(self.amount, self.operation.decimals)

    @property
    def terms(self) -> Terms:
        """What the operation was claimed under; for one that is older than such notes, what is set now."""
        kept = self.notes.get("terms")
        return Terms.of(self.settings, self.operation.asset) if kept is None else Terms.from_dict(kept)

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The legs of this operation, in order."""
        return tuple(state.name for state in self.book.ledger.legs(self.operation.id))

    @property
    def in_hand(self) -> InHand:
        """What this leg takes from the wallet on Base: what the leg before left, else the asset's tokens."""
        for state in self.book.ledger.legs(self.operation.id):
            left = state.notes.get("in_hand")
            if state.position == self.state.position - 1 and left is not None:
                return InHand(left["token"], left["units"])
        return InHand(self.terms.token, self.amount * self._finer)

    @property
    def token_decimals(self) -> int:
        """The decimals of the asset's contract on Base, and of its wrapper's shares."""
        return USDC_DECIMALS if self.operation.kind.moves_usdc else TOKEN_DECIMALS

    @property
    def _finer(self) -> int:
        return int(10 ** (self.token_decimals - self.operation.decimals))

    def floored(self, units: int) -> int:
        """Return base units of the asset's contract as base units of the operation, rounded down."""
        return units // self._finer

    @property
    def notes(self) -> Mapping[str, Any]:
        """What this leg must not forget, as it was on entry."""
        return self.state.notes

    @abstractmethod
    def advance(self) -> Outcome:
        """Do the next thing.

        :raises Refused: when it can never be done as planned. The operation is cancelled if no money has left
            its venue; otherwise it waits and a person is asked.
        :raises Unavailable: when a venue could not be asked.
        """

    def pause(self, every: timedelta, reason: str, due_in: timedelta, attention: str | None = None) -> Wait:
        """Wait for nothing but time, and then look again."""
        return Wait(Until.at(self.venues.now() + every), every, reason, due_in, attention)


def advance(book: Book, operation_id: str, step_class: type[Step], owner: str) -> Outcome:
    """Advance one leg of an operation as far as it goes now.

    :param owner: who asks, for the lease.
    :raises LegOutOfOrder: when the leg before is not done.
    :raises LeaseLost: when somebody else took over in the middle; they go on.
    """
    ended = _ended(book, operation_id, step_class.leg)
    if ended is not None:
        return ended
    try:
        with book.ledger.lease(operation_id, owner, book.lease_duration) as lease:
            # Again, as it may have ended while the lease was somebody else's.
            ended = _ended(book, operation_id, step_class.leg)
            if ended is not None:
                return ended
            step = step_class(book, lease, book.ledger.operation(operation_id), lease.leg(step_class.leg))
            held_up = _unapproved(step)
            return _record(step, _attempt(step) if held_up is None else held_up)
    except LeaseHeld as held:
        # A step takes a moment; only after a crash is the lease held to its end.
        look_again = min(held.until, book.venues.now() + LEASE_POLL)
        return Wait(Until.at(look_again), LEASE_POLL, "somebody else to finish a step", book.lease_duration)


def _ended(book: Book, operation_id: str, leg: Leg) -> Done | Closed | None:
    operation = book.ledger.operation(operation_id)
    for state in book.ledger.legs(operation_id):
        if state.name is leg:
            if state.is_done:
                return Done(state.amount_out or 0, str(state.notes.get("proof", "")))
            break
        if not state.is_done and operation.status.is_open:
            msg = f"{leg} of operation {operation_id} comes after {state.name}, which is not done"
            raise LegOutOfOrder(msg)
    if not operation.status.is_open:
        return Closed(operation.status, operation.outcome or "")
    return None


def approval_wait(until: datetime, now: datetime) -> Wait:
    """Return the wait of an operation that a person has to approve before anything of it begins."""
    return Wait(
        Until.at(until),
        APPROVAL_POLL,
        "a person to approve it",
        until - now,
        attention=f"this operation needs approval until {until:%Y-%m-%d %H:%M:%S} UTC",
    )


def _unapproved(step: Step) -> Wait | Closed | None:
    """Hold up an operation that has not begun and that nobody has approved; past its time, cancel it.

    The task that asks comes first in its group, but a group can be built without it, and a task be marked as
    done by hand. Once money may have moved it has to arrive, approved or not.
    """
    if approval_from([step.state], ()) is None:
        return None  # most need nobody, and their own leg says so without another look into the ledger
    approval, now = approval_of(step.operation, step.book.ledger), step.venues.now()
    if approval is None or approval.given is not None or not step.lease.is_cancellable():
        return None
    if now < approval.until:
        return approval_wait(approval.until, now)
    step.lease.cancel(unanswered(approval.until))
    return Closed(OperationStatus.CANCELLED, unanswered(approval.until))


def _attempt(step: Step) -> Outcome:
    try:
        return step.advance()
    except Unavailable as error:
        pause = timedelta(seconds=error.retry_after) if error.retry_after else OUTAGE_POLL
        return step.pause(pause, f"a venue that does not answer: {error}", OUTAGE_DUE)
    except OutcomeUnknown as error:
        # Only reads get here: a leg deals with the unknown outcome of its own effects.
        return step.pause(OUTAGE_POLL, f"a venue that does not answer: {error}", OUTAGE_DUE)
    except Refused as error:
        if step.lease.is_cancellable():
            step.lease.cancel(str(error))
            return Closed(OperationStatus.CANCELLED, str(error))
        return step.pause(
            REFUSED_POLL,
            f"a person, as the next step was refused: {error}",
            OUTAGE_DUE,
            attention=f"the next step was refused and money is under way: {error}",
        )


def _record(step: Step, outcome: Outcome) -> Outcome:
    match outcome:
        case Done():
            left = {} if outcome.in_hand is None else {"in_hand": asdict(outcome.in_hand)}
            took = clocked(step.notes, None, step.venues.now())
            step.lease.note(step.leg, proof=outcome.proof, **left, **took)
            step.lease.finish(
                step.leg,
                amount_out=outcome.amount,
                base_block=outcome.base_block,
                ethereum_block=outcome.ethereum_block,
            )
            log.info("%s of operation %s is done: %s", step.leg, step.operation.id, outcome.proof)
        case Wait():
            state = step.lease.wait(
                step.leg,
                waiting_for=outcome.reason,
                due_in=outcome.due_in,
                attention=outcome.attention,
                notes=clocked(step.notes, outcome.condition, step.venues.now()),
            )
            if state.due_at is not None and step.venues.now() > state.due_at:
                log.warning(
                    "%s of operation %s is overdue: it waits for %s since %s",
                    step.leg,
                    step.operation.id,
                    outcome.reason,
                    state.waiting_since,
                )
            elif state.due_at is not None:
                # Look again when it becomes overdue, so that this is noticed on time.
                wake_at = min(outcome.wake_at, state.due_at) if outcome.wake_at else state.due_at
                outcome = replace(outcome, wake_at=wake_at)
        case Closed():
            log.warning("operation %s is %s: %s", step.operation.id, outcome.status, outcome.outcome)
    return outcome
