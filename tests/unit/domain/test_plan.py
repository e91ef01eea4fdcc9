from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

import pytest

from include.domain.imbalance import TooMuchOffchain, TooMuchOnchain
from include.domain.limits import DailyLimits, Hold, Shut
from include.domain.operation import OpenOperation, OperationKind
from include.domain.plan import (
    NOTHING_HELD,
    Asked,
    AssetPolicy,
    Decision,
    PlannedOperation,
    Policy,
    Reason,
    is_settling,
    is_stale,
    plan,
    to_ask,
)
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
    threshold,
)

if TYPE_CHECKING:
    from include.domain.inventory import Inventory, Unread
    from include.domain.operation import Settled

AAPL_HELD = Hold(frozenset({"AAPL"}))
FROZEN = Shut(Reason.FROZEN, "the gate says it is frozen: a split is due")
SILENT = Shut(Reason.GATE_SILENT, "the gate gave no answer within 3 s")
UNPRICED = Shut(Reason.UNPRICED, "Alpaca did not say what it takes")
DEAR = Shut(Reason.OVER_COST_BUDGET, "it would cost 7 dollars of 5")
LOW = inventory("19", "81")
HIGH = inventory("81", "19")
MINT_31 = PlannedOperation(OperationKind.MINT, "AAPL", Decimal(31))
ASKED_31 = Asked(MINT_31, "ada", "month end")


def decide(
    held: Inventory,
    wanted: Policy | None = None,
    *open_operations: OpenOperation,
    settlement: Settled | None = None,
    moved: dict[str, Decimal] | None = None,
    hold: Hold = NOTHING_HELD,
    shut: Shut | None = None,
    asked: Asked | None = None,
    now: datetime = NOW,
    **snapshot_changed: Any,
) -> Decision:
    """Plan for one asset and return the one decision."""
    (decision,) = plan(
        snapshot(held, **snapshot_changed),
        wanted or policy([held.asset]),
        open_operations,
        asked=asked,
        settled={} if settlement is None else {held.asset: settlement},
        moved_today=moved,
        hold=hold,
        shut={} if shut is None else {held.asset: shut},
        now=now,
    )
    assert decision.asset == held.asset
    return decision


# The four operations


def test_plan__equity_too_much_offchain__triggers_mint() -> None:
    decision = decide(LOW)
    assert decision.reason is Reason.PLANNED
    assert decision.operation == MINT_31
    assert decision.imbalance == TooMuchOffchain(Decimal(31))
    assert decision.proposed is None


def test_plan__equity_too_much_onchain__triggers_redemption() -> None:
    decision = decide(HIGH)
    assert decision.reason is Reason.PLANNED
    assert decision.operation == PlannedOperation(OperationKind.REDEMPTION, "AAPL", Decimal(31))
    assert decision.imbalance == TooMuchOnchain(Decimal(31))


def test_plan__usdc_too_much_offchain__triggers_alpaca_to_base() -> None:
    decision = decide(inventory("19", "81", "USDC"))
    assert decision.operation == PlannedOperation(OperationKind.USDC_ALPACA_TO_BASE, "USDC", Decimal(31))


def test_plan__usdc_too_much_onchain__triggers_base_to_alpaca() -> None:
    decision = decide(inventory("81", "19", "USDC"))
    assert decision.operation == PlannedOperation(OperationKind.USDC_BASE_TO_ALPACA, "USDC", Decimal(31))


@pytest.mark.parametrize(("onchain", "offchain"), [("20", "80"), ("80", "20"), ("50", "50")])
def test_plan__balanced_inventory__triggers_nothing(onchain: str, offchain: str) -> None:
    decision = decide(inventory(onchain, offchain))
    assert decision.reason is Reason.BALANCED
    assert (decision.operation, decision.proposed, decision.imbalance) == (None, None, None)


# What keeps an asset from being judged


def test_plan__in_progress_symbol__is_skipped_and_others_are_not() -> None:
    decisions = plan(
        snapshot(LOW, inventory("19", "81", "TSLA")), policy(["AAPL", "TSLA"]), [operation("AAPL")], now=NOW
    )
    assert [(one.asset, one.reason) for one in decisions] == [
        ("AAPL", Reason.CLAIMED),
        ("TSLA", Reason.PLANNED),
    ]
    assert decisions[0].proposed is None


@pytest.mark.parametrize("kind", [OperationKind.USDC_ALPACA_TO_BASE, OperationKind.USDC_BASE_TO_ALPACA])
@pytest.mark.parametrize(("onchain", "offchain"), [("0", "100"), ("100", "0")])
def test_plan__usdc_claimed_in_either_direction__prevents_duplicates(
    kind: OperationKind, onchain: str, offchain: str
) -> None:
    decision = decide(inventory(onchain, offchain, "USDC"), None, operation("USDC", kind))
    assert decision.reason is Reason.CLAIMED
    assert decision.detail == f"{kind.value} op-1 is open."


