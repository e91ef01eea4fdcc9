"""What a form gives, and which verb it becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.domain.operation import OperationKind, OperationStatus
from include.exits.refusal import Refusal
from include.exits.request import Request
from include.ledger.records import EffectStatus, Verb

if TYPE_CHECKING:
    from tests.unit.exits.conftest import Stage

MINT, TO_BASE = OperationKind.MINT, OperationKind.USDC_ALPACA_TO_BASE


def test_perform__resume_and_cancel__do_so(stage: Stage) -> None:
    operation = stage.open(MINT)
    assert Request(Verb.RESUME, operation.id, "why").perform(stage.exits).operation.status.is_open
    stage.clock.pass_(seconds=1)
    done = Request(Verb.CANCEL, f" {operation.id} ", "why").perform(stage.exits)
    assert done.operation.status is OperationStatus.CANCELLED
    assert [one.verb for one in done.interventions] == [Verb.RESUME, Verb.CANCEL]


def test_perform__adopt__takes_the_reference(stage: Stage) -> None:
    operation = stage.open(TO_BASE)
    effect = stage.withdrawal(operation)
    stage.listed()
    request = Request(Verb.ADOPT, operation.id, "why", effect=effect.id, reference="transfer-1")
    assert request.perform(stage.exits).legs[0].effects[0].reference == "transfer-1"


def test_perform__reconcile_not_done__lets_the_operation_go_on(stage: Stage) -> None:
    operation = stage.open(TO_BASE)
    stage.withdrawal(operation)
    stage.clock.pass_(hours=1)
    done = Request(Verb.RECONCILE, operation.id, "why", outcome="not_done").perform(stage.exits)
    assert done.legs[0].effects[0].status is EffectStatus.NOT_DONE
    assert done.operation.status.is_open


def test_perform__reconcile_closed__needs_what_was_delivered(stage: Stage) -> None:
    operation = stage.open(TO_BASE)
    for delivered in ("", "much"):
        with pytest.raises(Refusal, match="as a number, 0 for nothing"):
            Request(Verb.RECONCILE, operation.id, "why", outcome="closed", delivered=delivered).perform(
                stage.exits
            )
    request = Request(Verb.RECONCILE, operation.id, "why", outcome="closed", delivered=" 12.5 ")
    assert request.perform(stage.exits).operation.delivered == 12_500_000


@pytest.mark.parametrize(
    ("request_", "missing"),
    [
        (Request(Verb.RECONCILE, "x", "why"), "an outcome is needed"),
        (Request(Verb.CANCEL, " ", "why"), "the id of an operation is needed"),
    ],
)
def test_perform__something_missing__is_refused(stage: Stage, request_: Request, missing: str) -> None:
    with pytest.raises(Refusal, match=missing):
        request_.perform(stage.exits)
