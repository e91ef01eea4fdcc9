from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskAwaitingInput

from ballast import approval
from ballast.approval import ApproveOperator
from include.domain.operation import OperationKind, OperationStatus
from include.ledger import ledger as ledgers
from include.ledger.ledger import LeaseHeld
from include.ledger.records import Verb
from include.legs.route import Terms
from tests.support.plans import recorded_check
from tests.unit.plugins.fakes import NAMES, RUN, opening, settings

if TYPE_CHECKING:
    from include.ledger.ledger import Ledger
    from tests.support.clock import Clock
    from tests.unit.plugins.fakes import Timer, Variables

MINUTE = timedelta(minutes=1)


def opened(ledger: Ledger, clock: Clock, until: timedelta | None = 30 * MINUTE) -> dict[str, str]:
    """Open a mint that needs approval for so long, and return it as a claim hands it out."""
    check_id = recorded_check(ledger, clock(), AAPL=(Decimal(19), Decimal(81)))
    terms = Terms.of(settings(), "AAPL", approve_until=None if until is None else clock() + until)
    operation = ledger.claim(
        kind=OperationKind.MINT,
        asset="AAPL",
        amount=31 * 10**9,
        decimals=9,
        check_id=check_id,
        run_id=RUN,
        taken_at=clock() + timedelta(microseconds=1),
        notes={"terms": terms.to_dict()},
    )
    return {"operation_id": operation.id, "asset": "AAPL", "label": operation.label}


class Desk:
    """A task that asks, with a ledger of its own, and what it puts to Airflow."""

    def __init__(self, ledger: Ledger, clock: Clock, variables: Variables) -> None:
        self.ledger, self.clock, self.variables = ledger, clock, variables
        self.questions: list[dict[str, Any]] = []

    def task(self, operation: dict[str, str] | None = None, **terms: Any) -> ApproveOperator:
        given = operation or opened(self.ledger, self.clock, **terms)
        return ApproveOperator(task_id="approve", book="", operation=given)

    def parked(self, task: ApproveOperator, answer: Any = None) -> TaskAwaitingInput:
        """Enter a task, or go on with an answer, and return how it waits."""
        with pytest.raises(TaskAwaitingInput) as found:
            self.enter(task, answer)
        return found.value

    def enter(self, task: ApproveOperator, answer: Any = None) -> dict[str, Any]:
        if answer is None:
            return task.execute(CONTEXT)
        given = {"operation_id": task.operation["operation_id"], "event": answer}
        return task.resume_execution("answered", given, CONTEXT)

    def status(self, task: ApproveOperator) -> OperationStatus:
        return self.ledger.operation(task.operation["operation_id"]).status


CONTEXT: Any = {
    "ti": SimpleNamespace(
        id="ti-1", dag_id="rebalancing", run_id=RUN, task_id="mint.approve", map_index=0, try_number=1
    )
}
TIMEOUT = {"error": "nobody answered", "error_type": "timeout"}


def event(task: ApproveOperator, option: str = "Approve", **changes: Any) -> dict[str, Any]:
    """Return what Airflow hands on when a person has answered."""
    given = {"reason": "looks right", "operation": task.operation["operation_id"], **changes}
    return {
        "chosen_options": [option],
        "params_input": {name: value for name, value in given.items() if value is not None},
        "responded_at": None,
        "responded_by_user": {"id": "1", "name": "ada"},
        "timedout": False,
    }


@pytest.fixture
def desk(
    ledger: Ledger, clock: Clock, variables: Variables, timer: Timer, monkeypatch: pytest.MonkeyPatch
) -> Desk:
    found = Desk(ledger, clock, variables)
    monkeypatch.setattr(approval, "open_ledger", opening(ledger))
    monkeypatch.setattr(approval, "load_settings", settings)
    monkeypatch.setattr(approval, "time", timer)
    monkeypatch.setattr(approval, "upsert_hitl_detail", lambda **asked: found.questions.append(asked))
    monkeypatch.setattr(ledgers, "utc_now", clock)
    return found