@pytest.mark.parametrize(("onchain", "offchain"), [(DOWN, "100"), ("100", DOWN), (DOWN, DOWN)])
def test_plan__unread_venue__is_not_zero(onchain: str | Unread, offchain: str | Unread) -> None:
    decision = decide(inventory(onchain, offchain))
    assert decision.reason is Reason.UNREAD
    assert "unread: timed out." in decision.detail


def test_plan__asset_missing_in_the_snapshot__is_unread() -> None:
    (decision,) = plan(snapshot(), policy(), [], now=NOW)
    assert decision.reason is Reason.UNREAD


def test_plan__asset_not_configured__is_ignored() -> None:
    decisions = plan(snapshot(LOW, inventory("0", "9", "GME")), policy(["AAPL"]), [], now=NOW)
    assert [one.asset for one in decisions] == ["AAPL"]


@pytest.mark.parametrize(
    ("onchain", "offchain"),
    [
        (balance("0", in_flight="1"), balance("100")),
        (balance("0"), balance("100", in_flight="0.000001")),
    ],
)
def test_plan__in_flight_at_either_venue__triggers_nothing(onchain: Any, offchain: Any) -> None:
    decision = decide(inventory(onchain, offchain))
    assert decision.reason is Reason.IN_FLIGHT
    assert decision.imbalance is None


def test_plan__zero_total__triggers_nothing() -> None:
    assert decide(inventory("0", "0")).reason is Reason.NO_INVENTORY


@pytest.mark.parametrize(
    ("age", "stale"), [(30, False), (30.001, True), (0, False), (-30, False), (-30.001, True)]
)
def test_plan__snapshot_older_than_allowed_or_from_the_future__is_stale(age: float, stale: bool) -> None:
    taken_at = NOW - timedelta(seconds=age)
    decision = decide(LOW, taken_at=taken_at)
    assert (decision.reason is Reason.STALE) is stale
    assert (decision.operation is None) is stale
    assert is_stale(snapshot(taken_at=taken_at), timedelta(seconds=30), NOW) is stale


def test_plan__stale_snapshot__is_said_with_its_age() -> None:
    assert (
        decide(LOW, now=NOW + timedelta(minutes=5)).detail
        == "The snapshot is 302.000 s old; 30 s are allowed."
    )
    assert decide(LOW, now=NOW - timedelta(minutes=5)).detail == (
        "The snapshot is from 298.000 s in the future: a clock is wrong."
    )


@pytest.mark.parametrize(
    ("settlement", "taken", "reason"),
    [
        (settled(), {}, Reason.PLANNED),
        (settled(base=100, ethereum=200), {}, Reason.PLANNED),
        (settled(base=None, ethereum=None), {}, Reason.PLANNED),
        (settled(base=None, ethereum=None), {"base_block": None, "ethereum_block": None}, Reason.PLANNED),
        (settled(ago=2), {}, Reason.SETTLING),  # taken at that very moment
        (settled(ago=1), {}, Reason.SETTLING),
        (settled(base=101), {}, Reason.SETTLING),
        (settled(ethereum=201), {}, Reason.SETTLING),
        (settled(), {"base_block": None}, Reason.SETTLING),
        (settled(), {"ethereum_block": None}, Reason.SETTLING),
    ],
)
def test_plan__after_an_operation__is_not_judged_until_the_snapshot_is_newer_at_both_venues(
    settlement: Settled, taken: dict[str, Any], reason: Reason
) -> None:
    decision = decide(LOW, settlement=settlement, **taken)
    assert decision.reason is reason
    assert is_settling(snapshot(LOW, **taken), settlement) is (reason is Reason.SETTLING)


def test_plan__settling__says_which_moments_and_blocks() -> None:
    assert decide(LOW, settlement=settled(ago=1, base=101, ethereum=None)).detail == (
        "The snapshot is of 2026-01-02T15:29:58.000+00:00 (Base block 100, Ethereum block 200); "
        "the last operation ended 2026-01-02T15:29:59.000+00:00 (Base block 101, Ethereum block unknown)."
    )


def test_plan__settlement_of_another_asset__does_not_matter() -> None:
    (decision,) = plan(snapshot(LOW), policy(), [], settled={"TSLA": settled("TSLA", ago=0)}, now=NOW)
    assert decision.reason is Reason.PLANNED


# How much is moved


@pytest.mark.parametrize(
    ("held", "amount"),
    [
        (inventory("0", "100.0000000019"), "50"),
        (inventory("0", "0.0000000039"), "0.000000001"),
        (inventory("100.000000000000000001", "0"), "50"),
        (inventory("0", "100.0000031", "USDC"), "50.000001"),
        (inventory("100.0000059", "0", "USDC"), "50.000002"),
    ],
)
def test_plan__excess_finer_than_its_destination__is_floored_once(held: Inventory, amount: str) -> None:
    operation_planned = decide(held).operation
    assert operation_planned is not None
    assert operation_planned.amount == Decimal(amount)


