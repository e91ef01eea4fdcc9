"""Every state says what it waits for, since when, and what a person can do."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from include.domain.operation import Leg, OperationKind
from include.exits.refusal import Refusal
from include.exits.situation import describe, describe_open
from include.ledger.records import Verb
from tests.support.asked import told

if TYPE_CHECKING:
    from collections.abc import Callable

    from include.exits.situation import Situation
    from include.ledger.records import Operation
    from tests.unit.exits.conftest import Stage

MINT, REDEMPTION = OperationKind.MINT, OperationKind.REDEMPTION
TO_BASE, TO_ALPACA = OperationKind.USDC_ALPACA_TO_BASE, OperationKind.USDC_BASE_TO_ALPACA
MINUTE = timedelta(minutes=1)


def situation(stage: Stage, operation: Operation) -> Situation:
    return describe(stage.ledger, operation.id, stage.clock())


def wait(stage: Stage, operation: Operation, leg: Leg, attention: str | None = None) -> None:
    stage.under_lease(
        operation,
        lambda lease: lease.wait(leg, waiting_for="the venue", due_in=MINUTE, attention=attention),
    )


def test_describe__claimed_and_not_started__is_ready_and_blocked(stage: Stage) -> None:
    operation = stage.open(TO_BASE)
    withdraw, bridge = situation(stage, operation).legs
    assert (withdraw.state, withdraw.waiting_for) == (
        "ready",
        "a task of run-1, or of a later run, to push it",
    )
    assert (bridge.state, bridge.waiting_for) == ("blocked", "the leg before it, withdraw")
    assert withdraw.since == bridge.since == stage.clock()


def test_describe__waiting__says_for_what_since_when_and_until_when(stage: Stage) -> None:
    operation, begun = stage.open(MINT), stage.clock()
    wait(stage, operation, Leg.MINT)
    stage.clock.pass_(seconds=60)
    current = situation(stage, operation).current
    assert current is not None
    assert (current.state, current.waiting_for, current.since) == ("waiting", "the venue", begun)
    assert (current.due, current.overdue) == (begun + MINUTE, False)
    stage.clock.pass_(seconds=1)
    late = situation(stage, operation)
    assert late.current is not None
    assert late.current.overdue
    assert "overdue since 2026-03-02 14:31:00 UTC" in "\n".join(late.lines())


def test_describe__attention__shows_what_to_decide(stage: Stage) -> None:
    operation = stage.open(MINT)
    wait(stage, operation, Leg.MINT, "choose")
    found = situation(stage, operation)
    assert found.current is not None
    assert found.current.state == "attention"
    assert "to decide: choose" in "\n".join(found.lines())


def test_describe__second_leg__is_ready_since_the_first_was_done(stage: Stage) -> None:
    operation = stage.open(TO_BASE)
    done_at = stage.clock.pass_(seconds=5)
    stage.under_lease(operation, lambda lease: lease.finish(Leg.WITHDRAW, amount_out=3_999_000_000))
    first, second = situation(stage, operation).legs
    assert (first.state, first.waiting_for) == ("done", None)
    assert (second.state, second.since) == ("ready", done_at)


def test_describe__closed__waits_for_nothing_and_can_do_nothing(stage: Stage) -> None:
    operation = stage.open(TO_BASE)
    wait(stage, operation, Leg.WITHDRAW)
    found = stage.exits.close(operation.id, "the account is closed", delivered=Decimal(0))
    assert [leg.state for leg in found.legs] == ["closed", "closed"]
    assert [leg.waiting_for for leg in found.legs] == [None, None]
    assert (found.verbs, found.current) == ({}, None)
    text = "\n".join(found.lines())
    assert "outcome: the account is closed (ada)" in text
    assert "ada did reconcile at 2026-03-02 14:30:00 UTC: the account is closed" in text


def test_describe__no_such_operation__is_refused(stage: Stage) -> None:
    with pytest.raises(Refusal, match="no operation nowhere"):
        describe(stage.ledger, "nowhere", stage.clock())


def test_describe_open__leaves_out_what_is_closed(stage: Stage) -> None:
    first, second = stage.open(MINT), stage.open(TO_BASE)
    stage.exits.cancel(first.id, "not today")
    assert [one.operation.id for one in describe_open(stage.ledger, stage.clock())] == [second.id]


def test_to_dict__can_be_written_as_json(stage: Stage) -> None:
    operation = stage.open(TO_BASE)
    stage.withdrawal(operation)
    wait(stage, operation, Leg.WITHDRAW, "which?")
    stage.exits.resume(operation.id, "once more")
    found = json.loads(json.dumps(situation(stage, operation).to_dict()))
    assert found["amount"] == "4000"
    assert found["legs"][0]["effects"][0]["status"] == "unknown"
    assert found["interventions"][0]["detail"] == {"waited_for": {"withdraw": "which?"}}
    assert set(found["verbs"]) == {"resume", "adopt", "reconcile"}


def test_lines__an_effect__has_its_status_reference_and_detail(stage: Stage) -> None:
    first, second = stage.open(MINT), stage.open(TO_BASE)
    stage.mint(first, "done")
    stage.withdrawal(second)
    text = "\n".join((*situation(stage, first).lines(), *situation(stage, second).lines()))
    assert "mint_request (attempt 1): done, mint_request-1" in text
    assert "withdrawal_request (attempt 1): unknown, the answer was lost" in text


# What can be done


def verbs(stage: Stage, kind: OperationKind, *prepare: Callable[[Operation], object]) -> set[str]:
    operation = stage.open(kind)
    for step in prepare:
        step(operation)
    return {verb.value for verb in situation(stage, operation).verbs}


def test_verbs__nothing_was_sent__it_can_be_cancelled(stage: Stage) -> None:
    assert verbs(stage, MINT) == {"resume", "cancel", "reconcile"}


def test_verbs__signed_and_not_resolved__it_can_only_be_adopted(stage: Stage) -> None:
    """Its bytes may be mined at any moment: nothing can be stated, and the leg finds out by itself."""
    found = verbs(stage, REDEMPTION, lambda one: stage.transaction(one, Leg.REDEEM, "token_transfer"))
    assert found == {"resume", "adopt"}


def test_verbs__an_approval_under_way__does_not_stand_in_the_way(stage: Stage) -> None:
    found = verbs(
        stage, TO_ALPACA, lambda one: stage.transaction(one, Leg.BRIDGE, "approve", irreversible=False)
    )
    assert found == {"resume", "adopt", "cancel", "reconcile"}


def test_verbs__only_the_newest_attempt_counts(stage: Stage) -> None:
    found = verbs(stage, TO_BASE, lambda one: stage.withdrawal(one, "not_done"), stage.withdrawal)
    assert found == {"resume", "adopt", "reconcile"}


# Each place in the legs that asks for a person, and where its money is then. The refusal of the next step can
# come anywhere after money has left.
LOST, GONE = {"adopt", "reconcile"}, {"reconcile"}
ASKED = [
    ("mint.py: a status it does not know", MINT, lambda s, o: s.mint(o, "done"), GONE),
    ("mint.py: Alpaca knows the key", MINT, lambda s, o: s.mint(o, "sent"), {"adopt", "cancel", "reconcile"}),
    ("mint.py: rejected, shares gone", MINT, lambda s, o: s.mint(o, "done"), GONE),
    ("mint.py: fewer tokens", MINT, lambda s, o: s.mint(o, "done"), GONE),
    (
        "redeem.py: rejected",
        REDEMPTION,
        lambda s, o: s.transaction(o, Leg.REDEEM, "token_transfer", "done"),
        GONE,
    ),
    ("withdraw.py: answer lost", TO_BASE, lambda s, o: s.withdrawal(o, "unknown"), LOST),
    ("withdraw.py: failed with a transaction", TO_BASE, lambda s, o: s.withdrawal(o, "done"), GONE),
    ("withdraw.py: brought no USDC", TO_BASE, lambda s, o: s.withdrawal(o, "done"), GONE),
    (
        "bridge.py: not our burn",
        TO_ALPACA,
        lambda s, o: s.transaction(o, Leg.BRIDGE, "burn", "done"),
        GONE,
    ),
    (
        "bridge.py: minted nothing",
        TO_ALPACA,
        lambda s, o: s.transaction(o, Leg.BRIDGE, "burn", "done"),
        GONE,
    ),
    (
        "convert.py: what became of it is not said",
        TO_BASE,
        lambda s, o: s.order(o, "sent"),
        {"adopt", "cancel", "reconcile"},
    ),
    (
        "convert.py: its id is known and the order is not",
        TO_BASE,
        lambda s, o: s.order(o, "sent"),
        {"adopt", "cancel", "reconcile"},
    ),
    (
        "convert.py: another order under our id, after a deposit",
        TO_ALPACA,
        lambda s, o: (s.transaction(o, Leg.DEPOSIT, "usdc_transfer", "done"), s.order(o, "sent")),
        LOST,
    ),
    (
        "convert.py: never cancelled",
        TO_BASE,
        lambda s, o: s.order(o, "done"),
        {"cancel", "reconcile"},
    ),
    (
        "convert.py: a status it does not know",
        TO_ALPACA,
        lambda s, o: (s.transaction(o, Leg.DEPOSIT, "usdc_transfer", "done"), s.order(o, "done")),
        GONE,
    ),
    (
        "deposit.py: failed",
        TO_ALPACA,
        lambda s, o: s.transaction(o, Leg.DEPOSIT, "usdc_transfer", "done"),
        GONE,
    ),
    ("leg.py: refused and money is under way", TO_BASE, lambda s, o: s.withdrawal(o, "done"), GONE),
]


@pytest.mark.parametrize(("place", "kind", "prepare", "expected"), ASKED, ids=[one[0] for one in ASKED])
def test_verbs__whenever_a_leg_asks_for_a_person__there_is_something_to_decide(
    stage: Stage,
    place: str,
    kind: OperationKind,
    prepare: Callable[[Stage, Operation], object],
    expected: set[str],
) -> None:
    operation = stage.open(kind)
    prepare(stage, operation)
    wait(stage, operation, kind.legs[0], place)
    found = situation(stage, operation)
    assert {verb.value for verb in found.verbs} == {"resume", *expected}
    assert all(found.verbs[verb].endswith(".") for verb in found.verbs)
    assert Verb.RESUME in found.verbs


def test_attention__every_place_in_the_legs__is_in_the_table_above() -> None:
    places = [place.file for place in told().asked]
    # What waits for approval has verbs of its own: test_approval.py.
    assert sorted(places) == sorted([*(place.split(":")[0] for place, *_ in ASKED), "leg.py"])
