"""What a person fills in: one operation, or nothing, or a complaint that names the field."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.amounts import USDC, from_base_units, plain
from include.domain.asked import WrongField, read_asked
from include.domain.decision import Asked, PlannedOperation
from include.domain.operation import OperationKind
from tests.unit.domain.strategies import ASSETS

FORM = {"kind": "mint", "asset": "AAPL", "amount": "12.5", "reason": "month end"}


def read(**changes: Any) -> Asked | None:
    return read_asked({**FORM, **changes}, by="ada", symbols=ASSETS)


def test_read__all_that_is_needed__is_the_operation_with_who_and_why() -> None:
    operation = PlannedOperation(OperationKind.MINT, "AAPL", Decimal("12.5"))
    assert read() == Asked(operation, "ada", "month end")
    assert read(amount=" 12.50 ", reason="month\n end", assets=[]) == Asked(operation, "ada", "month end")


@pytest.mark.parametrize(
    "form", [{}, {"kind": None, "asset": "", "amount": " "}, {"reason": "just so", "assets": ["AAPL"]}]
)
def test_read__nothing_asked_for__is_nothing(form: dict[str, Any]) -> None:
    assert read_asked(form, by="ada", symbols=ASSETS) is None


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"kind": None}, "kind: is needed to ask for an operation"),
        ({"asset": ""}, "asset: is needed to ask for an operation"),
        ({"amount": " "}, "amount: is needed to ask for an operation"),
        ({"reason": None}, "reason: is needed to ask for an operation"),
        (
            {"kind": "burn"},
            "kind: burn is none of mint, redemption, usdc_alpaca_to_base, usdc_base_to_alpaca",
        ),
        ({"asset": "MSFT"}, "asset: MSFT is not among the assets of the settings"),
        ({"asset": "aapl"}, "asset: aapl is not among the assets of the settings"),
        ({"asset": USDC}, "kind: mint cannot move USDC"),
        ({"kind": "usdc_alpaca_to_base"}, "kind: usdc_alpaca_to_base cannot move AAPL"),
        ({"amount": "0"}, "amount: is above 0"),
        ({"amount": "0.000"}, "amount: is above 0"),
        ({"amount": "0.0000000001"}, "amount: 0.0000000001 is finer than 9 decimals"),
        ({"amount": 12.5}, "amount: is text"),
        ({"amount": True}, "amount: is text"),
        ({"assets": ["AAPL"]}, "assets: is left empty where one operation is asked for"),
        *(
            ({"amount": text}, f"amount: {text} is not an amount such as 12.5")
            for text in ("-1", "+1", "1e3", "NaN", "inf", "1,5", "1_0", "\u0661", "1.", ".5", "1 0", "9" * 41)
        ),
    ],
)
def test_read__something_is_wrong__names_the_field(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(WrongField) as found:
        read(**changes)
    assert str(found.value) == complaint
    assert (found.value.field, found.value.problem) == tuple(complaint.split(": ", 1))


@given(st.sampled_from(list(OperationKind)), st.integers(1, 10**30))
def test_read__any_amount_of_the_kinds_own_decimals__comes_back_exactly(
    kind: OperationKind, units: int
) -> None:
    amount, asset = from_base_units(units, kind.decimals), USDC if kind.moves_usdc else "TSLA"
    asked = read(kind=kind.value, asset=asset, amount=plain(amount))
    assert asked is not None
    assert asked.operation == PlannedOperation(kind, asset, amount)


@given(st.dictionaries(st.sampled_from([*FORM, "assets"]), st.none() | st.text() | st.integers()))
def test_read__anything_at_all__is_an_operation_or_a_complaint_about_a_field(form: dict[str, Any]) -> None:
    try:
        asked = read_asked(form, by="ada", symbols=ASSETS)
    except WrongField:
        return
    assert asked is None or asked.operation.asset in ASSETS