@pytest.mark.parametrize("asset", ["AAPL", "USDC"])
def test_plan__less_free_at_the_source_than_the_excess__moves_what_is_free(asset: str) -> None:
    decision = decide(inventory("0", balance("20", held="80"), asset))
    assert decision.imbalance == TooMuchOffchain(Decimal(50))
    assert decision.operation is not None
    assert decision.operation.amount == 20


@pytest.mark.parametrize("free", ["0", "0.0000000001"])
def test_plan__all_held_at_the_source__has_nothing_available(free: str) -> None:
    decision = decide(inventory("0", balance(free, held="100")))
    assert decision.reason is Reason.NOTHING_AVAILABLE
    assert decision.imbalance is not None


@pytest.mark.parametrize(
    ("minimum", "reason"),
    [("30.9", Reason.PLANNED), ("31", Reason.PLANNED), ("31.000000001", Reason.BELOW_MINIMUM)],
)
def test_plan__amount_against_the_minimum__must_reach_it(minimum: str, reason: Reason) -> None:
    decision = decide(LOW, policy({"AAPL": asset_policy(minimum)}))
    assert decision.reason is reason
    assert decision.imbalance == TooMuchOffchain(Decimal(31))
    assert decision.proposed is None


def test_plan__available_below_the_minimum__is_below_minimum() -> None:
    decision = decide(inventory("0", balance("5", held="95")), policy({"AAPL": asset_policy("10")}))
    assert decision.reason is Reason.BELOW_MINIMUM
    assert "5 is below the minimum of 10." in decision.detail


def test_plan__excess_below_one_base_unit__is_below_minimum_even_without_one() -> None:
    decision = decide(inventory("0", "0.0000000019"))
    assert decision.reason is Reason.BELOW_MINIMUM
    assert "0 is below the minimum of 0.000000001." in decision.detail


@pytest.mark.parametrize(
    ("maximum", "amount"), [("10", "10"), ("31", "31"), ("32", "31"), ("9.99999999999", None)]
)
def test_plan__amount_above_the_maximum__is_capped_not_skipped(maximum: str, amount: str | None) -> None:
    decision = decide(LOW, policy({"AAPL": asset_policy(maximum=maximum)}))
    assert decision.reason is Reason.PLANNED
    assert decision.operation is not None
    assert decision.operation.amount == Decimal(amount or "9.999999999")
    assert decision.imbalance == TooMuchOffchain(Decimal(31))
    assert ("The maximum is" in decision.detail) is (Decimal(maximum) < 31)


@pytest.mark.parametrize(
    ("maximum", "cap", "amount", "named"),
    [
        (None, "10", 10, "The cap is 10."),
        ("10", "20", 10, "The maximum is 10."),
        ("20", "10", 10, "The cap is 10."),
        ("10", "10", 10, "The maximum is 10."),
        (None, "31", 31, "is free offchain. Plan"),
        (None, "30.999999999", "30.999999999", "The cap is"),
    ],
)
def test_plan__amount_above_the_cap__is_cut_to_the_smaller_of_cap_and_maximum(
    maximum: str | None, cap: str, amount: str | int, named: str
) -> None:
    decision = decide(LOW, policy({"AAPL": asset_policy(maximum=maximum, cap=cap)}))
    assert decision.operation is not None
    assert decision.operation.amount == Decimal(amount)
    assert named in decision.detail


def test_plan__inner_band__moves_to_its_edge_and_says_so() -> None:
    wanted = policy({"AAPL": asset_policy(threshold=threshold(stop="0.1"))})
    decision = decide(LOW, wanted)
    assert decision.imbalance == TooMuchOffchain(Decimal(21))
    assert decision.operation is not None
    assert decision.operation.amount == 21
    assert "outside 0.2 to 0.8, target 0.5, moved to 0.4 to 0.6." in decision.detail
    assert decide(inventory("40", "60"), wanted).reason is Reason.BALANCED  # and it stays where it was moved


@pytest.mark.parametrize(
    ("free", "minimum", "reason"),
    [
        ("0", "0", Reason.NOTHING_AVAILABLE),
        ("52.99", "53", Reason.BELOW_MINIMUM),
        ("53", "53", Reason.PLANNED),
    ],
)
def test_plan__dollars_held_as_a_reserve__are_named_as_what_is_not_free(
    free: str, minimum: str, reason: Reason
) -> None:
    about = "withdrawable cash less a reserve of 100"
    held = inventory("0", balance(free, held="1000"), "USDC")
    decision = decide(held, policy({"USDC": asset_policy(minimum, free_offchain=about)}))
    assert decision.reason is reason
    assert f"{free} is free offchain (1000 is held, {about})." in decision.detail
    other_way = decide(inventory("1000", "0", "USDC"), policy({"USDC": asset_policy(free_offchain=about)}))
    assert about not in other_way.detail


