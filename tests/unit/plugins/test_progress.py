from __future__ import annotations

import json
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse

from ballast import progress
from include.domain.operation import Leg, OperationKind
from tests.unit.plugins.fakes import NAMES, RUN, opened

if TYPE_CHECKING:
    import pytest

    from include.ledger.ledger import Ledger
    from tests.support.clock import Clock
    from tests.unit.plugins.fakes import Variables

KEY = NAMES.in_progress("AAPL")
MINUTE = timedelta(minutes=1)


def test_show__open_operation__says_what_is_where(ledger: Ledger, clock: Clock, variables: Variables) -> None:
    operation = opened(ledger, clock)
    with ledger.lease(operation["operation_id"], "somebody", MINUTE) as lease:
        lease.wait(Leg.MINT, waiting_for="Alpaca", due_in=MINUTE, attention="a person")

    progress.show(NAMES, ledger, ["AAPL"])

    assert json.loads(variables.values[KEY]) == {
        "operation": operation["operation_id"],
        "kind": "mint",
        "leg": "mint",
        "amount": "31",
        "since": "2026-03-02T14:30:00+00:00",
        "run": RUN,
        "waiting_for": "Alpaca",
        "attention": "a person",
    }


def test_show__first_leg_done__says_the_second(ledger: Ledger, clock: Clock, variables: Variables) -> None:
    operation = opened(ledger, clock, OperationKind.USDC_ALPACA_TO_BASE)
    with ledger.lease(operation["operation_id"], "somebody", MINUTE) as lease:
        lease.finish(Leg.WITHDRAW, amount_out=3_999_000_000)

    progress.show(NAMES, ledger, ["USDC"])

    assert json.loads(variables.values[NAMES.in_progress("USDC")])["leg"] == "bridge"


def test_show__nothing_changed__writes_nothing(ledger: Ledger, clock: Clock, variables: Variables) -> None:
    opened(ledger, clock)
    progress.show(NAMES, ledger, ["AAPL"])
    progress.show(NAMES, ledger, ["AAPL"])

    assert variables.writes == [KEY]


def test_show__closed__deletes(ledger: Ledger, clock: Clock, variables: Variables) -> None:
    operation = opened(ledger, clock)
    progress.show(NAMES, ledger, ["AAPL"])
    with ledger.lease(operation["operation_id"], "somebody", MINUTE) as lease:
        lease.cancel("the market is closed")

    progress.show(NAMES, ledger, ["AAPL"])

    assert KEY not in variables.values


def test_show__closed_and_claimed_again__shows_the_new_one(
    ledger: Ledger, clock: Clock, variables: Variables
) -> None:
    """The old operation's task is the last to write, and must not delete what is the new one's."""
    first = opened(ledger, clock)
    with ledger.lease(first["operation_id"], "somebody", MINUTE) as lease:
        lease.cancel("the market is closed")
    clock.pass_(minutes=1)
    second = opened(ledger, clock)

    progress.show(NAMES, ledger, ["AAPL"])

    assert json.loads(variables.values[KEY])["operation"] == second["operation_id"]


def test_show__airflow_cannot_be_asked__goes_on(
    ledger: Ledger, clock: Clock, variables: Variables, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR))

    opened(ledger, clock)
    monkeypatch.setattr(variables, "set", refuse)

    progress.show(NAMES, ledger, ["AAPL"])

    assert KEY not in variables.values


def test_restore__edited_missing_and_left_over__are_put_right_and_told(
    ledger: Ledger, clock: Clock, variables: Variables, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(ledger, clock)
    opened(ledger, clock, OperationKind.USDC_ALPACA_TO_BASE)
    progress.restore(NAMES, ledger)
    right = dict(variables.values)
    told: list[str] = []
    monkeypatch.setattr(progress, "log", SimpleNamespace(warning=lambda text, *parts: told.append(parts[0])))

    variables.values[KEY] = "nothing to see here"
    del variables.values[NAMES.in_progress("USDC")]
    variables.values[NAMES.in_progress("TSLA")] = "{}"
    progress.restore(NAMES, ledger)

    assert variables.values == right
    assert told == [KEY, NAMES.in_progress("TSLA"), NAMES.in_progress("USDC")]


def test_restore__all_is_right__writes_nothing(ledger: Ledger, clock: Clock, variables: Variables) -> None:
    opened(ledger, clock)
    progress.restore(NAMES, ledger)
    variables.writes.clear()

    progress.restore(NAMES, ledger)

    assert variables.writes == []
    assert variables.values["rebalancing_switch"] == "run"
