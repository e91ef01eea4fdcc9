from __future__ import annotations

import json
from decimal import Decimal

import pytest

from include.domain.decision import Asked, Decision, PlannedOperation, Reason
from include.domain.imbalance import TooMuchOffchain
from include.domain.operation import OperationKind

MINT = PlannedOperation(OperationKind.MINT, "AAPL", Decimal("31.000000001"))
PLANNED = Decision("AAPL", Reason.PLANNED, "Out.", TooMuchOffchain(Decimal("31.0000000019")), MINT)


def test_reason__each__has_a_lower_case_code_and_one_sentence() -> None:
    for reason in Reason:
        assert reason.value == reason.name.lower()
        assert Reason(reason.value) is reason
        assert reason.description.endswith(".")
        assert reason.description.count(".") == 1
    assert len({reason.description for reason in Reason}) == len(Reason)


@pytest.mark.parametrize(
    ("kind", "asset", "amount", "complaint"),
    [
        (OperationKind.MINT, "AAPL", "0", "must move something"),
        (OperationKind.MINT, "AAPL", "-1", "must not be negative"),
        (OperationKind.MINT, "AAPL", "0.0000000001", "finer than 9 decimals"),
        (OperationKind.REDEMPTION, "AAPL", "0.0000000001", "finer than 9 decimals"),
        (OperationKind.USDC_ALPACA_TO_BASE, "USDC", "0.0000001", "finer than 6 decimals"),
        (OperationKind.USDC_BASE_TO_ALPACA, "USDC", "0.0000001", "finer than 6 decimals"),
        (OperationKind.MINT, "USDC", "1", "mint cannot move USDC"),
    ],
)
def test_planned_operation__impossible__is_refused(
    kind: OperationKind, asset: str, amount: str, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        PlannedOperation(kind, asset, Decimal(amount))


@pytest.mark.parametrize(
    ("asset", "reason", "operation", "proposed", "complaint"),
    [
        ("AAPL", Reason.PLANNED, None, None, "exactly if"),
        ("AAPL", Reason.BALANCED, MINT, None, "exactly if"),
        ("AAPL", Reason.PLANNED, MINT, MINT, "not also proposed"),
        ("TSLA", Reason.PLANNED, MINT, None, "the operation moves AAPL"),
        ("TSLA", Reason.DRY_RUN, None, MINT, "the operation moves AAPL"),
    ],
)
def test_decision__that_contradicts_itself__is_refused(
    asset: str,
    reason: Reason,
    operation: PlannedOperation | None,
    proposed: PlannedOperation | None,
    complaint: str,
) -> None:
    with pytest.raises(ValueError, match=complaint):
        Decision(asset, reason, "", None, operation, proposed)


@pytest.mark.parametrize(
    "reason", [Reason.CLAIMED, Reason.STALE, Reason.SETTLING, Reason.SWITCH_NOT_AT_RUN, Reason.OVER_LIMIT]
)
def test_refused__a_planned_decision__keeps_its_operation_as_proposed(reason: Reason) -> None:
    refused = PLANNED.refused(reason, "Found at the commit.")
    assert refused == Decision("AAPL", reason, "Found at the commit.", PLANNED.imbalance, None, MINT)


def test_refused__twice__still_shows_what_was_proposed() -> None:
    assert PLANNED.refused(Reason.STALE, "").refused(Reason.CLAIMED, "").proposed == MINT


def test_refused__as_planned__is_impossible() -> None:
    with pytest.raises(ValueError, match="exactly if"):
        PLANNED.refused(Reason.PLANNED, "")


@pytest.mark.parametrize(
    "decision",
    [
        PLANNED,
        PLANNED.refused(Reason.DRY_RUN, "Dry."),
        Decision("USDC", Reason.UNREAD, "Down: \u201ctimeout\u201d"),
        Decision("AAPL", Reason.CLAIMED, "Open.", asked=Asked(MINT, "ada", "month end", "op-1")),
    ],
    ids=["planned", "proposed", "neither", "asked"],
)
def test_decision__through_json__comes_back_equal(decision: Decision) -> None:
    assert Decision.from_dict(json.loads(json.dumps(decision.to_dict()))) == decision


def test_planned_operation__through_json__comes_back_equal() -> None:
    assert PlannedOperation.from_dict(json.loads(json.dumps(MINT.to_dict()))) == MINT
    assert MINT.to_dict() == {"kind": "mint", "asset": "AAPL", "amount": "31.000000001"}


def test_decision__as_json__has_amounts_as_text() -> None:
    assert PLANNED.to_dict() == {
        "asset": "AAPL",
        "reason": "planned",
        "detail": "Out.",
        "imbalance": {"imbalance": "too_much_offchain", "excess": "31.0000000019"},
        "operation": {"kind": "mint", "asset": "AAPL", "amount": "31.000000001"},
        "proposed": None,
        "estimate": None,
        "asked": None,
    }


def test_decision__of_another_operation_than_was_asked_for__is_refused() -> None:
    asked = Asked(MINT, "ada", "month end")
    other = PlannedOperation(OperationKind.MINT, "AAPL", Decimal(30))
    with pytest.raises(ValueError, match="not the operation that was asked for"):
        Decision("AAPL", Reason.PLANNED, "Out.", None, other, asked=asked)
    with pytest.raises(ValueError, match="not the operation that was asked for"):
        Decision("AAPL", Reason.DRY_RUN, "Out.", None, None, other, asked=asked)


def test_refused__what_was_asked_for__keeps_who_asked_and_what_it_would_cost() -> None:
    asked = Asked(MINT, "ada", "month end", begun_as="op-1")
    planned = Decision("AAPL", Reason.PLANNED, "Out.", None, MINT, asked=asked)
    refused = planned.refused(Reason.HELD, "Held.")
    assert (refused.asked, refused.proposed, refused.operation) == (asked, MINT, None)


def test_decision__from_before_anything_was_asked_for__is_read() -> None:
    row = PLANNED.to_dict()
    del row["asked"]
    assert Decision.from_dict(row) == PLANNED
