"""Each of the four operations, on real chains and over real HTTP, from imbalance to settled."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from include.domain.decision import Reason
from include.domain.operation import OperationKind, OperationStatus
from include.ledger.records import EffectStatus
from include.legs.leg import Done
from include.sandbox.scenario import Shift, Side

if TYPE_CHECKING:
    from include.claim import Assignment
    from include.sandbox.world import World
    from tests.support.desk import Desk

KINDS = list(OperationKind)


def open_one(desk: Desk, kind: OperationKind) -> Assignment:
    if kind is OperationKind.USDC_BASE_TO_ALPACA:
        desk.world.shift(Shift("USDC", Decimal(8000), Side.OFFCHAIN))
    return desk.claim(desk.check(), kind)[0]


def test_check__the_scenario__finds_what_it_was_built_for(desk: Desk) -> None:
    found = {decision.asset: decision.reason for decision in desk.check().decisions}
    assert found == {
        "AAPL": Reason.BALANCED,
        "AMZN": Reason.BALANCED,
        "MSFT": Reason.PLANNED,
        "NVDA": Reason.PLANNED,
        "SPYM": Reason.PLANNED,
        "TSLA": Reason.PLANNED,
        "USDC": Reason.PLANNED,
    }


@pytest.mark.parametrize("kind", KINDS)
def test_operation__from_imbalance_to_settled__moves_the_money_once(desk: Desk, kind: OperationKind) -> None:
    assignment = open_one(desk, kind)
    desk.settle(assignment.operation_id)
    operation = desk.ledger.operation(assignment.operation_id)
    assert operation.status is OperationStatus.SETTLED
    assert desk.world.conservation() == []
    assert desk.world.under_way() == {}
    ratio = desk.check().snapshot.inventories[operation.asset].ratio
    assert ratio is not None
    assert abs(ratio - Decimal("0.5")) < Decimal("0.001")
    assert all(effect.status is EffectStatus.DONE for effect in desk.ledger.effects(operation.id))


@pytest.mark.parametrize("kind", KINDS)
def test_every_leg__run_again_after_it_is_done__makes_no_new_effect(desk: Desk, kind: OperationKind) -> None:
    assignment = open_one(desk, kind)
    for leg in kind.legs:
        outcome = desk.finish(assignment.operation_id, leg)
        assert isinstance(outcome, Done)
        before = desk.ledger.effects(assignment.operation_id), desk.world.holdings()
        again = desk.push(assignment.operation_id, leg)
        assert isinstance(again, Done)
        assert (again.amount, again.proof) == (outcome.amount, outcome.proof)
        assert (desk.ledger.effects(assignment.operation_id), desk.world.holdings()) == before


def test_check__after_everything_settled__finds_nothing_to_do(desk: Desk) -> None:
    assert len(desk.run()) == 5
    after = desk.check()
    assert {decision.reason for decision in after.decisions} == {Reason.BALANCED}
    assert desk.world.conservation() == []


def test_check__claimed_assets__are_left_alone(desk: Desk) -> None:
    open_one(desk, OperationKind.MINT)
    found = {decision.asset: decision.reason for decision in desk.check().decisions}
    assert found["MSFT"] is Reason.CLAIMED
    assert found["NVDA"] is Reason.CLAIMED
    assert found["TSLA"] is Reason.PLANNED


def test_check__anything_it_does__changes_nothing_outside(desk: Desk, world: World) -> None:
    before = world.holdings()
    desk.check()
    desk.check()
    assert world.holdings() == before
    assert desk.ledger.operations() == []