def test_execute__nobody_has_to_approve__passes_without_a_question(desk: Desk) -> None:
    task = desk.task(until=None)
    assert desk.enter(task)["approval"] == "free"
    assert desk.questions == []


def test_execute__somebody_has_to__asks_and_holds_no_worker(desk: Desk) -> None:
    task = desk.task()
    found = desk.parked(task)
    operation_id = task.operation["operation_id"]
    assert (found.method_name, found.kwargs) == ("answered", {"operation_id": operation_id})
    assert found.timeout == approval.LONGEST_WAIT
    [asked] = desk.questions
    assert (asked["ti_id"], asked["options"]) == ("ti-1", ["Approve", "Reject"])
    assert asked["subject"] == "mint: 31 AAPL shares"
    assert "| From | Alpaca |" in asked["body"]
    assert asked["params"]["operation"]["value"] == operation_id
    assert asked["params"]["reason"]["schema"]["minLength"] == 1
    shown = desk.variables.values[NAMES.in_progress("AAPL")]
    assert "a person to approve it" in shown
    assert "this operation needs approval until" in shown


def test_execute__little_time_left__is_looked_at_when_it_is_over(desk: Desk) -> None:
    task = desk.task(until=3 * MINUTE)
    desk.clock.pass_(seconds=60)
    assert desk.parked(task).timeout == 2 * MINUTE


def test_answered__approved__passes_and_is_in_the_ledger(desk: Desk) -> None:
    task = desk.task()
    desk.parked(task)
    assert desk.enter(task, event(task)) == {
        "operation": task.operation["operation_id"],
        "asset": "AAPL",
        "approval": "approved",
    }
    [done] = desk.ledger.interventions(task.operation["operation_id"])
    assert (done.verb, done.actor, done.reason) == (Verb.APPROVE, "ada", "looks right")
    assert desk.enter(task)["approval"] == "approved"  # cleared, it does not ask again
    assert len(desk.questions) == 1


def test_answered__rejected__cancels_and_skips_and_does_so_again(desk: Desk) -> None:
    task = desk.task()
    desk.parked(task)
    with pytest.raises(AirflowSkipException, match=r"rejected: not today \(ada\)"):
        desk.enter(task, event(task, "Reject", reason="not today"))
    assert desk.status(task) is OperationStatus.CANCELLED
    assert NAMES.in_progress("AAPL") not in desk.variables.values
    with pytest.raises(AirflowSkipException, match="rejected"):
        desk.enter(task)


def test_answered__rejected_without_a_word__is_rejected(desk: Desk) -> None:
    task = desk.task()
    with pytest.raises(AirflowSkipException, match=r"no reason was given \(ada\)"):
        desk.enter(task, event(task, "Reject", reason=None, operation=None))


@pytest.mark.parametrize("lacking", [{"reason": " "}, {"reason": None}, {"operation": None}])
def test_answered__approved_without_what_that_needs__is_asked_again(
    desk: Desk, lacking: dict[str, Any]
) -> None:
    task = desk.task()
    desk.parked(task)
    desk.parked(task, event(task, **lacking))
    assert len(desk.questions) == 2  # which takes the answer away that does not count
    assert desk.ledger.interventions(task.operation["operation_id"]) == []


def test_answered__by_nobody__is_asked_again(desk: Desk) -> None:
    task = desk.task()
    desk.parked(task, {**event(task), "responded_by_user": None})
    assert desk.status(task) is OperationStatus.OPEN


def test_answered__the_question_was_about_another_operation__approves_nothing(desk: Desk) -> None:
    task = desk.task()
    with pytest.raises(AirflowFailException, match="is about operation other"):
        desk.enter(task, event(task, operation="other"))
    assert desk.ledger.interventions(task.operation["operation_id"]) == []


