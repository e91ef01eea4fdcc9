"""What a person can do while dollars are converted: nothing, as long as an order may still trade."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from include.domain.operation import Leg, OperationKind, OperationStatus
from include.exits.refusal import Refusal
from include.exits.situation import describe
from include.ledger.records import EffectStatus, Verb
from include.legs.mint import LOOKUP_LAG

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.exits.conftest import Stage

TO_BASE, TO_ALPACA = OperationKind.USDC_ALPACA_TO_BASE, OperationKind.USDC_BASE_TO_ALPACA
WHY = "I have looked"


def cancel(stage: Stage, operation_id: str) -> object:
    return stage.exits.cancel(operation_id, WHY)


def close(stage: Stage, operation_id: str) -> object:
    return stage.exits.close(operation_id, WHY, delivered=Decimal(0))


ENDS = pytest.mark.parametrize("end", [cancel, close])


@ENDS
def test_end__order_open__is_refused(stage: Stage, end: Callable[[Stage, str], object]) -> None:
    operation = stage.open_converting(TO_BASE)
    stage.order(operation, "done")
    stage.ordered("conversion_order-1", operation.id, status="partially_filled")
    with pytest.raises(Refusal, match="has not decided about conversion_order"):
        end(stage, operation.id)
    assert stage.ledger.operation(operation.id).status.is_open


@ENDS
@pytest.mark.parametrize("status", ["filled", "canceled", "expired", "rejected", "replaced"])
def test_end__order_over__is_done(stage: Stage, end: Callable[[Stage, str], object], status: str) -> None:
    operation = stage.open_converting(TO_BASE)
    effect = stage.order(operation, "done")
    stage.ordered("conversion_order-1", operation.id, status=status)
    end(stage, operation.id)
    assert not stage.ledger.operation(operation.id).status.is_open
    # Whatever it converted is at Alpaca: it did happen.
    assert [one.status for one in stage.ledger.effects(operation.id)] == [effect.status]


@ENDS
def test_end__order_alpaca_does_not_show__has_to_wait(
    stage: Stage, end: Callable[[Stage, str], object]
) -> None:
    operation = stage.open_converting(TO_BASE)
    stage.order(operation, "done")
    with pytest.raises(Refusal, match="try again at"):
        end(stage, operation.id)


def test_end__order_after_a_deposit__counts_too(stage: Stage) -> None:
    operation = stage.open_converting(TO_ALPACA)
    stage.transaction(operation, Leg.DEPOSIT, "usdc_transfer", "done")
    stage.listed("deposit-1", direction="INCOMING", status="COMPLETE", tx_hash="0x" + "ab" * 32)
    stage.order(operation, "done")
    stage.ordered("conversion_order-1", operation.id)
    with pytest.raises(Refusal, match="has not decided about conversion_order"):
        close(stage, operation.id)
    stage.alpaca.orders.clear()
    stage.ordered("conversion_order-1", operation.id, status="filled")
    close(stage, operation.id)
    assert stage.ledger.operation(operation.id).status is OperationStatus.RECONCILED


def test_cancel__answer_lost_and_alpaca_knows_the_order__is_refused(stage: Stage) -> None:
    operation = stage.open_converting(TO_BASE)
    stage.order(operation)
    stage.ordered("order-7", operation.id)
    stage.clock.pass_(seconds=LOOKUP_LAG.total_seconds())
    with pytest.raises(Refusal, match="adopt order-7"):
        cancel(stage, operation.id)


@ENDS
def test_end__another_order_has_our_id__proves_that_ours_never_was(
    stage: Stage, end: Callable[[Stage, str], object]
) -> None:
    operation = stage.open_converting(TO_BASE)
    stage.order(operation)
    stage.ordered("order-7", operation.id, side="sell")
    with pytest.raises(Refusal, match="try again at"):
        end(stage, operation.id)
    stage.clock.pass_(seconds=LOOKUP_LAG.total_seconds())
    end(stage, operation.id)
    assert not stage.ledger.operation(operation.id).status.is_open


def test_cancel__answer_lost_a_moment_ago__has_to_wait(stage: Stage) -> None:
    operation = stage.open_converting(TO_BASE)
    stage.order(operation)
    stage.clock.pass_(seconds=(LOOKUP_LAG - timedelta(seconds=1)).total_seconds())
    with pytest.raises(Refusal, match="try again at"):
        cancel(stage, operation.id)


def test_cancel__order_sent_again_a_moment_ago__has_to_wait(stage: Stage) -> None:
    operation = stage.open_converting(TO_BASE)
    stage.order(operation)
    stage.clock.pass_(seconds=LOOKUP_LAG.total_seconds())
    again = stage.clock().isoformat()
    stage.under_lease(operation, lambda lease: lease.note(Leg.CONVERT, asked_again_at=again))
    with pytest.raises(Refusal, match="try again at"):
        cancel(stage, operation.id)


def test_cancel__order_never_was__is_cancelled(stage: Stage) -> None:
    operation = stage.open_converting(TO_BASE)
    stage.order(operation)
    stage.clock.pass_(seconds=LOOKUP_LAG.total_seconds())
    cancel(stage, operation.id)
    assert stage.ledger.operation(operation.id).status is OperationStatus.CANCELLED
    assert [one.status for one in stage.ledger.effects(operation.id)] == [EffectStatus.NOT_DONE]


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({"client_order_id": "another"}, "its client_order_id is another"),
        ({"side": "sell"}, "its side is sell"),
        ({"symbol": "BTCUSD"}, "it trades BTCUSD"),
    ],
)
def test_adopt__another_order__is_refused(stage: Stage, changes: dict[str, Any], differs: str) -> None:
    operation = stage.open_converting(TO_BASE)
    stage.order(operation)
    stage.ordered("order-7", **{"client_order_id": operation.id, **changes})
    with pytest.raises(Refusal, match=differs):
        stage.exits.adopt(operation.id, WHY, reference="order-7")
    with pytest.raises(Refusal, match="Alpaca knows no order-8"):
        stage.exits.adopt(operation.id, WHY, reference="order-8")


def test_adopt__our_order__is_taken(stage: Stage) -> None:
    operation = stage.open_converting(TO_BASE)
    stage.order(operation)
    stage.ordered("order-7", operation.id)
    stage.exits.adopt(operation.id, WHY, reference="order-7")
    [effect] = stage.ledger.effects(operation.id)
    assert (effect.status, effect.reference) == (EffectStatus.DONE, "order-7")


def test_verbs__an_order_that_happened__says_what_is_asked_first(stage: Stage) -> None:
    operation = stage.open_converting(TO_BASE)
    stage.order(operation, "done")
    found = describe(stage.ledger, operation.id, stage.clock()).verbs
    assert "nothing has left Alpaca. Alpaca is asked first whether the order is over." in found[Verb.CANCEL]
