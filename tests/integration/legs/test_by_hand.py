"""What a person asks for, on real chains: exactly that is moved, once, and only after it is approved."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from include.approval import Answer, Stand, settle
from include.check import Run, Switch, check
from include.domain.decision import Asked, PlannedOperation, Reason
from include.domain.operation import OperationKind, OperationStatus
from include.ledger.ledger import Ledger, utc_now
from include.legs.leg import Wait
from tests.support.desk import open_desk

if TYPE_CHECKING:
    from pathlib import Path

    from include.check import Checked
    from include.sandbox.world import World
    from tests.support.desk import Desk


def wish(kind: OperationKind, asset: str, amount: str) -> Asked:
    return Asked(PlannedOperation(kind, asset, Decimal(amount)), "ada", "month end")


def look(desk: Desk, asked: Asked) -> Checked:
    return check(desk.book.venues, desk.ledger, Run(desk.run_id, asked=asked), Switch.RUN)


@pytest.mark.parametrize(
    ("kind", "asset", "amount"),
    [
        (OperationKind.MINT, "AAPL", "1.5"),
        (OperationKind.REDEMPTION, "AAPL", "1.5"),
        (OperationKind.USDC_ALPACA_TO_BASE, "USDC", "60.25"),
    ],
)
def test_by_hand__inside_or_outside_the_band__moves_exactly_that(
    desk: Desk, kind: OperationKind, asset: str, amount: str
) -> None:
    asked = wish(kind, asset, amount)
    checked = look(desk, asked)
    before = checked.snapshot.inventories[asset]
    assert [one.asset for one in checked.decisions if one.operation] == [asset]
    [assignment] = desk.claim(checked, kind)
    desk.settle(assignment.operation_id)
    operation = desk.ledger.operation(assignment.operation_id)
    assert (operation.status, operation.quantity) == (OperationStatus.SETTLED, Decimal(amount))
    assert desk.world.conservation() == []
    after = desk.check().snapshot.inventories[asset]
    assert after.onchain != before.onchain
    assert look(desk, asked).decisions[[one.asset for one in checked.decisions].index(asset)].reason in (
        Reason.ASKED_BEFORE,
        Reason.SETTLING,
    )
    assert len(desk.ledger.operations()) == 1


def test_by_hand__more_than_there_is__moves_nothing_and_says_what_would_do(desk: Desk) -> None:
    checked = look(desk, wish(OperationKind.MINT, "AAPL", "1000000"))
    [decision] = [one for one in checked.decisions if one.asked]
    assert decision.reason is Reason.OVER_AVAILABLE
    assert "The most that would do is " in decision.detail
    assert desk.claim(checked, OperationKind.MINT) == []


def test_approval__settings_and_balances_change_while_it_waits__moves_what_was_approved(
    world: World, tmp_path: Path
) -> None:
    ledger = Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}")
    with open_desk(world, ledger, equity_approval_above="1") as desk:
        [assignment] = desk.claim(look(desk, wish(OperationKind.MINT, "AAPL", "1.5")), OperationKind.MINT)
        leg = ledger.legs(assignment.operation_id)[0].name
        held_up = desk.push(assignment.operation_id, leg)
        assert isinstance(held_up, Wait)
        assert held_up.attention is not None
        assert ledger.effects(assignment.operation_id) == []
    # Other settings, under which it would be cut and would need no approval; and it is still the same.
    with open_desk(world, ledger, equity_maximum="1") as desk:
        assert isinstance(desk.push(assignment.operation_id, leg), Wait)
        stand = settle(
            ledger,
            assignment.operation_id,
            owner="a task",
            lease=timedelta(minutes=1),
            now=utc_now(),
            answer=Answer(True, "ada", "looks right"),
        )
        assert stand is Stand.APPROVED
        desk.settle(assignment.operation_id)
        assert ledger.operation(assignment.operation_id).delivered == 1_500_000_000
        assert world.conservation() == []
    ledger.close()
