"""Approval by a person: what is asked, what is written, and that nothing begins without it."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from include.approval import Answer, Stand, question, settle, stand_of
from include.check import Switch
from include.domain.cost import Cost, Estimate, Quote, Speed
from include.domain.decision import Asked, PlannedOperation, Reason
from include.domain.operation import Leg, OperationKind, OperationStatus
from include.exits.refusal import Refusal
from include.exits.request import Request
from include.exits.situation import describe
from include.ledger.lease import LeaseLost
from include.ledger.ledger import LeaseHeld
from include.ledger.records import CheckMode, Verb
from include.legs.approval import approval_of
from include.legs.leg import Closed, Done, Step, Wait, advance
from include.legs.route import Terms
from tests.support.plans import snapshot
from tests.unit.ledger.conftest import clock, ledger, ledger_url
from tests.unit.test_claim import checked, claimed, settings

if TYPE_CHECKING:
    from include.ledger.ledger import Ledger
    from include.ledger.records import Operation
    from tests.support.clock import Clock

__all__ = ["clock", "ledger", "ledger_url"]

MINUTE = timedelta(minutes=1)
ABOVE_42 = {"equity_approval_above": "42"}
YES, NO = Answer(True, "ada", "looks right"), Answer(False, "bob", "not before the split")


def open_one(ledger: Ledger, clock: Clock, asset: str = "NVDA", **changes: str) -> Operation:
    """Open a mint of 40 AAPL and one of 45 NVDA, where more than 42 need approval, and return one of them."""
    chosen = settings(**{**ABOVE_42, **changes})
    claimed(ledger, clock, chosen, checked(ledger, clock, chosen))
    return next(one for one in ledger.operations() if one.asset == asset)


def said(
    ledger: Ledger, clock: Clock, operation: Operation, answer: Answer | None = None, **more: Any
) -> Stand:
    return settle(ledger, operation.id, owner="a task", lease=MINUTE, now=clock(), answer=answer, **more)


def status(ledger: Ledger, operation: Operation) -> OperationStatus:
    return ledger.operation(operation.id).status


# What the claim fixes


def test_claim__above_what_goes_unasked__needs_approval_for_so_long(ledger: Ledger, clock: Clock) -> None:
    begun = clock()
    operation = open_one(ledger, clock)
    approval = approval_of(operation, ledger)
    assert approval is not None
    assert approval.until == begun + timedelta(minutes=30)
    assert approval.given is None
    assert approval_of(open_one(ledger, clock, "AAPL"), ledger) is None


@pytest.mark.parametrize(("above", "needed"), [("45", False), ("44.999999999", True), ("0", True)])
def test_claim__the_amount_itself__needs_none_and_a_bit_more_does(
    ledger: Ledger, clock: Clock, above: str, needed: bool
) -> None:
    operation = open_one(ledger, clock, equity_approval_above=above)
    assert (approval_of(operation, ledger) is not None) is needed


def test_claim__an_asset_of_its_own__goes_by_its_own_amount_and_time(ledger: Ledger, clock: Clock) -> None:
    own = json.dumps(
        {"AAPL": {"approval_above": 39, "approval_expiry": "2m"}, "NVDA": {"approval_above": 99}}
    )
    begun = clock()
    operation = open_one(ledger, clock, "AAPL", assets=own)
    approval = approval_of(operation, ledger)
    assert approval is not None
    assert approval.until == begun + 2 * MINUTE
    other = next(one for one in ledger.operations() if one.asset == "NVDA")
    assert approval_of(other, ledger) is None


def test_terms__through_json__keep_until_when_and_older_ones_need_nobody(clock: Clock) -> None:
    terms = Terms.of(settings(), "AAPL", approve_until=clock())
    assert Terms.from_dict(json.loads(json.dumps(terms.to_dict()))) == terms
    older = terms.to_dict()
    del older["approve_until"]
    assert Terms.from_dict(older).approve_until is None


def test_settings_changed_while_it_waits__what_was_asked_stays(ledger: Ledger, clock: Clock) -> None:
    operation = open_one(ledger, clock)
    claimed(ledger, clock, settings(), operation.check_id)
    assert said(ledger, clock, operation) is Stand.PENDING
    assert ledger.operation(operation.id).amount == operation.amount


# The answer


def test_settle__nobody_has_to__passes_and_writes_nothing(ledger: Ledger, clock: Clock) -> None:
    operation = open_one(ledger, clock, "AAPL")
    assert said(ledger, clock, operation) is Stand.FREE
    assert ledger.legs(operation.id)[0].waiting_for is None


def test_settle__nobody_has_said_anything__waits_and_says_for_what(ledger: Ledger, clock: Clock) -> None:
    operation = open_one(ledger, clock)
    begun = clock()
    assert said(ledger, clock, operation) is Stand.PENDING
    clock.pass_(seconds=60)
    assert said(ledger, clock, operation) is Stand.PENDING
    leg = ledger.legs(operation.id)[0]
    assert (leg.waiting_for, leg.waiting_since) == ("a person to approve it", begun)
    assert leg.due_at == begun + 30 * MINUTE
    assert leg.attention is not None
    assert leg.attention.startswith("this operation needs approval until ")


def test_settle__approved__is_written_once_with_who_when_and_why(ledger: Ledger, clock: Clock) -> None:
    operation = open_one(ledger, clock)
    said(ledger, clock, operation)
    clock.pass_(seconds=5)
    assert said(ledger, clock, operation, YES) is Stand.APPROVED
    clock.pass_(seconds=5)
    for answer in (YES, NO, None):  # what is decided stays
        assert said(ledger, clock, operation, answer) is Stand.APPROVED
    [done] = ledger.interventions(operation.id)
    assert (done.verb, done.actor, done.reason) == (Verb.APPROVE, "ada", "looks right")
    assert done.at == clock() - timedelta(seconds=5)
    assert ledger.legs(operation.id)[0].attention is None
    assert status(ledger, operation) is OperationStatus.OPEN


def test_settle__rejected__cancels_frees_the_asset_and_says_who(ledger: Ledger, clock: Clock) -> None:
    operation = open_one(ledger, clock)
    assert said(ledger, clock, operation, NO) is Stand.REJECTED
    for answer in (YES, None):
        assert said(ledger, clock, operation, answer) is Stand.REJECTED
    [done] = ledger.interventions(operation.id)
    assert (done.verb, done.actor) == (Verb.REJECT, "bob")
    closed = ledger.operation(operation.id)
    assert closed.status is OperationStatus.CANCELLED
    assert closed.outcome == "rejected: not before the split (bob)"


def test_settle__past_its_time__is_cancelled_and_cannot_be_approved(ledger: Ledger, clock: Clock) -> None:
    operation = open_one(ledger, clock)
    clock.pass_(seconds=30 * 60)
    assert said(ledger, clock, operation, YES) is Stand.EXPIRED
    closed = ledger.operation(operation.id)
    assert closed.status is OperationStatus.CANCELLED
    assert closed.outcome is not None
    assert closed.outcome.startswith("nobody approved it until ")
    assert ledger.interventions(operation.id) == []
    assert said(ledger, clock, operation) is Stand.CLOSED


def test_settle__one_microsecond_before_its_time__is_still_approved(ledger: Ledger, clock: Clock) -> None:
    operation = open_one(ledger, clock)
    clock.moment += 30 * MINUTE - timedelta(microseconds=1)
    assert said(ledger, clock, operation, YES) is Stand.APPROVED


def test_settle__at_halt_past_its_time__waits_and_is_not_approved(ledger: Ledger, clock: Clock) -> None:
    operation = open_one(ledger, clock)
    clock.pass_(seconds=3600)
    assert said(ledger, clock, operation, halted=True) is Stand.EXPIRED
    assert said(ledger, clock, operation, YES, halted=True) is Stand.EXPIRED
    assert status(ledger, operation) is OperationStatus.OPEN
    assert said(ledger, clock, operation) is Stand.EXPIRED
    assert status(ledger, operation) is OperationStatus.CANCELLED


def test_settle__adopted_by_another_run__has_only_the_time_that_is_left(ledger: Ledger, clock: Clock) -> None:
    operation = open_one(ledger, clock)
    clock.pass_(seconds=29 * 60)
    later = checked(ledger, clock, settings(**ABOVE_42), "run-2")
    claimed(ledger, clock, settings(**ABOVE_42), later, run_id="run-2", is_running=lambda run: run == "run-2")
    assert ledger.operation(operation.id).run_id == "run-2"
    assert said(ledger, clock, operation) is Stand.PENDING
    clock.pass_(seconds=60)
    assert said(ledger, clock, operation) is Stand.EXPIRED


def test_settle__somebody_else_at_work__writes_nothing(ledger: Ledger, clock: Clock) -> None:
    operation = open_one(ledger, clock)
    with ledger.lease(operation.id, "another", MINUTE), pytest.raises(LeaseHeld):
        said(ledger, clock, operation, YES)
    assert ledger.interventions(operation.id) == []


def test_settle__the_lease_is_taken_over__writes_nothing(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = open_one(ledger, clock)
    real = type(ledger).operation
    entered: list[int] = []

    def slow(self: Ledger, operation_id: str) -> Operation:
        entered.append(1)
        if len(entered) == 2:  # under the lease, before anything is written
            clock.pass_(seconds=90)
            with self.lease(operation_id, "another", MINUTE):
                return real(self, operation_id)
        return real(self, operation_id)

    monkeypatch.setattr(type(ledger), "operation", slow)
    with pytest.raises(LeaseLost):
        said(ledger, clock, operation, YES)
    assert ledger.interventions(operation.id) == []


def test_rejected__the_asset__is_not_asked_for_again_before_it_has_rested(
    ledger: Ledger, clock: Clock
) -> None:
    operation = open_one(ledger, clock)
    said(ledger, clock, operation, NO)
    clock.pass_(seconds=61)
    chosen = settings(**ABOVE_42)
    check_id = checked(ledger, clock, chosen, "run-2")
    reasons = {one.asset: one.reason for one in ledger.decisions(check_id)}
    assert (reasons["AAPL"], reasons["NVDA"]) == (Reason.CLAIMED, Reason.COOLING_DOWN)
    clock.pass_(seconds=300)
    check_id = checked(ledger, clock, chosen, "run-3")
    assert {one.asset: one.reason for one in ledger.decisions(check_id)}["NVDA"] is Reason.PLANNED


# The question


def test_question__says_what_from_where_to_where_why_until_when_and_at_what_cost(
    ledger: Ledger, clock: Clock
) -> None:
    cost = Cost(gas={"base": 10**15}, eth_price=Decimal(2000))
    estimate = Estimate(Decimal(45), Speed.FAST, cost, "", Quote())
    taken = snapshot(clock(), AAPL=(Decimal(5), Decimal(95)))
    from include.domain.plan import plan  # noqa: PLC0415 - beside its only use

    [decision] = [
        one for one in plan(taken, settings().policy(may_start=True), [], now=clock()) if one.asset == "AAPL"
    ]
    ledger.record_check(taken.id, "run-1", CheckMode.LIVE, taken, [decision])
    terms = Terms.of(settings(), "AAPL", approve_until=clock() + MINUTE)
    clock.pass_(seconds=1)
    operation = ledger.claim(
        kind=OperationKind.MINT,
        asset="AAPL",
        amount=45 * 10**9,
        decimals=9,
        check_id=taken.id,
        run_id="run-1",
        taken_at=taken.taken_at,
        notes={"terms": terms.to_dict()},
        estimate=estimate.to_dict(),
    )
    asked = question(ledger, operation.id)
    assert asked.subject == "mint: 45 AAPL shares"
    for part in (
        "| What | mint: 45 AAPL shares |",
        "| From | Alpaca |",
        "| To | Base |",
        "2 dollars: gas on base 0.001 ETH (2)",
        f"{asked.until:%Y-%m-%d %H:%M:%S} UTC",
        operation.id,
        decision.detail,
    ):
        assert part in asked.body


def test_question__about_what_needs_nobody__is_a_mistake_of_the_caller(ledger: Ledger, clock: Clock) -> None:
    with pytest.raises(ValueError, match="needs no approval"):
        question(ledger, open_one(ledger, clock, "AAPL").id)


# The legs themselves


class Free(Step):
    """A leg that is done as soon as it is let."""

    leg: ClassVar[Leg] = Leg.MINT

    def advance(self) -> Done:
        return Done(self.amount, "0xproof")


def push(ledger: Ledger, clock: Clock, operation: Operation) -> Any:
    book: Any = SimpleNamespace(
        ledger=ledger,
        settings=settings(),
        venues=SimpleNamespace(now=clock, settings=settings()),
        lease_duration=MINUTE,
    )
    return advance(book, operation.id, Free, "a leg")


def test_leg__nobody_has_approved__waits_and_says_so_as_the_task_does(ledger: Ledger, clock: Clock) -> None:
    operation = open_one(ledger, clock)
    outcome = push(ledger, clock, operation)
    assert isinstance(outcome, Wait)
    by_the_leg = ledger.legs(operation.id)[0]
    said(ledger, clock, operation)
    assert ledger.legs(operation.id)[0] == by_the_leg
    assert by_the_leg.attention == outcome.attention
    assert ledger.effects(operation.id) == []


def test_leg__approved__moves_exactly_what_was_asked(ledger: Ledger, clock: Clock) -> None:
    operation = open_one(ledger, clock)
    said(ledger, clock, operation, YES)
    clock.pass_(seconds=3600)  # what is approved stays approved
    assert push(ledger, clock, operation) == Done(45 * 10**9, "0xproof")
    assert status(ledger, operation) is OperationStatus.SETTLED


def test_leg__past_its_time__cancels(ledger: Ledger, clock: Clock) -> None:
    operation = open_one(ledger, clock)
    clock.pass_(seconds=1800)
    outcome = push(ledger, clock, operation)
    assert isinstance(outcome, Closed)
    assert outcome.outcome.startswith("nobody approved it until ")
    assert status(ledger, operation) is OperationStatus.CANCELLED


def test_leg__money_has_moved_all_the_same__goes_on(ledger: Ledger, clock: Clock) -> None:
    """What has begun has to arrive, however it came to that."""
    operation = open_one(ledger, clock)
    with ledger.lease(operation.id, "a leg", MINUTE) as lease:
        lease.sent(lease.intend(Leg.MINT, "mint_request", {}, irreversible=True))
    clock.pass_(seconds=3600)
    assert said(ledger, clock, operation, NO) is Stand.FREE
    assert push(ledger, clock, operation) == Done(45 * 10**9, "0xproof")


# What people are told


def test_situation__waits_for_approval__says_until_when_and_how(ledger: Ledger, clock: Clock) -> None:
    operation = open_one(ledger, clock)
    said(ledger, clock, operation)
    found = describe(ledger, operation.id, clock())
    assert list(found.verbs)[:2] == [Verb.APPROVE, Verb.REJECT]
    assert Verb.CANCEL in found.verbs
    assert found.current is not None
    assert found.current.state == "attention"
    assert "waits for a person to approve it" in "\n".join(found.lines())
    said(ledger, clock, operation, YES)
    after = describe(ledger, operation.id, clock())
    assert Verb.APPROVE not in after.verbs
    assert "ada did approve" in "\n".join(after.lines())


def test_situation__past_its_time__offers_no_approval(ledger: Ledger, clock: Clock) -> None:
    operation = open_one(ledger, clock)
    clock.pass_(seconds=1800)
    assert Verb.APPROVE not in describe(ledger, operation.id, clock()).verbs


@pytest.mark.parametrize("verb", [Verb.APPROVE, Verb.REJECT])
def test_exits__approve_or_reject__are_said_where_airflow_asks(verb: Verb) -> None:
    exits: Any = None
    with pytest.raises(Refusal, match=f"{verb} it where Airflow asks"):
        Request(verb, "an operation", "why").perform(exits)


# By hand


def by_hand(ledger: Ledger, clock: Clock, amount: str, run_id: str = "run-1", **changes: str) -> str:
    """Record a check of a run that was asked for a mint of AAPL."""
    from include.domain.plan import plan  # noqa: PLC0415 - beside its only use

    wish = Asked(PlannedOperation(OperationKind.MINT, "AAPL", Decimal(amount)), "ada", "month end")
    taken = snapshot(clock(), AAPL=(Decimal(50), Decimal(50)), NVDA=(Decimal(5), Decimal(95)))
    policy = settings(**changes).policy(may_start=True)
    decisions = plan(
        taken, policy, ledger.open_operations(), asked=wish, settled=ledger.settled(), now=clock()
    )
    ledger.record_check(taken.id, run_id, CheckMode.LIVE, taken, decisions)
    return taken.id


def test_claim__asked_for_by_hand__opens_just_that(ledger: Ledger, clock: Clock) -> None:
    check_id = by_hand(ledger, clock, "5")
    assert claimed(ledger, clock, settings(), check_id) == [("AAPL", "5 AAPL shares")]
    [operation] = ledger.operations()
    [decision] = [one for one in ledger.decisions(operation.check_id) if one.asset == "AAPL"]
    assert decision.asked is not None
    assert (decision.asked.by, decision.asked.reason) == ("ada", "month end")


def test_claim__asked_for_by_hand_and_too_much_by_now__opens_nothing(ledger: Ledger, clock: Clock) -> None:
    check_id = by_hand(ledger, clock, "5")
    assert claimed(ledger, clock, settings(equity_maximum="4"), check_id) == []
    assert claimed(ledger, clock, settings(equity_daily_maximum="4"), check_id) == []
    assert claimed(ledger, clock, settings(), check_id, switch=Switch.DRAIN) == []
    assert ledger.operations() == []


def test_claim__asked_for_by_hand_and_large__needs_approval_as_any(ledger: Ledger, clock: Clock) -> None:
    chosen = settings(equity_approval_above="4")
    claimed(ledger, clock, chosen, by_hand(ledger, clock, "5"))
    assert stand_of(ledger, ledger.operations()[0].id, clock()) is Stand.PENDING


def test_claim__the_whole_run_is_run_again__does_not_move_it_twice(ledger: Ledger, clock: Clock) -> None:
    """An imbalance is gone once it is moved; a wish is not, so the run remembers that it was begun."""
    claimed(ledger, clock, settings(), by_hand(ledger, clock, "5"))
    [operation] = ledger.operations()
    push(ledger, clock, operation)
    clock.pass_(seconds=30)
    assert ledger.begun_in("run-1") == operation.id
    assert claimed(ledger, clock, settings(), by_hand(ledger, clock, "5")) == []
    assert len(ledger.operations()) == 1
    # Another run is another wish.
    other = by_hand(ledger, clock, "5", "run-2")
    assert claimed(ledger, clock, settings(), other, run_id="run-2") == [("AAPL", "5 AAPL shares")]


def test_begun_in__cancelled__is_none(ledger: Ledger, clock: Clock) -> None:
    claimed(ledger, clock, settings(), by_hand(ledger, clock, "5"))
    with ledger.lease(ledger.operations()[0].id, "a leg", MINUTE) as lease:
        lease.cancel("no gas")
    assert ledger.begun_in("run-1") is None