# What forbids a move that is due


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (policy({"AAPL": asset_policy(enabled=False)}), Reason.ASSET_DISABLED),
        (policy(["AAPL", "TSLA"], selected=frozenset({"TSLA"})), Reason.NOT_SELECTED),
        (policy(selected=frozenset()), Reason.NOT_SELECTED),
        (policy(enabled=False), Reason.REBALANCING_DISABLED),
        (policy(may_start=False), Reason.SWITCH_NOT_AT_RUN),
        (policy(max_open_operations=0), Reason.OVER_LIMIT),
        (
            policy({"AAPL": asset_policy("31")}, daily=DailyLimits(equity=Decimal(30))),
            Reason.OVER_DAILY_LIMIT,
        ),
        (policy(dry_run=True), Reason.DRY_RUN),
    ],
)
def test_plan__move_forbidden__still_shows_the_imbalance_and_what_would_be_moved(
    wanted: Policy, reason: Reason
) -> None:
    decision = plan(snapshot(LOW), wanted, [], now=NOW)[0]
    assert decision.reason is reason
    assert decision.operation is None
    assert decision.proposed == MINT_31
    assert decision.imbalance == TooMuchOffchain(Decimal(31))
    assert "Plan: mint 31. Not moved: " in decision.detail


@pytest.mark.parametrize("selected", [None, frozenset({"AAPL"})])
def test_plan__selected__is_moved(selected: frozenset[str] | None) -> None:
    assert decide(LOW, policy(selected=selected)).reason is Reason.PLANNED


@pytest.mark.parametrize(
    "changed", [{"enabled": False}, {"may_start": False}, {"dry_run": True}, {"max_open_operations": 0}]
)
def test_plan__move_forbidden_but_nothing_to_move__says_what_is_true_of_the_asset(
    changed: dict[str, Any],
) -> None:
    assert decide(inventory("20", "80"), policy(**changed)).reason is Reason.BALANCED
    assert decide(LOW, policy(**changed), operation()).reason is Reason.CLAIMED
    assert decide(LOW, policy({"AAPL": asset_policy("32")}, **changed)).reason is Reason.BELOW_MINIMUM


@pytest.mark.parametrize(
    ("hold", "reason"),
    [
        (NOTHING_HELD, Reason.PLANNED),
        (AAPL_HELD, Reason.HELD),
        (Hold(frozenset({"TSLA"})), Reason.PLANNED),
        (Hold(everything="the list is unreadable"), Reason.HELD),
    ],
)
def test_plan__held_back_by_people__is_not_moved(hold: Hold, reason: Reason) -> None:
    decision = decide(LOW, hold=hold)
    assert decision.reason is reason
    assert (decision.proposed == MINT_31) is (reason is Reason.HELD)
    if hold.everything is not None:
        assert decision.detail.endswith("Not moved: the list is unreadable.")


@pytest.mark.parametrize("shut", [FROZEN, SILENT, UNPRICED, DEAR])
def test_plan__gate_is_shut__is_not_moved_and_says_what_the_gate_says(shut: Shut) -> None:
    decision = decide(LOW, shut=shut)
    assert decision.reason is shut.reason
    assert decision.proposed == MINT_31
    assert decision.detail.endswith(f"Not moved: {shut.why}.")


def test_plan__gate_is_shut_for_what_does_not_move_anyway__says_what_is_true_of_the_asset() -> None:
    assert decide(inventory("20", "80"), shut=FROZEN).reason is Reason.BALANCED
    assert decide(LOW, policy(enabled=False), shut=FROZEN).reason is Reason.REBALANCING_DISABLED


RESTS: dict[str, Any] = {"settle_cooldown": timedelta(minutes=2), "refusal_cooldown": timedelta(minutes=5)}


@pytest.mark.parametrize(
    ("ago", "refusals", "resting"),
    [
        (119.999, 0, True),
        (120, 0, False),
        (299.999, 1, True),
        (300, 1, False),
        (599.999, 2, True),
        (600, 2, False),
        (3599.999, 9, True),
        (3600, 9, False),
    ],
)
def test_plan__after_an_operation__asset_rests_longer_the_more_refusals_came_in_a_row(
    ago: float, refusals: int, resting: bool
) -> None:
    decision = decide(LOW, policy(**RESTS), settlement=settled(ago=ago, refusals=refusals))
    assert decision.reason is (Reason.COOLING_DOWN if resting else Reason.PLANNED)
    assert (decision.proposed == MINT_31) is resting


@pytest.mark.parametrize(
    ("refusals", "words"),
    [
        (0, "(it moved money), and it rests until 2026-01-02T15:31:00+00:00."),
        (3, "(3 in a row were cancelled), and it rests until 2026-01-02T15:49:00+00:00."),
    ],
)
def test_plan__resting__says_since_when_why_and_until_when(refusals: int, words: str) -> None:
    decision = decide(LOW, policy(**RESTS), settlement=settled(refusals=refusals))
    assert f"its last operation ended at 2026-01-02T15:29:00+00:00 {words}" in decision.detail


def test_plan__no_cooldowns__does_not_rest() -> None:
    assert decide(LOW, policy(), settlement=settled(refusals=9)).reason is Reason.PLANNED


