"""What a person asks for is moved exactly, or refused: everything that holds for an excess holds for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.amounts import USDC, floor_to, from_base_units, to_base_units
from include.domain.decision import Asked, PlannedOperation
from include.domain.inventory import Balance, Inventory, Venue
from include.domain.limits import DailyLimits, Hold, Shut
from include.domain.operation import OpenOperation, OperationKind
from include.domain.plan import Decision, Policy, Reason, plan, to_ask
from tests.unit.domain.build import (
    DOWN,
    NOW,
    asset_policy,
    balance,
    inventory,
    operation,
    policy,
    settled,
    snapshot,
)
from tests.unit.domain.test_plan_properties import Case, asset_policies, cases

EVEN = inventory("50", "50")
MINT, REDEMPTION = OperationKind.MINT, OperationKind.REDEMPTION


def asked(amount: str = "5", kind: OperationKind = MINT, asset: str = "AAPL") -> Asked:
    return Asked(PlannedOperation(kind, asset, Decimal(amount)), "ada", "month end")


def decide(
    wish: Asked, held: Inventory = EVEN, wanted: Policy | None = None, *claims: OpenOperation, **more: Any
) -> Decision:
    (decision,) = plan(
        snapshot(held),
        wanted or policy([held.asset]),
        claims,
        asked=wish,
        **{"now": NOW, **more},
    )
    return decision


# What is planned


@pytest.mark.parametrize("kind", [MINT, REDEMPTION])
@pytest.mark.parametrize("held", [EVEN, inventory("19", "81"), inventory("81", "19")])
def test_plan__asked_for_in_any_state__is_planned_as_asked(kind: OperationKind, held: Inventory) -> None:
    wish = asked(kind=kind)
    decision = decide(wish, held)
    assert (decision.reason, decision.operation) == (Reason.PLANNED, wish.operation)
    assert decision.asked == wish
    assert f"ada asked for {kind.value} 5: month end." in decision.detail


def test_plan__all_that_is_free__is_planned() -> None:
    assert decide(asked("50")).reason is Reason.PLANNED


def test_plan__asked_for_one_asset__moves_no_other() -> None:
    held = inventory("19", "81", "TSLA")
    found = plan(snapshot(EVEN, held), policy(["AAPL", "TSLA"]), [], asked=asked(), now=NOW)
    assert {one.asset: one.reason for one in found} == {
        "AAPL": Reason.PLANNED,
        "TSLA": Reason.NOT_SELECTED,
    }
    assert [one.asked for one in found] == [asked(), None]


def test_plan__asked_for_and_not_selected__moves_nothing() -> None:
    wanted = policy(["AAPL", "TSLA"], selected=frozenset({"TSLA"}))
    held = inventory("19", "81", "TSLA")
    found = plan(snapshot(EVEN, held), wanted, [], asked=asked(), now=NOW)
    assert {one.reason for one in found} == {Reason.NOT_SELECTED}


def test_plan__asked_for_what_is_not_configured__is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="selected but not configured: GME"):
        decide(asked(asset="GME"))


def test_plan__begun_already__is_not_begun_again() -> None:
    wish = replace(asked(), begun_as="op-7")
    decision = decide(wish)
    assert (decision.reason, decision.operation, decision.proposed) == (Reason.ASKED_BEFORE, None, None)
    assert "begun as operation op-7" in decision.detail


# What is refused, instead of cut


@pytest.mark.parametrize(
    ("amount", "held", "sizes", "reason", "words"),
    [
        ("50.000000001", EVEN, {}, Reason.OVER_AVAILABLE, "The most that would do is 50."),
        (
            "31",
            inventory("50", balance("30.0000000009", held="20")),
            {},
            Reason.OVER_AVAILABLE,
            "30.0000000009 is free offchain (20 is held). Not moved: 30.0000000009 is free. "
            "The most that would do is 30.",
        ),
        (
            "31",
            EVEN,
            {"maximum": "30"},
            Reason.OVER_MAXIMUM,
            "the maximum is 30. The most that would do is 30.",
        ),
        ("31", EVEN, {"cap": "30"}, Reason.OVER_MAXIMUM, "the cap is 30. The most that would do is 30."),
        ("60", EVEN, {"maximum": "20"}, Reason.OVER_AVAILABLE, "The most that would do is 20."),
        ("4", EVEN, {"minimum": "5"}, Reason.BELOW_MINIMUM, "the minimum is 5. 5 to 50 would do."),
        ("4", inventory("50", "3"), {"minimum": "5"}, Reason.BELOW_MINIMUM, "No amount would do."),
        ("6", inventory("50", "3"), {"minimum": "5"}, Reason.OVER_AVAILABLE, "No amount would do."),
        ("1", inventory("50", balance("0", held="9")), {}, Reason.NOTHING_AVAILABLE, "(9 is held)."),
    ],
)
def test_plan__more_or_less_than_would_do__is_refused_and_says_what_would(
    amount: str, held: Inventory, sizes: dict[str, str], reason: Reason, words: str
) -> None:
    decision = decide(asked(amount), held, policy({"AAPL": asset_policy(**{"minimum": "0", **sizes})}))
    assert (decision.reason, decision.operation, decision.proposed) == (reason, None, None)
    assert words in decision.detail
    assert decision.asked == asked(amount)


@pytest.mark.parametrize(
    ("moved", "minimum", "words"),
    [
        ("90", "0", "The most that would do is 10."),
        ("100", "0", "No amount would do."),
        ("97", "5", "No amount would do."),
    ],
)
def test_plan__more_than_is_left_of_the_day__is_refused_and_not_cut(
    moved: str, minimum: str, words: str
) -> None:
    wanted = policy({"AAPL": asset_policy(minimum)}, daily=DailyLimits(equity=Decimal(100)))
    decision = decide(asked("11"), wanted=wanted, moved_today={"AAPL": Decimal(moved)})
    assert (decision.reason, decision.proposed) == (Reason.OVER_DAILY_LIMIT, asked("11").operation)
    assert words in decision.detail


def test_plan__several_limits_at_once__says_what_passes_all_of_them() -> None:
    wanted = policy({"AAPL": asset_policy("0", "40", cap="35")}, daily=DailyLimits(equity=Decimal(100)))
    decision = decide(asked("60"), wanted=wanted, moved_today={"AAPL": Decimal(80)})
    assert decision.reason is Reason.OVER_AVAILABLE
    assert "The most that would do is 20." in decision.detail
    assert decide(asked("20"), wanted=wanted, moved_today={"AAPL": Decimal(80)}).reason is Reason.PLANNED


# What forbids it, as it forbids anything


@pytest.mark.parametrize(
    ("reason", "wanted", "more"),
    [
        (Reason.STALE, {}, {"now": NOW + timedelta(hours=1)}),
        (Reason.SETTLING, {}, {"settled": {"AAPL": settled(ago=0)}}),
        (Reason.ASSET_DISABLED, {"assets": {"AAPL": asset_policy(enabled=False)}}, {}),
        (Reason.HELD, {}, {"hold": Hold(frozenset({"AAPL"}))}),
        (
            Reason.COOLING_DOWN,
            {"refusal_cooldown": timedelta(minutes=5)},
            {"settled": {"AAPL": settled(refusals=1)}},
        ),
        (Reason.REBALANCING_DISABLED, {"enabled": False}, {}),
        (Reason.SWITCH_NOT_AT_RUN, {"may_start": False}, {}),
        (Reason.FROZEN, {}, {"shut": {"AAPL": Shut(Reason.FROZEN, "a split")}}),
        (Reason.OVER_COST_BUDGET, {}, {"shut": {"AAPL": Shut(Reason.OVER_COST_BUDGET, "too dear")}}),
        (Reason.OVER_LIMIT, {"max_open_operations": 0}, {}),
        (Reason.DRY_RUN, {"dry_run": True}, {}),
    ],
)
def test_plan__forbidden_for_any_move__is_forbidden_by_hand_too(
    reason: Reason, wanted: dict[str, Any], more: dict[str, Any]
) -> None:
    decision = decide(asked(), EVEN, policy(**wanted), **more)
    assert (decision.reason, decision.operation, decision.asked) == (reason, None, asked())


@pytest.mark.parametrize(
    ("reason", "held", "claims"),
    [
        (Reason.CLAIMED, EVEN, [operation()]),
        (Reason.UNREAD, inventory("50", DOWN), []),
        (Reason.UNREAD, inventory(DOWN, "50"), []),
        (Reason.IN_FLIGHT, inventory(balance("50", in_flight="1"), "50"), []),
        (Reason.NO_INVENTORY, inventory("0", "0"), []),
    ],
)
def test_plan__the_asset_cannot_be_judged__neither_can_what_was_asked(
    reason: Reason, held: Inventory, claims: list[OpenOperation]
) -> None:
    decision = decide(asked(), held, None, *claims)
    assert (decision.reason, decision.operation, decision.asked) == (reason, None, asked())


def test_to_ask__what_was_asked_for__is_asked_of_the_gate_too() -> None:
    assert to_ask([decide(asked())]) == (asked().operation,)
    assert to_ask([decide(asked("99"))]) == ()


# Whatever the arguments


@st.composite
def wishes(draw: st.DrawFn, case: Case) -> Asked:
    """Something to ask for, often about as much as there is."""
    asset = draw(st.sampled_from(sorted(case.wanted.assets)))
    kind = draw(st.sampled_from([kind for kind in OperationKind if kind.accepts(asset)]))
    units, most = st.integers(1, 10**15), Decimal(0)
    held = case.taken.inventories.get(asset)
    side = held and (held.onchain if kind.source is Venue.ONCHAIN else held.offchain)
    if isinstance(side, Balance):
        most = floor_to(min(side.available, Decimal(10**40)), kind.decimals)
    if most:
        units |= st.integers(1, to_base_units(most, kind.decimals))
    return Asked(PlannedOperation(kind, asset, from_base_units(draw(units), kind.decimals)), "ada", "why")


@st.composite
def asked_cases(draw: st.DrawFn) -> tuple[Case, Asked]:
    case = draw(cases())
    if not case.wanted.assets:
        wanted = replace(case.wanted, assets={"AAPL": draw(asset_policies())}, selected=None)
        case = case._replace(wanted=wanted)
    return case, draw(wishes(case))


def planned(case: Case, wish: Asked, **changed: Any) -> tuple[Decision, ...]:
    arguments: dict[str, Any] = {
        "settled": case.settled,
        "moved_today": case.moved,
        "hold": case.hold,
        "shut": case.shut,
        "now": NOW,
    }
    return plan(case.taken, case.wanted, case.open_operations, asked=wish, **{**arguments, **changed})


@given(asked_cases())
def test_plan__whatever_is_asked__is_moved_exactly_or_not_at_all(drawn: tuple[Case, Asked]) -> None:
    case, wish = drawn
    found = planned(case, wish)
    assert [one.asset for one in found] == sorted(case.wanted.assets, key=lambda one: (one == USDC, one))
    for decision in found:
        if decision.asset != wish.operation.asset:
            assert (decision.operation, decision.asked) == (None, None)
            continue
        assert decision.asked == wish
        assert decision.operation in (None, wish.operation)
        assert decision.proposed in (None, wish.operation)


@given(asked_cases())
def test_plan__anything_asked_for_and_planned__is_within_every_limit(drawn: tuple[Case, Asked]) -> None:
    case, wish = drawn
    operation_ = next((one.operation for one in planned(case, wish) if one.operation), None)
    if operation_ is None:
        return
    wanted, held = case.wanted.assets[operation_.asset], case.taken.inventories[operation_.asset]
    source = held.onchain if operation_.kind.source is Venue.ONCHAIN else held.offchain
    assert isinstance(source, Balance)
    assert wanted.minimum <= operation_.amount <= source.available
    for most in (wanted.maximum, wanted.cap):
        assert most is None or operation_.amount <= most
    left = case.wanted.daily.left(operation_.asset, case.moved)
    assert left is None or operation_.amount <= left.amount
    claimed = {one.asset for one in case.open_operations}
    assert operation_.asset not in claimed
    assert case.hold.why(operation_.asset) is None
    assert operation_.asset not in case.shut
    assert case.wanted.enabled
    assert case.wanted.may_start
    assert not case.wanted.dry_run
    limit = case.wanted.max_open_operations
    assert limit is None or len({one.id for one in case.open_operations}) < limit


@given(asked_cases())
def test_plan__asked_for_and_forbidden_to_the_excess__is_forbidden_too(drawn: tuple[Case, Asked]) -> None:
    """A person gets past nothing that the settings, people, the gate or the state of things forbid."""
    case, wish = drawn
    sized = {
        Reason.ASKED_BEFORE,
        Reason.NOTHING_AVAILABLE,
        Reason.BELOW_MINIMUM,
        Reason.OVER_AVAILABLE,
        Reason.OVER_MAXIMUM,
        Reason.OVER_DAILY_LIMIT,
        Reason.OVER_LIMIT,
        Reason.BALANCED,
        Reason.PLANNED,
        Reason.NOT_SELECTED,
    }
    usual = {one.asset: one.reason for one in case.plan()}[wish.operation.asset]
    by_hand = {one.asset: one.reason for one in planned(case, wish)}[wish.operation.asset]
    if usual not in sized:
        assert by_hand is usual or by_hand in sized - {Reason.BALANCED, Reason.PLANNED}


@given(asked_cases())
def test_plan__asked_for_begun_already__is_never_planned(drawn: tuple[Case, Asked]) -> None:
    case, wish = drawn
    assert all(one.operation is None for one in planned(case, replace(wish, begun_as="op-1")))
