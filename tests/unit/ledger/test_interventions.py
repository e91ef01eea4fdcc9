"""What a person does is written with who and why, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.domain.operation import Leg, OperationStatus
from include.ledger.interventions import Person
from include.ledger.lease import EffectMoved, LeaseLost, MoneyMayHaveMoved
from include.ledger.records import EffectStatus, Verb
from tests.unit.ledger.test_effects import request, sign
from tests.unit.ledger.test_ledger import MINUTE, TO_BASE, claim

if TYPE_CHECKING:
    from collections.abc import Iterator

    from include.ledger.lease import Lease
    from include.ledger.ledger import Ledger
    from tests.support.clock import Clock


@pytest.fixture
def lease(ledger: Ledger, clock: Clock) -> Iterator[Lease]:
    with ledger.lease(claim(ledger, clock, "USDC", TO_BASE).id, "test", MINUTE) as held:
        yield held


@pytest.fixture
def person(lease: Lease) -> Person:
    return Person(lease, "ada", "the bank holiday is over")


def test_resume__forgets_what_is_waited_for_and_records_it(
    person: Person, lease: Lease, ledger: Ledger, clock: Clock
) -> None:
    lease.wait(Leg.WITHDRAW, waiting_for="Alpaca", due_in=MINUTE, attention="look at it")
    person.resume()
    state = lease.leg(Leg.WITHDRAW)
    assert (state.waiting_for, state.waiting_since, state.due_at, state.attention) == (None,) * 4
    assert state.started_at is not None
    [done] = ledger.interventions(lease.operation_id)
    assert (done.verb, done.actor, done.reason, done.at) == (Verb.RESUME, "ada", person.reason, clock())
    assert done.detail == {"waited_for": {"withdraw": "look at it"}}


def test_resume__a_leg_that_is_done__stays_done(person: Person, lease: Lease, ledger: Ledger) -> None:
    lease.finish(Leg.WITHDRAW, amount_out=5)
    lease.wait(Leg.BRIDGE, waiting_for="Circle", due_in=MINUTE, attention=None)
    person.resume()
    assert [state.is_done for state in ledger.legs(lease.operation_id)] == [True, False]
    assert ledger.interventions(lease.operation_id)[0].detail == {"waited_for": {"bridge": "Circle"}}


def test_adopt__makes_the_effect_done_with_its_reference(
    person: Person, lease: Lease, ledger: Ledger
) -> None:
    effect = lease.unknown(lease.sent(request(lease)), "the answer was lost")
    lease.wait(Leg.WITHDRAW, waiting_for="Alpaca", due_in=MINUTE, attention="which one?")
    person.adopt(effect, "transfer-1")
    assert lease.leg(Leg.WITHDRAW).attention is None
    [found] = ledger.effects(lease.operation_id)
    assert (found.status, found.reference) == (EffectStatus.DONE, "transfer-1")
    [done] = ledger.interventions(lease.operation_id)
    assert done.verb is Verb.ADOPT
    assert done.detail == {
        "effect": effect.id,
        "name": "mint_request",
        "was": "unknown",
        "reference": "transfer-1",
    }


def test_refute__makes_the_effect_not_done_and_says_why(person: Person, lease: Lease, ledger: Ledger) -> None:
    effect = lease.unknown(lease.sent(request(lease)), "the answer was lost")
    lease.wait(Leg.WITHDRAW, waiting_for="Alpaca", due_in=MINUTE, attention="which one?")
    person.refute(effect, "nothing fits")
    assert lease.leg(Leg.WITHDRAW).attention is None
    [found] = ledger.effects(lease.operation_id)
    assert (found.status, found.detail) == (EffectStatus.NOT_DONE, "nothing fits")
    [done] = ledger.interventions(lease.operation_id)
    assert (done.verb, done.detail["found"]) == (Verb.RECONCILE, "nothing fits")


def test_refute__the_effect_moved_meanwhile__writes_nothing(
    person: Person, lease: Lease, ledger: Ledger
) -> None:
    old = lease.sent(request(lease))
    lease.done(old, "request-1")
    with pytest.raises(EffectMoved):
        person.refute(old, "nothing fits")
    assert ledger.interventions(lease.operation_id) == []
    assert ledger.effects(lease.operation_id)[0].status is EffectStatus.DONE


def test_cancel__with_what_is_known_not_to_have_happened__frees_the_asset(
    person: Person, lease: Lease, ledger: Ledger, clock: Clock
) -> None:
    effect = lease.sent(request(lease))
    person.cancel([effect], "Alpaca does not know it")
    operation = ledger.operation(lease.operation_id)
    assert (operation.status, operation.closed_at) == (OperationStatus.CANCELLED, clock())
    assert operation.outcome == "the bank holiday is over (ada)"
    assert ledger.effects(operation.id)[0].status is EffectStatus.NOT_DONE
    [done] = ledger.interventions(operation.id)
    assert (done.verb, done.detail["refuted"]) == (Verb.CANCEL, [effect.id])


def test_cancel__something_else_may_have_moved__writes_nothing(
    person: Person, lease: Lease, ledger: Ledger, clock: Clock
) -> None:
    effect = lease.sent(request(lease))
    sign(lease, clock, 7)
    with pytest.raises(MoneyMayHaveMoved):
        person.cancel([effect], "Alpaca does not know it")
    assert ledger.operation(lease.operation_id).status.is_open
    assert lease.effect(Leg.MINT, "mint_request") == effect
    assert ledger.interventions(lease.operation_id) == []


def test_close__keeps_what_was_delivered_and_frees_the_asset(
    person: Person, lease: Lease, ledger: Ledger
) -> None:
    lease.done(lease.sent(request(lease)), "transfer-1")
    person.close(2**70)
    operation = ledger.operation(lease.operation_id)
    assert (operation.status, operation.delivered) == (OperationStatus.RECONCILED, 2**70)
    assert ledger.open_operations() == []
    [done] = ledger.interventions(operation.id)
    assert (done.verb, done.detail) == (Verb.RECONCILE, {"delivered": str(2**70)})


def test_person__whose_lease_ran_out_and_was_taken__writes_nothing(ledger: Ledger, clock: Clock) -> None:
    operation = claim(ledger, clock)
    with ledger.lease(operation.id, "ada", MINUTE) as old:
        clock.pass_(minutes=2)
        with ledger.lease(operation.id, "a leg", MINUTE), pytest.raises(LeaseLost):
            Person(old, "ada", "too late").close(0)
    assert ledger.operation(operation.id).status.is_open
    assert ledger.interventions(operation.id) == []


def test_interventions__several__are_in_their_order(person: Person, ledger: Ledger, clock: Clock) -> None:
    person.resume()
    clock.pass_(seconds=1)
    person.close(0)
    found = ledger.interventions(person.lease.operation_id)
    assert [done.verb for done in found] == [Verb.RESUME, Verb.RECONCILE]


def test_approve__lets_it_begin_and_forgets_that_it_was_waited_for(
    person: Person, lease: Lease, ledger: Ledger, clock: Clock
) -> None:
    lease.wait(Leg.WITHDRAW, waiting_for="a person", due_in=MINUTE, attention="approve it")
    person.approve()
    assert lease.leg(Leg.WITHDRAW).attention is None
    assert ledger.operation(lease.operation_id).status is OperationStatus.OPEN
    [done] = ledger.interventions(lease.operation_id)
    assert (done.verb, done.actor, done.reason, done.at) == (Verb.APPROVE, "ada", person.reason, clock())


def test_reject__nothing_has_moved__cancels_and_says_who(
    person: Person, lease: Lease, ledger: Ledger
) -> None:
    person.reject()
    operation = ledger.operation(lease.operation_id)
    assert operation.status is OperationStatus.CANCELLED
    assert operation.outcome == "rejected: the bank holiday is over (ada)"
    assert [done.verb for done in ledger.interventions(operation.id)] == [Verb.REJECT]


def test_reject__money_may_have_moved__writes_nothing(person: Person, lease: Lease, ledger: Ledger) -> None:
    lease.sent(request(lease))
    with pytest.raises(MoneyMayHaveMoved):
        person.reject()
    assert ledger.operation(lease.operation_id).status is OperationStatus.OPEN
    assert ledger.interventions(lease.operation_id) == []
