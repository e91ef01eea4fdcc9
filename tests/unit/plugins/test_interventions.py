from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from ballast import interventions
from include.domain.operation import OperationStatus
from include.exits.request import Outcome
from include.ledger.records import ANSWERS, Verb
from tests.unit.plugins.fakes import NAMES, opened, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from include.ledger.ledger import Ledger
    from include.settings import Settings
    from tests.support.clock import Clock
    from tests.unit.plugins.fakes import Variables

EMPTY = {
    "verb": "list",
    "operation": None,
    "reason": None,
    "reference": None,
    "outcome": None,
    "delivered": None,
    "effect": None,
}


@pytest.fixture
def fill_in(
    ledger: Ledger, clock: Clock, variables: Variables, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[dict[str, Any]]]:
    """Trigger the DAG with a form filled in, as somebody."""

    @contextmanager
    def open_ledger(_: Settings) -> Iterator[Ledger]:
        yield ledger

    @contextmanager
    def open_venues(own: Settings) -> Iterator[Any]:
        yield SimpleNamespace(settings=own, now=clock)

    monkeypatch.setattr(interventions, "open_ledger", open_ledger)
    monkeypatch.setattr(interventions, "open_venues", open_venues)
    monkeypatch.setattr(interventions, "load_settings", settings)

    def trigger(actor: str | None = "ada", **form: str) -> list[dict[str, Any]]:
        context = {"params": EMPTY | form, "dag_run": SimpleNamespace(triggering_user_name=actor)}
        monkeypatch.setattr(interventions, "get_current_context", lambda: context)
        return interventions.intervene("")

    return trigger


def test_form__offers_every_verb_and_outcome() -> None:
    assert ("list", *(verb.value for verb in Verb if verb not in ANSWERS)) == interventions.VERBS
    assert tuple(outcome.value for outcome in Outcome) == interventions.OUTCOMES


def test_list__shows_every_open_operation_and_asks_no_venue(
    fill_in: Callable[..., list[dict[str, Any]]],
    ledger: Ledger,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    operation = opened(ledger, clock)
    monkeypatch.setattr(interventions, "open_venues", None)
    with caplog.at_level("INFO"):
        [found] = fill_in()
    assert found["operation"] == operation["operation_id"]
    assert set(found["verbs"]) == {"resume", "cancel", "reconcile"}
    assert "can cancel: " in caplog.text


def test_list__nothing_is_open__says_so(
    fill_in: Callable[..., list[dict[str, Any]]], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        assert fill_in() == []
    assert "no operation is open" in caplog.text


def test_cancel__is_done_recorded_with_who_and_shown(
    fill_in: Callable[..., list[dict[str, Any]]], ledger: Ledger, clock: Clock, variables: Variables
) -> None:
    operation = opened(ledger, clock)
    variables.values[NAMES.in_progress("AAPL")] = "shown"
    [found] = fill_in(verb="cancel", operation=operation["operation_id"], reason="a split")
    assert found["status"] == OperationStatus.CANCELLED
    [done] = ledger.interventions(operation["operation_id"])
    assert (done.actor, done.reason) == ("ada", "a split")
    assert NAMES.in_progress("AAPL") not in variables.values


def test_resume__airflow_does_not_say_who__is_recorded_as_airflow(
    fill_in: Callable[..., list[dict[str, Any]]], ledger: Ledger, clock: Clock
) -> None:
    operation = opened(ledger, clock)["operation_id"]
    fill_in(actor=None, verb="resume", operation=operation, reason="once more")
    assert [done.actor for done in ledger.interventions(operation)] == ["airflow"]


def test_refused__fails_the_task_with_the_reason(
    fill_in: Callable[..., list[dict[str, Any]]],
    ledger: Ledger,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    operation = opened(ledger, clock)["operation_id"]
    with pytest.raises(AirflowFailException, match="refused: a reason is needed"):
        fill_in(verb="cancel", operation=operation)
    with pytest.raises(AirflowFailException, match="refused: the id of an operation is needed"):
        fill_in(verb="cancel", reason="why")
    assert "refused: a reason is needed" in caplog.text
    assert ledger.operation(operation).status.is_open