# The gate is asked about


def test_to_ask__what_nothing_but_rationing_forbids__is_asked_about() -> None:
    names = ["AAPL", "MSTR", "TSLA", "USDC"]
    for changed in ({}, {"max_open_operations": 1}, {"dry_run": True}):
        decisions = plan(snapshot(*TILTED), policy(names, **changed), [], now=NOW)
        assert [(one.asset, one.amount) for one in to_ask(decisions)] == [
            ("AAPL", 40),
            ("MSTR", Decimal("0.5")),
            ("TSLA", 40),
        ]
    spent = plan(
        snapshot(LOW),
        policy(daily=DailyLimits(equity=Decimal(9))),
        [],
        moved_today={"X": Decimal(9)},
        now=NOW,
    )
    assert [one.reason for one in spent] == [Reason.OVER_DAILY_LIMIT]
    assert to_ask(spent) == (MINT_31,)


@pytest.mark.parametrize("changed", [{"enabled": False}, {"may_start": False}, {"selected": frozenset()}])
def test_to_ask__what_does_not_move_anyway__is_not_asked_about(changed: dict[str, Any]) -> None:
    names = ["AAPL", "MSTR", "TSLA", "USDC"]
    assert to_ask(plan(snapshot(*TILTED), policy(names, **changed), [], now=NOW)) == ()
    assert to_ask([decide(LOW, hold=AAPL_HELD), decide(inventory("20", "80"))]) == ()


# A day's limits


@pytest.mark.parametrize(
    ("already", "minimum", "amount"),
    [
        ("0", "0", "31"),
        ("69", "0", "31"),  # just enough is left
        ("69.000000001", "0", "30.999999999"),
        ("69.0000000001", "0", "30.999999999"),
        ("90", "10", "10"),
        ("90.000000001", "10", None),
        ("99.999999999", "0", "0.000000001"),
        ("99.9999999991", "0", None),
        ("100", "0", None),
        ("120", "0", None),
    ],
)
def test_plan__what_is_left_of_the_day__is_moved_if_it_reaches_the_minimum(
    already: str, minimum: str, amount: str | None
) -> None:
    wanted = policy({"AAPL": asset_policy(minimum)}, daily=DailyLimits({"AAPL": Decimal(100)}))
    decision = decide(LOW, wanted, moved={"AAPL": Decimal(already)})
    assert decision.imbalance == TooMuchOffchain(Decimal(31))
    if amount is None:
        assert decision.reason is Reason.OVER_DAILY_LIMIT
        assert decision.proposed == MINT_31
    else:
        assert decision.reason is Reason.PLANNED
        assert decision.operation is not None
        assert decision.operation.amount == Decimal(amount)
        assert ("Cut to" in decision.detail) is (amount != "31")


def test_plan__limit_of_the_day_reached__names_limit_and_figures() -> None:
    wanted = policy(daily=DailyLimits(equity=Decimal(100)))
    decision = decide(LOW, wanted, moved={"TSLA": Decimal(75), "NVDA": Decimal(25), "USDC": Decimal(9999)})
    assert decision.detail.endswith(
        "Not moved: the daily maximum of all equities is 100, 100 is moved today, 0 is left."
    )


@pytest.mark.parametrize(
    ("equity", "amounts"),
    [
        # MSTR is furthest from target, then AAPL and TSLA, which are equally far: the first by name.
        ("80.5", {"MSTR": "0.5", "AAPL": "40", "TSLA": "40"}),
        ("60", {"MSTR": "0.5", "AAPL": "40", "TSLA": "19.5"}),
        ("40.5", {"MSTR": "0.5", "AAPL": "40"}),
        ("0.4", {"MSTR": "0.4"}),
    ],
)
def test_plan__several_share_a_days_limit__those_furthest_from_target_come_first(
    equity: str, amounts: dict[str, str]
) -> None:
    wanted = policy([one.asset for one in TILTED], daily=DailyLimits(equity=Decimal(equity)))
    decisions = plan(snapshot(*TILTED), wanted, [], now=NOW)
    found = {one.asset: one.operation.amount for one in decisions if one.operation and one.asset != "USDC"}
    assert found == {asset: Decimal(amount) for asset, amount in amounts.items()}
    assert {one.reason for one in decisions if one.operation is None} <= {Reason.OVER_DAILY_LIMIT}
    assert decisions[-1].reason is Reason.PLANNED  # USDC has a limit of its own, or none


def test_plan__refused_by_the_day__takes_no_place_under_the_limit_of_open_operations() -> None:
    daily = DailyLimits({"MSTR": Decimal("0.1")})
    wanted = policy({"AAPL": asset_policy(), "MSTR": asset_policy("0.2")}, daily=daily, max_open_operations=1)
    decisions = plan(snapshot(*TILTED[:2]), wanted, [], now=NOW)
    assert [one.reason for one in decisions] == [Reason.PLANNED, Reason.OVER_DAILY_LIMIT]


