"""What a scenario may say, and that those with names are sound."""

from __future__ import annotations

from decimal import Decimal

import pytest

from include.sandbox.scenario import SCENARIOS, USDC, Holding, Scenario, Side, vault_id

ONE = {"AAPL": Holding(Decimal(1), Decimal(1))}
DOLLARS = Holding(Decimal(1), Decimal(1))


@pytest.mark.parametrize(
    ("vaults", "wrapped", "reason"),
    [
        ({"TSLA": (vault_id(1),)}, {}, "nobody holds TSLA"),
        ({}, {"TSLA": Decimal(1)}, "nobody holds TSLA"),
        ({}, {USDC: Decimal(1)}, "nobody holds USDC"),
        ({"AAPL": (vault_id(1), vault_id(1))}, {}, "the same vault twice"),
        ({}, {"AAPL": Decimal("0.99")}, "1 token or more"),
    ],
)
def test_scenario__with_what_cannot_be__is_refused(
    vaults: dict[str, tuple[str, ...]], wrapped: dict[str, Decimal], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        Scenario(stocks=ONE, usdc=DOLLARS, vaults=vaults, wrapped=wrapped)


def test_vaults__the_scenario__has_one_of_each_kind() -> None:
    scenario = SCENARIOS["vaults"]
    kinds = {
        (len(scenario.vaults.get(symbol, ())), scenario.wrapped.get(symbol, 1) != 1)
        for symbol in scenario.stocks
    }

    assert kinds == {(0, False), (1, False), (1, True), (2, False)}
    assert len(scenario.vaults[USDC]) == 1


def test_vaults__each_of_its_shifts__can_be_done_at_the_start() -> None:
    scenario = SCENARIOS["vaults"]
    held = {**scenario.stocks, USDC: scenario.usdc}

    assert scenario.shifts
    for shift in scenario.shifts:
        holding = held[shift.asset]
        assert shift.amount <= (holding.onchain if shift.source is Side.ONCHAIN else holding.offchain)
        assert shift.vault < len(scenario.vaults[shift.asset])
