"""An operation asked for on the page, and the answer to one that waits for approval: all through Airflow."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from airflow.models import DagModel, DagRun
from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select

from include.approval import Answer, settle
from include.domain.operation import OperationKind
from include.legs.route import Terms
from tests.support.airflow_home import ROOT
from tests.support.plans import recorded_check
from tests.unit.plugins.fakes import settings
from tests.unit.plugins.page.test_acts import audited

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

    from include.ledger.ledger import Ledger
    from tests.support.clock import Clock
    from tests.unit.plugins.page.conftest import Browser

KEY = "0b9e7a52-1111-4222-8333-944455566677"
WISH = {"kind": "mint", "asset": "AAPL", "amount": "12.5", "reason": "month end", "key": KEY}
MINUTE = timedelta(minutes=1)


@pytest.fixture
def dag(airflow: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The DAG with a task that asks, as Airflow has it after reading the file."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager  # noqa: PLC0415
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db  # noqa: PLC0415

    monkeypatch.setenv("BALLAST_EQUITY_APPROVAL_ABOVE", "10")
    monkeypatch.setenv("BALLAST_TOKEN_ADDRESSES", '{"AAPL": "0x' + "11" * 20 + '"}')
    bundles: Any = DagBundlesManager
    bundles().sync_bundles_to_db()
    bag = DagBag(ROOT / "dags" / "rebalancing.py", bundle_path=ROOT / "dags", load_op_links=False)
    assert bag.import_errors == {}
    sync_bag_to_db(bag, "dags-folder", None)
    yield
    with create_session() as session:
        for model in (DagRun, DagModel):
            for row in session.scalars(select(model)):
                session.delete(row)


# -- by hand -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("dag")
def test_start__starts_a_run_that_asks_for_it_in_the_name_of_the_user(ulla: Browser) -> None:
    answer = ulla.post("api/start", {**WISH, "dry_run": True})
    assert answer.status_code == 200, answer.text
    assert answer.json()["run_id"] == f"by_hand__{KEY}"
    with create_session() as session:
        [run] = session.scalars(select(DagRun))
        assert (run.triggering_user_name, run.note) == ("ulla", "month end")
        asked = {name: value for name, value in WISH.items() if name != "key"}
        assert run.conf == {**asked, "dry_run": True}
    assert [(event, user) for event, _, user, _ in audited()] == [("trigger_dag_run", "ulla")]


@pytest.mark.usefixtures("dag")
def test_start__asked_again_under_the_same_key__is_not_started_twice(ulla: Browser) -> None:
    ulla.post("api/start", WISH)
    again = ulla.post("api/start", WISH)
    assert again.status_code == 409
    assert f"as the run by_hand__{KEY}" in again.json()["detail"]
    with create_session() as session:
        assert len(list(session.scalars(select(DagRun)))) == 1


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"asset": "MSFT"}, "asset: MSFT is not among the assets of the settings"),
        ({"asset": "USDC"}, "kind: mint cannot move USDC"),
        ({"amount": "0"}, "amount: is above 0"),
        ({"amount": "1e3"}, "amount: 1e3 is not an amount such as 12.5"),
        ({"amount": ""}, "amount: is needed to ask for an operation"),
    ],
)
@pytest.mark.usefixtures("dag")
def test_start__filled_in_wrongly__names_the_field_and_starts_nothing(
    ulla: Browser, changes: dict[str, str], complaint: str
) -> None:
    answer = ulla.post("api/start", {**WISH, **changes})
    assert (answer.status_code, answer.json()["detail"]) == (422, complaint)
    with create_session() as session:
        assert list(session.scalars(select(DagRun))) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": "burn"}, "kind"),
        ({"reason": " "}, "reason"),
        ({"key": "../x"}, "key"),
        ({"amount": 12.5}, "amount"),
    ],
)
def test_start__not_such_a_form__says_what_is_wrong(
    ulla: Browser, changes: dict[str, Any], field: str
) -> None:
    answer = ulla.post("api/start", {**WISH, **changes})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][-1] == field


def test_start_and_answers__of_somebody_who_may_only_look__are_refused(vera: Browser) -> None:
    assert vera.post("api/start", WISH).status_code == 403
    for verb in ("approve", "reject"):
        assert vera.post(f"api/operations/x/{verb}", {"reason": "x"}).status_code == 403


# -- approval ----------------------------------------------------------------------------------------


@pytest.fixture
def operation(dag: None, ulla: Browser, ledger: Ledger, clock: Clock) -> str:
    """An operation that needs approval, of a run that Airflow has."""
    run_id = ulla.post("api/start", WISH).json()["run_id"]
    check_id = recorded_check(ledger, clock(), run_id=run_id, AAPL=(Decimal(19), Decimal(81)))
    clock.pass_(seconds=1)
    terms = Terms.of(settings(), "AAPL", approve_until=clock() + 30 * MINUTE)
    opened = ledger.claim(
        kind=OperationKind.MINT,
        asset="AAPL",
        amount=31 * 10**9,
        decimals=9,
        check_id=check_id,
        run_id=run_id,
        taken_at=clock(),
        notes={"terms": terms.to_dict()},
    )
    return opened.id


def asked(about: str, *, name: str = "mint.approve") -> None:
    """Put the question to Airflow, as the task does."""
    with create_session() as session:
        task = session.scalars(select(TaskInstance).where(TaskInstance.task_id == name)).one()
        task.state = TaskInstanceState.AWAITING_INPUT
        task.next_method, task.next_kwargs = "answered", {"operation_id": about}
        value: dict[str, Any] = {"value": about, "description": None, "schema": {}}
        reason: dict[str, Any] = {"value": "", "description": None, "schema": {}}
        session.add(
            HITLDetail(
                ti_id=task.id,
                options=["Approve", "Reject"],
                subject="mint: 31 AAPL shares",
                multiple=False,
                params={"operation": value, "reason": reason},
            )
        )


@pytest.mark.parametrize(("verb", "option"), [("approve", "Approve"), ("reject", "Reject")])
def test_answer__is_given_to_airflow_in_the_name_of_the_user(
    ulla: Browser, operation: str, verb: str, option: str
) -> None:
    asked(operation)
    answer = ulla.post(f"api/operations/{operation}/{verb}", {"reason": " looks\n right "})
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"operation_id": operation, "answer": verb, "by": "ulla"}
    with create_session() as session:
        [detail] = session.scalars(select(HITLDetail))
        assert detail.chosen_options == [option]
        assert detail.params_input == {"reason": "looks right", "operation": operation}
        assert detail.responded_by == {"id": "ulla", "name": "ulla"}
        assert detail.task_instance.state == TaskInstanceState.SCHEDULED
        assert detail.task_instance.next_kwargs["operation_id"] == operation
    assert "update_hitl_detail" in [event for event, _, _, _ in audited()]


def test_answer__given_already__passes_on_what_airflow_says(ulla: Browser, operation: str) -> None:
    asked(operation)
    ulla.post(f"api/operations/{operation}/approve", {"reason": "x"})
    again = ulla.post(f"api/operations/{operation}/reject", {"reason": "y"})
    assert again.status_code == 409
    assert "does not ask about it" in again.json()["detail"]


def test_answer__airflow_asks_about_another_operation__is_not_given(ulla: Browser, operation: str) -> None:
    asked("another")
    answer = ulla.post(f"api/operations/{operation}/approve", {"reason": "x"})
    assert answer.status_code == 409
    with create_session() as session:
        [detail] = session.scalars(select(HITLDetail))
        assert detail.chosen_options is None


def test_answer__needs_a_reason(ulla: Browser, operation: str) -> None:
    answer = ulla.post(f"api/operations/{operation}/approve", {"reason": " "})
    assert answer.status_code == 422


def test_answer__to_what_is_decided_or_over__is_refused_and_says_so(
    ulla: Browser, operation: str, ledger: Ledger, clock: Clock
) -> None:
    def refused() -> str:
        answer = ulla.post(f"api/operations/{operation}/approve", {"reason": "x"})
        assert answer.status_code == 409
        return str(answer.json()["detail"])

    said: dict[str, Any] = {"owner": "a task", "lease": MINUTE, "now": clock()}
    settle(ledger, operation, answer=Answer(True, "ada", "fine"), **said)
    assert "ada has approved it" in refused()
    with ledger.lease(operation, "a leg", MINUTE) as lease:
        lease.cancel("no gas")
    assert "is cancelled already: no gas" in refused()


def test_answer__to_an_operation_that_is_not_there__is_not_found(ulla: Browser) -> None:
    assert ulla.post("api/operations/none/approve", {"reason": "x"}).status_code == 404


def test_overview__what_waits_for_approval__comes_first_with_its_answers(
    ulla: Browser, operation: str, ledger: Ledger, clock: Clock
) -> None:
    settle(ledger, operation, owner="a task", lease=MINUTE, now=clock())
    [need] = ulla.get("api/overview").json()["attention"]
    assert (need["operation_id"], need["verbs"]) == (operation, ["approve", "reject"])
    assert need["text"].startswith("this operation needs approval until ")
    detail = ulla.get(f"api/operations/{operation}").json()
    assert list(detail["verbs"])[:2] == ["approve", "reject"]
    assert detail["legs"][0]["waiting_for"] == "a person to approve it"