def test_plan__over_the_limit_of_open_operations__takes_nothing_of_the_day() -> None:
    daily = DailyLimits(equity=Decimal(41))
    wanted = policy(["AAPL", "MSTR"], daily=daily, max_open_operations=1)
    decisions = plan(snapshot(*TILTED[:2]), wanted, [], now=NOW)
    assert [one.reason for one in decisions] == [Reason.OVER_LIMIT, Reason.PLANNED]


def test_plan__distance_from_target__counts_the_inner_band() -> None:
    wide = asset_policy(threshold=threshold(stop="0.3"))
    held = inventory("5", "95", "AAPL"), inventory("10", "90", "TSLA")
    wanted = policy({"AAPL": wide, "TSLA": asset_policy()}, max_open_operations=1)
    decisions = plan(snapshot(*held), wanted, [], now=NOW)
    assert [one.reason for one in decisions] == [Reason.PLANNED, Reason.OVER_LIMIT]


@pytest.mark.parametrize(("onchain", "offchain"), [("14", "99"), ("15", "88"), ("16", "86"), ("19", "157")])
def test_plan__as_far_from_target_with_other_inner_bands__the_first_by_name_moves(
    onchain: str, offchain: str
) -> None:
    stops = {"AAPL": "0.1", "BRK.B": "0", "MSTR": "0.3", "TSLA": "0.05"}
    wanted = policy(
        {asset: asset_policy(threshold=threshold(stop=stop)) for asset, stop in stops.items()},
        max_open_operations=1,
    )
    decisions = plan(snapshot(*(inventory(onchain, offchain, one) for one in stops)), wanted, [], now=NOW)
    assert [one.asset for one in decisions if one.operation] == ["AAPL"]


# The limit

TILTED = (
    inventory("10", "90", "AAPL"),
    inventory("0", "1", "MSTR"),
    inventory("90", "10", "TSLA"),
    inventory("95", "5", "USDC"),
)


@pytest.mark.parametrize(
    ("limit", "already_open", "planned"),
    [
        (None, 3, {"AAPL", "MSTR", "TSLA", "USDC"}),
        (4, 0, {"AAPL", "MSTR", "TSLA", "USDC"}),
        (3, 0, {"AAPL", "MSTR", "USDC"}),  # AAPL and TSLA are equally far: the first by name
        (3, 1, {"MSTR", "USDC"}),
        (1, 0, {"MSTR"}),  # half the total from target, though one share only
        (1, 1, set()),
        (1, 2, set()),
        (0, 0, set()),
    ],
)
def test_plan__more_to_move_than_may_be_open__starts_with_those_furthest_from_target(
    limit: int | None, already_open: int, planned: set[str]
) -> None:
    open_operations = [operation(f"X{n}", operation_id=f"op-{n}") for n in range(already_open)]
    wanted = policy([one.asset for one in TILTED], max_open_operations=limit)
    decisions = plan(snapshot(*TILTED), wanted, open_operations, now=NOW)
    assert {one.asset for one in decisions if one.operation} == planned
    refused = [one for one in decisions if one.asset not in planned]
    assert all(one.reason is Reason.OVER_LIMIT and one.proposed for one in refused)


def test_plan__assets_that_may_not_move__take_no_place_under_the_limit() -> None:
    wanted = policy({"AAPL": asset_policy(), "MSTR": asset_policy(enabled=False)}, max_open_operations=1)
    decisions = plan(snapshot(*TILTED[:2]), wanted, [], now=NOW)
    assert [one.reason for one in decisions] == [Reason.PLANNED, Reason.ASSET_DISABLED]


def test_plan__dry_run_under_a_limit__shows_what_a_real_run_would_have_done() -> None:
    assets = [one.asset for one in TILTED]
    real = plan(snapshot(*TILTED), policy(assets, max_open_operations=2), [], now=NOW)
    dry = plan(snapshot(*TILTED), policy(assets, max_open_operations=2, dry_run=True), [], now=NOW)
    assert [one.reason for one in dry] == [
        Reason.DRY_RUN if one.reason is Reason.PLANNED else one.reason for one in real
    ]
    assert [one.proposed for one in dry] == [one.operation or one.proposed for one in real]


# The answer as a whole


def test_plan__every_configured_asset__has_one_decision_sorted_with_usdc_last() -> None:
    wanted = policy(["ZM", "USDC", "AAPL", "ABC", "V"])
    assert [one.asset for one in plan(snapshot(LOW), wanted, [], now=NOW)] == [
        "AAPL",
        "ABC",
        "V",
        "ZM",
        "USDC",
    ]


def test_plan__no_assets__is_empty() -> None:
    assert plan(snapshot(LOW), policy([]), [], now=NOW) == ()


def test_plan__again_at_the_commit_after_the_operation_has_come_and_gone__does_not_move_twice() -> None:
    # Two overlapping runs hold the same plan; the other one has moved the excess in the meantime.
    taken = snapshot(LOW)
    assert plan(taken, policy(), [], now=NOW)[0].operation == MINT_31
    assert plan(taken, policy(), [operation()], now=NOW)[0].reason is Reason.CLAIMED
    after = plan(taken, policy(), [], settled={"AAPL": settled(ago=0.5, base=101)}, now=NOW)
    assert after[0].reason is Reason.SETTLING


