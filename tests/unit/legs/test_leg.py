"""What every leg gets from `advance`: the lease, the order, and what becomes of an error."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

import pytest

from include.domain.operation import Leg, OperationKind, OperationStatus
from include.legs.leg import (
    LEASE_POLL,
    OUTAGE_POLL,
    REFUSED_POLL,
    Closed,
    Done,
    LegOutOfOrder,
    Step,
    Wait,
    advance,
)
from include.venues.errors import OutcomeUnknown, Refused, Unavailable
from tests.unit.ledger.test_ledger import MINUTE, claim
from tests.unit.legs.test_sender import Desk, desk

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["desk"]


class Scripted(Step):
    """A leg that does what it is told."""

    leg: ClassVar[Leg] = Leg.REDEEM
    script: ClassVar[Iterator[Done | Wait | Exception]] = iter(())

    def advance(self) -> Done | Wait:
        outcome = next(self.script)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def told(*script: Done | Wait | Exception) -> type[Step]:
    return type("Told", (Scripted,), {"script": iter(script)})


def test_advance__lease_held__looks_again_soon_and_not_when_it_ends(desk: Desk) -> None:
    with desk.ledger.lease(desk.operation_id, "another", MINUTE):
        outcome = desk.push(told())
    assert isinstance(outcome, Wait)
    assert outcome.condition.holds(desk.book.venues) is False
    desk.clock.moment += LEASE_POLL
    assert outcome.condition.holds(desk.book.venues) is True


def test_advance__done__settles_and_says_so_again(desk: Desk) -> None:
    outcome = desk.push(told(Done(5, "0xproof", base_block=60)))
    assert outcome == Done(5, "0xproof", base_block=60)
    assert desk.push(told()) == Done(5, "0xproof")
    assert desk.ledger.operation(desk.operation_id).status is OperationStatus.SETTLED


@pytest.mark.parametrize(
    ("error", "pause"),
    [
        (Unavailable("down"), OUTAGE_POLL),
        (Unavailable("slow down", retry_after=42), timedelta(seconds=42)),
        (OutcomeUnknown("no answer"), OUTAGE_POLL),
    ],
)
def test_advance__venue_not_to_be_asked__waits(desk: Desk, error: Exception, pause: timedelta) -> None:
    outcome = desk.push(told(error))
    assert isinstance(outcome, Wait)
    assert outcome.every == pause
    assert outcome.attention is None
    assert str(error) in str(desk.ledger.legs(desk.operation_id)[0].waiting_for)


def test_advance__refused_before_money_moved__cancels(desk: Desk) -> None:
    outcome = desk.push(told(Refused("never")))
    assert outcome == Closed(OperationStatus.CANCELLED, "never")
    assert desk.push(told()) == outcome


def test_advance__refused_after_money_moved__keeps_the_claim_and_asks(desk: Desk) -> None:
    with desk.ledger.lease(desk.operation_id, "before", MINUTE) as lease:
        lease.sent(lease.intend(Leg.REDEEM, "payment", {}, irreversible=True))
    outcome = desk.push(told(Refused("never")))
    assert isinstance(outcome, Wait)
    assert outcome.every == REFUSED_POLL
    assert "never" in str(outcome.attention)
    assert desk.ledger.operation(desk.operation_id).status.is_open


def test_advance__overdue__is_reported_and_not_failed(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    def push() -> Wait:
        outcome = desk.push(told(Unavailable("down")))
        assert isinstance(outcome, Wait)
        return outcome

    assert push().wake_at is not None  # so that it is noticed on time
    desk.clock.pass_(hours=1)
    assert push().wake_at is None
    assert "overdue" in caplog.text
    assert desk.ledger.operation(desk.operation_id).status.is_open


def test_advance__leg_before_it_not_done__is_out_of_order(desk: Desk) -> None:
    transfer = claim(desk.ledger, desk.clock, "USDC", OperationKind.USDC_BASE_TO_ALPACA)
    step = type("Second", (Scripted,), {"leg": Leg.DEPOSIT})
    with pytest.raises(LegOutOfOrder, match="bridge"):
        advance(desk.book, transfer.id, step, "test")


def test_advance__a_fault_of_ours__is_raised_and_gives_the_lease_back(desk: Desk) -> None:
    with pytest.raises(ZeroDivisionError):
        desk.push(told(ZeroDivisionError()))
    assert isinstance(desk.push(told(Done(1, "proof"))), Done)
