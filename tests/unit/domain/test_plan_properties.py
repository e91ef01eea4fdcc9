"""What holds for every plan, whatever its arguments."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from include.domain.amounts import USDC, exact, floor_to
from include.domain.imbalance import Threshold, detect
from include.domain.inventory import Balance, Snapshot, Venue
from include.domain.limits import DailyLimits, Hold, Shut
from include.domain.operation import OpenOperation, OperationKind, Settled
from include.domain.plan import AssetPolicy, Decision, Policy, Reason, is_settling, is_stale, plan
from tests.unit.domain.build import NOW, snapshot
from tests.unit.domain.strategies import ASSETS, amounts, inventories, settled_inventories

if TYPE_CHECKING:
    import random


class Case(NamedTuple):
    taken: Snapshot
    wanted: Policy
    open_operations: list[OpenOperation]
    settled: dict[str, Settled]
    moved: dict[str, Decimal]
    hold: Hold
    shut: dict[str, Shut]

    def plan(self) -> tuple[Decision, ...]:
        return plan(
            self.taken,
            self.wanted,
            self.open_operations,
            settled=self.settled,
            moved_today=self.moved,
            hold=self.hold,
            shut=self.shut,
            now=NOW,
        )


def mostly(usual: Any, *rare: Any) -> st.SearchStrategy[Any]:
    """Nine times out of ten the usual value: a plan with every obstacle in it moves nothing."""
    return st.integers(0, 9).flatmap(lambda roll: st.sampled_from(rare) if roll == 9 else st.just(usual))


@st.composite
def asset_policies(draw: st.DrawFn) -> AssetPolicy:
    target, deviation = draw(st.integers(0, 1000)), draw(st.integers(0, 200))
    ratios = target, deviation, draw(st.just(0) | st.integers(0, deviation))
    wanted = Threshold(*(Decimal(thousandths) / 1000 for thousandths in ratios))
    minimum = draw(draw(mostly(st.just(Decimal(0)), amounts())))
    maximum, cap = (
        draw(st.none() | amounts().filter(lambda amount: amount >= minimum and amount > 0)) for _ in range(2)
    )
    return AssetPolicy(wanted, minimum, maximum, enabled=draw(mostly(True, False)), cap=cap)


@st.composite
def daily_limits(draw: st.DrawFn) -> DailyLimits:
    limits = amounts().filter(bool)
    own = draw(st.dictionaries(st.sampled_from(ASSETS), limits, max_size=2))
    return DailyLimits(own, draw(st.none() | limits), draw(st.none() | limits))


@st.composite
def open_operations(draw: st.DrawFn) -> OpenOperation:
    asset = draw(st.sampled_from([*ASSETS, "GONE", "GONE TOO"]))
    kinds = [kind for kind in OperationKind if kind.accepts(asset)]
    return OpenOperation(draw(st.text("abc", min_size=1, max_size=3)), draw(st.sampled_from(kinds)), asset)


@st.composite
def settlements(draw: st.DrawFn) -> Settled:
    # The snapshot is of blocks 100 and 200, and at most ten seconds old where it is fresh.
    ago, base, ethereum = draw(mostly(60, 0, 5)), draw(mostly(90, 101, None)), draw(mostly(None, 190, 201))
    asset, refusals = draw(st.sampled_from(ASSETS)), draw(st.integers(0, 3))
    return Settled(asset, NOW - timedelta(seconds=ago), base, ethereum, refusals)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    configured = draw(st.frozensets(st.sampled_from(ASSETS), min_size=draw(mostly(2, 0))))
    held = [
        draw(draw(mostly(settled_inventories((asset,)), inventories((asset,)))))
        for asset in ASSETS
        if draw(mostly(True, False))
    ]
    wanted = Policy(
        assets={asset: draw(asset_policies()) for asset in sorted(configured)},
        enabled=draw(mostly(True, False)),
        may_start=draw(mostly(True, False)),
        max_snapshot_age=timedelta(seconds=30),
        selected=draw(mostly(None, configured, frozenset(sorted(configured)[:1]))),
        dry_run=draw(mostly(False, True)),
        max_open_operations=draw(st.none() | st.integers(0, 5)),
        daily=draw(st.just(DailyLimits()) | daily_limits()),
        settle_cooldown=draw(mostly(timedelta(0), timedelta(minutes=2))),
        refusal_cooldown=draw(mostly(timedelta(0), timedelta(minutes=1))),
    )
    gate = st.sampled_from([Shut(Reason.FROZEN, "frozen"), Shut(Reason.GATE_SILENT, "silent")])
    taken = snapshot(*held, taken_at=NOW - timedelta(seconds=draw(mostly(2, 0, 10, 31, -31))))
    return Case(
        taken,
        wanted,
        draw(st.lists(open_operations(), max_size=2)),
        {one.asset: one for one in draw(st.lists(settlements(), max_size=3))},
        draw(st.dictionaries(st.sampled_from([*ASSETS, "GONE"]), amounts(), max_size=3)),
        draw(mostly(Hold(), Hold(frozenset(ASSETS[:2])), Hold(everything="unreadable"))),
        dict.fromkeys(draw(mostly((), ASSETS)), draw(gate)),
    )


def test_cases__as_drawn__reach_most_reasons_and_often_plan_something() -> None:
    """Hold the strategy itself to account: properties of plans that plan nothing would say nothing."""
    seen: Counter[Reason] = Counter()

    @settings(max_examples=200, derandomize=True, database=None, deadline=None)
    @given(cases())
    def draw_some(case: Case) -> None:
        seen.update(decision.reason for decision in case.plan())

    draw_some()
    # What is drawn also depends on the constants in whatever modules are loaded, so there is room below.
    assert seen[Reason.PLANNED] > 50, seen
    assert len(seen) >= 12, seen


@given(cases())
def test_plan__any_arguments__has_one_decision_for_each_configured_asset(case: Case) -> None:
    decided = [decision.asset for decision in case.plan()]
    assert decided == sorted(case.wanted.assets, key=lambda asset: (asset == USDC, asset))


@given(cases(), st.randoms(use_true_random=False))
def test_plan__same_arguments_in_any_order__is_the_same(case: Case, rng: random.Random) -> None:
    def shuffled(mapping: Any) -> dict[Any, Any]:
        return dict(rng.sample(list(mapping.items()), len(mapping)))

    taken = Snapshot.from_dict(
        {**case.taken.to_dict(), "inventories": shuffled(case.taken.to_dict()["inventories"])}
    )
    daily = case.wanted.daily
    again = case._replace(
        taken=taken,
        wanted=replace(
            case.wanted,
            assets=shuffled(case.wanted.assets),
            daily=DailyLimits(shuffled(daily.assets), daily.equity, daily.usdc),
        ),
        open_operations=rng.sample(case.open_operations, len(case.open_operations)),
        settled=shuffled(case.settled),
        moved=shuffled(case.moved),
        shut=shuffled(case.shut),
    ).plan()
    assert again == case.plan() == case.plan()


@given(cases())
def test_plan__any_amount__is_positive_and_within_what_source_and_policy_allow(case: Case) -> None:
    for decision in case.plan():
        found = decision.operation or decision.proposed
        if found is None:
            continue
        held, wanted = case.taken.inventories[decision.asset], case.wanted.assets[decision.asset]
        source = held.onchain if found.kind.source is Venue.ONCHAIN else held.offchain
        assert isinstance(source, Balance)
        assert decision.imbalance is not None
        assert 0 < found.amount <= min(source.available, decision.imbalance.excess)
        assert found.amount >= wanted.minimum
        for most in (wanted.maximum, wanted.cap):
            assert most is None or found.amount <= most
        assert floor_to(found.amount, found.kind.decimals) == found.amount
        assert found.kind.accepts(decision.asset)


@given(cases())
def test_plan__anything_planned__was_allowed_in_every_respect(case: Case) -> None:
    planned = [decision for decision in case.plan() if decision.reason is Reason.PLANNED]
    claimed = {operation.asset for operation in case.open_operations}
    limit = case.wanted.max_open_operations
    if planned:
        assert case.wanted.enabled
        assert case.wanted.may_start
        assert not case.wanted.dry_run
        opened = len({operation.id for operation in case.open_operations})
        assert limit is None or opened + len(planned) <= limit
    for decision in planned:
        assert decision.asset not in claimed
        assert case.wanted.assets[decision.asset].enabled
        assert case.wanted.selected is None or decision.asset in case.wanted.selected
        assert decision.imbalance == detect(
            case.taken.inventories[decision.asset], case.wanted.assets[decision.asset].threshold
        )
        closed = case.settled.get(decision.asset)
        assert closed is None or not is_settling(case.taken, closed)
        if closed is not None:
            rest = case.wanted.refusal_cooldown if closed.refusals else case.wanted.settle_cooldown
            assert closed.at + rest <= NOW
        assert case.hold.why(decision.asset) is None
        assert decision.asset not in case.shut
        assert not is_stale(case.taken, case.wanted.max_snapshot_age, NOW)


@given(cases())
def test_plan__everything_planned_together__exceeds_no_limit_of_the_day(case: Case) -> None:
    planned = [decision.operation for decision in case.plan() if decision.operation]
    together = dict(case.moved)
    with exact():
        for operation in planned:
            together[operation.asset] = together.get(operation.asset, Decimal(0)) + operation.amount
        for operation in planned:
            assert case.wanted.daily.exceeded(operation.asset, together) is None


@given(cases())
def test_plan__refused_for_the_day__has_too_little_left_to_move(case: Case) -> None:
    together = dict(case.moved)
    with exact():
        for operation in (decision.operation for decision in case.plan()):
            if operation is not None:
                together[operation.asset] = together.get(operation.asset, Decimal(0)) + operation.amount
    for decision in case.plan():
        if decision.reason is Reason.OVER_DAILY_LIMIT:
            assert decision.proposed is not None
            left = case.wanted.daily.left(decision.asset, together)
            assert left is not None
            movable = floor_to(left.amount, decision.proposed.kind.decimals)
            assert movable == 0 or movable < case.wanted.assets[decision.asset].minimum


@given(cases())
def test_plan__once_its_operations_are_open__plans_none_of_them_again(case: Case) -> None:
    planned = [decision.operation for decision in case.plan() if decision.operation]
    claims = [OpenOperation(f"new-{one.asset}", one.kind, one.asset) for one in planned]
    again = case._replace(open_operations=[*case.open_operations, *claims]).plan()
    reasons = {decision.asset: decision.reason for decision in again}
    assert all(reasons[one.asset] is Reason.CLAIMED for one in planned)


@given(cases())
def test_decision__through_json__comes_back_equal(case: Case) -> None:
    for decision in case.plan():
        assert Decision.from_dict(json.loads(json.dumps(decision.to_dict()))) == decision