def test_plan__now_without_a_zone__is_refused() -> None:
    with pytest.raises(ValueError, match="now must have a time zone"):
        plan(snapshot(LOW), policy(), [], now=NOW.replace(tzinfo=None))


def test_plan__whatever_the_ambient_decimal_context__is_the_same() -> None:
    expected = plan(snapshot(*TILTED), policy([one.asset for one in TILTED]), [], now=NOW)
    with localcontext(prec=2):
        assert plan(snapshot(*TILTED), policy([one.asset for one in TILTED]), [], now=NOW) == expected


@pytest.mark.parametrize(
    ("held", "words"),
    [
        (inventory("20", "80"), "20 of 100 is onchain: ratio 0.2 is in 0.2 to 0.8, target 0.5."),
        (
            LOW,
            "19 of 100 is onchain: ratio 0.19 is outside 0.2 to 0.8, target 0.5. The excess is 31; 81",
        ),
        (inventory("19.99999999", "80.00000001"), "ratio 0.199999 is outside 0.2 to 0.8"),
        (inventory("80.00000001", "19.99999999"), "ratio 0.800001 is outside 0.2 to 0.8"),
        (inventory("79.99999999", "20.00000001"), "ratio 0.799999 is in 0.2 to 0.8"),
    ],
)
def test_detail__judged__has_the_numbers_and_never_rounds_onto_an_edge(held: Inventory, words: str) -> None:
    assert words in decide(held).detail


SPENT = DailyLimits(equity=Decimal(1))
REASONS: dict[Reason, Decision] = {
    Reason.CLAIMED: decide(LOW, None, operation()),
    Reason.STALE: decide(LOW, now=NOW + timedelta(hours=1)),
    Reason.UNREAD: decide(inventory("1", DOWN)),
    Reason.SETTLING: decide(LOW, settlement=settled(ago=0)),
    Reason.IN_FLIGHT: decide(inventory(balance("1", in_flight="1"), "9")),
    Reason.NO_INVENTORY: decide(inventory("0", "0")),
    Reason.BALANCED: decide(inventory("20", "80")),
    Reason.ASKED_BEFORE: decide(LOW, asked=replace(ASKED_31, begun_as="op-1")),
    Reason.NOTHING_AVAILABLE: decide(inventory("0", balance("0", held="1"))),
    Reason.BELOW_MINIMUM: decide(LOW, policy({"AAPL": asset_policy("32")})),
    Reason.OVER_AVAILABLE: decide(inventory("19", balance("30", held="51")), asked=ASKED_31),
    Reason.OVER_MAXIMUM: decide(LOW, policy({"AAPL": asset_policy("0", "30")}), asked=ASKED_31),
    Reason.ASSET_DISABLED: decide(LOW, policy({"AAPL": asset_policy(enabled=False)})),
    Reason.HELD: decide(LOW, hold=AAPL_HELD),
    Reason.NOT_SELECTED: decide(LOW, policy(selected=frozenset())),
    Reason.COOLING_DOWN: decide(LOW, policy(**RESTS), settlement=settled()),
    Reason.REBALANCING_DISABLED: decide(LOW, policy(enabled=False)),
    Reason.SWITCH_NOT_AT_RUN: decide(LOW, policy(may_start=False)),
    Reason.FROZEN: decide(LOW, shut=FROZEN),
    Reason.GATE_SILENT: decide(LOW, shut=SILENT),
    Reason.UNPRICED: decide(LOW, shut=UNPRICED),
    Reason.OVER_COST_BUDGET: decide(LOW, shut=DEAR),
    Reason.OVER_LIMIT: decide(LOW, policy(max_open_operations=0)),
    Reason.OVER_DAILY_LIMIT: decide(LOW, policy(daily=SPENT), moved={"AAPL": Decimal(1)}),
    Reason.DRY_RUN: decide(LOW, policy(dry_run=True)),
    Reason.PLANNED: decide(LOW),
}


@pytest.mark.parametrize("reason", Reason)
def test_reason__each__is_reached(reason: Reason) -> None:
    decision = REASONS[reason]
    assert decision.reason is reason
    assert decision.detail.endswith(".")
    assert (decision.operation is not None) is (reason is Reason.PLANNED)