def test_answered__the_claim_has_handed_out_another_since__that_one_is_not_approved(desk: Desk) -> None:
    first = desk.task()
    answer = event(first)
    asked_about = first.operation["operation_id"]
    with desk.ledger.lease(asked_about, "a test", MINUTE) as lease:
        lease.cancel("no gas")
    desk.clock.pass_(seconds=1)
    second = desk.task()
    given = {"operation_id": asked_about, "event": answer}
    with pytest.raises(AirflowFailException, match="and is now for another one"):
        second.resume_execution("answered", given, CONTEXT)
    assert desk.ledger.interventions(second.operation["operation_id"]) == []


def test_answered__nobody_yet__goes_on_waiting_without_a_new_question(desk: Desk) -> None:
    task = desk.task()
    desk.parked(task)
    desk.clock.pass_(seconds=600)
    assert desk.parked(task, TIMEOUT).timeout == approval.LONGEST_WAIT
    assert len(desk.questions) == 1


def test_answered__nobody_in_time__cancels_and_fails(desk: Desk) -> None:
    task = desk.task()
    desk.parked(task)
    desk.clock.pass_(seconds=1800)
    with pytest.raises(AirflowFailException, match="nobody approved it until"):
        desk.enter(task, TIMEOUT)
    assert desk.status(task) is OperationStatus.CANCELLED
    assert desk.enter(task)["approval"] == "closed"  # cleared, it passes, and the legs say what became of it


def test_answered__too_late__cancels_and_fails(desk: Desk) -> None:
    task = desk.task()
    desk.clock.pass_(seconds=1801)
    with pytest.raises(AirflowFailException, match="nobody approved it until"):
        desk.enter(task, event(task))


def test_answered__cancelled_by_other_means_meanwhile__passes_on_to_the_legs(desk: Desk) -> None:
    task = desk.task()
    desk.parked(task)
    with desk.ledger.lease(task.operation["operation_id"], "a person", MINUTE) as lease:
        lease.cancel("not now")
    assert desk.enter(task, TIMEOUT)["approval"] == "closed"


def test_halt__asks_takes_the_answer_and_cancels_nothing(desk: Desk) -> None:
    desk.variables.values[NAMES.switch] = "halt"
    task = desk.task()
    desk.parked(task)
    assert len(desk.questions) == 1
    desk.clock.pass_(seconds=1801)
    assert desk.parked(task, TIMEOUT).timeout == approval.SHORTEST_WAIT
    assert desk.parked(task, event(task)).timeout == approval.SHORTEST_WAIT
    assert desk.status(task) is OperationStatus.OPEN
    desk.variables.values[NAMES.switch] = "run"
    with pytest.raises(AirflowFailException, match="nobody approved it until"):
        desk.enter(task, TIMEOUT)


@pytest.mark.parametrize("switch", ["halt", "drain"])
def test_halt_or_drain__approved__is_written_down(desk: Desk, switch: str) -> None:
    desk.variables.values[NAMES.switch] = switch
    task = desk.task()
    assert desk.enter(task, event(task))["approval"] == "approved"


def test_somebody_else_at_work__is_waited_for(desk: Desk, timer: Timer) -> None:
    task = desk.task()
    with desk.ledger.lease(task.operation["operation_id"], "a person", timedelta(seconds=20)):
        assert desk.enter(task, event(task))["approval"] == "approved"
    assert 20 <= sum(timer.slept) <= 21


def test_somebody_else_at_work_for_ever__is_tried_again_by_airflow(desk: Desk) -> None:
    task = desk.task()
    lease = desk.ledger.lease(task.operation["operation_id"], "a person", timedelta(days=1))
    with lease, pytest.raises(LeaseHeld):
        desk.enter(task, event(task))
    assert desk.ledger.interventions(task.operation["operation_id"]) == []


def test_resume__airflow_lost_the_answer__asks_again(desk: Desk) -> None:
    task = desk.task()
    with pytest.raises(TaskAwaitingInput):
        task.resume_execution("__fail__", {"error": "lost"}, CONTEXT)
    assert len(desk.questions) == 1