def test_reason__when_all_apply__the_first_in_the_list_is_given_then_the_next() -> None:
    """Take the obstacles away one by one, in the order of the enum."""
    nothing_right: dict[str, Any] = {
        "enabled": False,
        "may_start": False,
        "dry_run": True,
        "max_open_operations": 0,
        "selected": frozenset(),
        "daily": SPENT,
        **RESTS,
    }
    rationed: dict[str, Any] = {"dry_run": True, "max_open_operations": 0, "daily": SPENT}
    off, on = asset_policy(enabled=False), asset_policy()
    late, moving = NOW + timedelta(hours=1), inventory(balance("0", in_flight="1"), "81")
    just, lately = settled(ago=0), settled(ago=3)
    moved = {"AAPL": Decimal(1)}

    def reason(wanted: Policy, held: Inventory = LOW, *claims: OpenOperation, **more: Any) -> Reason:
        gate = {"hold": AAPL_HELD, "shut": FROZEN, "moved": moved}
        return decide(held, wanted, *claims, **{**gate, **more}).reason

    def bounded(minimum: str) -> Policy:
        sizes = asset_policy(minimum, "100" if minimum != "0" else "30", enabled=False)
        return policy({"AAPL": sizes}, **nothing_right)

    wanted = policy({"AAPL": off}, **nothing_right)
    nothing_free = inventory("19", balance("0", held="81"))
    little_free = inventory("19", balance("30", held="51"))
    found = [
        reason(wanted, inventory(DOWN, balance("0", in_flight="1")), operation(), settlement=just, now=late),
        reason(wanted, inventory(DOWN, balance("0", in_flight="1")), settlement=just, now=late),
        reason(wanted, inventory(DOWN, balance("0", in_flight="1")), settlement=just),
        reason(wanted, moving, settlement=just),
        reason(wanted, moving),
        reason(wanted, inventory("0", "0")),
        reason(wanted, inventory("20", "80")),
        reason(bounded("99"), nothing_free, asked=replace(ASKED_31, begun_as="op-1")),
        reason(bounded("99"), nothing_free, asked=ASKED_31),
        reason(bounded("99"), little_free, asked=ASKED_31),
        reason(bounded("0"), little_free, asked=ASKED_31),
        reason(bounded("0"), asked=ASKED_31),
        reason(wanted),
        reason(policy({"AAPL": on}, **nothing_right), settlement=lately),
        reason(policy({"AAPL": on}, **nothing_right), settlement=lately, hold=NOTHING_HELD),
        reason(policy(**{**nothing_right, "selected": None}), settlement=lately, hold=NOTHING_HELD),
        reason(policy(**{**nothing_right, "selected": None}), hold=NOTHING_HELD),
        reason(policy(may_start=False, **rationed), hold=NOTHING_HELD),
        reason(policy(**rationed), hold=NOTHING_HELD),
        reason(policy(**rationed), hold=NOTHING_HELD, shut=SILENT),
        reason(policy(**rationed), hold=NOTHING_HELD, shut=UNPRICED),
        reason(policy(**rationed), hold=NOTHING_HELD, shut=DEAR),
        reason(policy(**rationed), hold=NOTHING_HELD, shut=None),
        reason(policy(dry_run=True, daily=SPENT), hold=NOTHING_HELD, shut=None),
        reason(policy(dry_run=True), hold=NOTHING_HELD, shut=None),
        reason(policy(), hold=NOTHING_HELD, shut=None),
    ]
    assert found == list(Reason)


# What is refused as a policy


@pytest.mark.parametrize(("minimum", "maximum"), [("-1", None), ("0", "0"), ("0", "-1"), ("2", "1")], ids=str)
def test_asset_policy__sizes_that_make_no_sense__are_refused(minimum: str, maximum: str | None) -> None:
    with pytest.raises(ValueError, match=r"minimum|maximum"):
        asset_policy(minimum, maximum)


@pytest.mark.parametrize(("minimum", "cap"), [("0", "0"), ("0", "-1"), ("2", "1")])
def test_asset_policy__cap_that_makes_no_sense__is_refused(minimum: str, cap: str) -> None:
    with pytest.raises(ValueError, match="cap"):
        asset_policy(minimum, cap=cap)


def test_asset_policy__maximum_equal_to_the_minimum__moves_just_that() -> None:
    decision = decide(LOW, policy({"AAPL": asset_policy("10", "10")}))
    assert decision.operation is not None
    assert decision.operation.amount == 10


def test_asset_policy__only_a_threshold__is_enabled_without_limits() -> None:
    wanted = AssetPolicy(threshold())
    assert wanted.minimum == 0
    assert wanted.maximum is None
    assert wanted.enabled


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"max_snapshot_age": timedelta(0)}, "max_snapshot_age"),
        ({"max_open_operations": -1}, "max_open_operations"),
        ({"settle_cooldown": timedelta(seconds=-1)}, "a cooldown must not be negative"),
        ({"refusal_cooldown": timedelta(seconds=-1)}, "a cooldown must not be negative"),
        ({"selected": frozenset({"AAPL", "APPL"})}, "selected but not configured: APPL"),
    ],
)
def test_policy__that_makes_no_sense__is_refused(changed: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        policy(**changed)


def test_policy__the_mapping_it_was_made_from__is_copied() -> None:
    mapping = {"AAPL": asset_policy()}
    wanted = policy(mapping)
    mapping.clear()
    assert list(wanted.assets) == ["AAPL"]
    assert wanted.assets["AAPL"].threshold == threshold()
