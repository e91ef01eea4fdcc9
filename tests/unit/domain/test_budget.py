"""A budget that grows while a move waits, and what haste is worth."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.budget import (
    OVER,
    SPEED_BPS,
    CostPolicy,
    Need,
    beyond,
    budget,
    choose_speed,
    judge,
    wait_needed,
    waited,
)
from include.domain.cost import Quote, Speed
from include.domain.decision import PlannedOperation, Reason
from include.domain.imbalance import Threshold, TooMuchOffchain, TooMuchOnchain, detect
from include.domain.operation import OperationKind
from tests.unit.domain.build import NOW, inventory

if TYPE_CHECKING:
    from include.domain.cost import Estimate
    from include.domain.limits import Shut

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
TICK = timedelta(microseconds=1)
TO_BASE = OperationKind.USDC_ALPACA_TO_BASE
QUOTE = Quote(circle_bps={Speed.FAST: Decimal(1), Speed.STANDARD: Decimal(0)}, fast_allowance=Decimal(10_000))
"""Fast costs a ten-thousandth, standard nothing."""
CENT_OF_GAS = 4 * 10**12
DEAR = Quote(circle_bps=QUOTE.circle_bps, withdrawal_fee=Decimal(8), eth_price=Decimal(2500))

amounts = st.integers(1, 10**15).map(lambda units: Decimal(units).scaleb(-6))
basis_points = st.integers(1, 10_000).map(lambda tenths: Decimal(tenths) / 10)
waits = st.timedeltas(timedelta(0), timedelta(days=400))
patiences = st.timedeltas(timedelta(seconds=1), timedelta(days=30))


def usdc(amount: str = "1000") -> PlannedOperation:
    return PlannedOperation(TO_BASE, "USDC", Decimal(amount))


def judged(
    quote: Quote = QUOTE, need: Need | None = None, amount: str = "1000", **policy: Any
) -> tuple[Estimate, Shut | None]:
    return judge(usdc(amount), quote, need or Need(), CostPolicy(**policy), now=NOW)


# The budget


@given(basis_points, amounts, waits, patiences)
def test_budget__any_longer_wait__allows_more(
    bps: Decimal, amount: Decimal, wait: timedelta, patience: timedelta
) -> None:
    assert budget(bps, amount, wait, patience) < budget(bps, amount, wait + TICK, patience)


@given(basis_points, amounts, waits, patiences)
def test_budget__each_patience__doubles_it(
    bps: Decimal, amount: Decimal, wait: timedelta, patience: timedelta
) -> None:
    ratio = budget(bps, amount, wait + patience, patience) / budget(bps, amount, wait, patience)
    assert abs(ratio - 2) < Decimal("1e-20")


def test_budget__at_first__is_so_many_basis_points() -> None:
    assert budget(Decimal(5), Decimal(4000), timedelta(0), HOUR) == 2


@given(st.integers(1, 10**12).map(lambda units: Decimal(units).scaleb(-6)), basis_points, amounts, patiences)
def test_wait_needed__any_cost__is_covered_after_it_and_not_long_before(
    cost: Decimal, bps: Decimal, amount: Decimal, patience: timedelta
) -> None:
    needed = wait_needed(cost, bps, amount, patience)
    if needed is None:
        assert budget(bps, amount, timedelta(days=3649), patience) < cost
        return
    assert budget(bps, amount, needed, patience) >= cost
    assert not needed or budget(bps, amount, max(needed - 3 * TICK, timedelta(0)), patience) < cost


@pytest.mark.parametrize("wrong", [{"budget_bps": Decimal(0)}, {"patience": timedelta(0)}])
def test_policy__that_would_never_grow__is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"never grow|above zero"):
        CostPolicy(**wrong)


def test_policy__negative_budget__is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        CostPolicy(budget_bps=Decimal(-1))


# The gate


def test_judge__cost_on_the_budget__passes() -> None:
    estimate, shut = judged(DEAR, speed="standard", budget_bps=Decimal(80))
    assert estimate.cost.total == 8
    assert shut is None


def test_judge__cost_above_the_budget__waits_until_it_has_grown() -> None:
    estimate, shut = judged(DEAR, speed="standard", budget_bps=Decimal(40), patience=HOUR)
    assert shut is not None
    assert shut.reason is Reason.OVER_COST_BUDGET
    assert shut.why == (
        "it would cost 8 dollars: withdrawal fee 8; the budget is 4 dollars after waiting 0 min, and at this "
        "cost the budget has grown enough at 2026-01-02T16:30:00+00:00"
    )
    assert estimate.speed is Speed.STANDARD


def test_judge__after_the_time_it_named__passes() -> None:
    policy: dict[str, Any] = {"speed": "standard", "budget_bps": Decimal(40), "patience": HOUR}
    assert judged(DEAR, Need(refused_for=HOUR - TICK), **policy)[1] is not None
    assert judged(DEAR, Need(refused_for=HOUR), **policy)[1] is None


def test_judge__a_cost_out_of_all_proportion__says_that_it_takes_years() -> None:
    shut = judged(DEAR, budget_bps=Decimal("0.001"), patience=timedelta(days=1000))[1]
    assert shut is not None
    assert "more than ten years" in shut.why


def test_judge__source_missing__waits_only_with_a_budget() -> None:
    silent = Quote(circle_bps=QUOTE.circle_bps, missing=("ETH price (timed out)",))
    estimate, shut = judged(silent)
    assert shut is None
    assert estimate.cost.missing == silent.missing
    shut = judged(silent, budget_bps=Decimal(1000))[1]
    assert shut is not None
    assert (shut.reason, shut.why) == (Reason.UNPRICED, "its cost is not known: ETH price (timed out)")


def test_judge__equity__is_estimated_and_never_refused() -> None:
    quote = Quote(gas={"base": CENT_OF_GAS}, eth_price=Decimal(2500), missing=("a",), notes=("b", "c"))
    mint = PlannedOperation(OperationKind.MINT, "AAPL", Decimal(31))
    policy = CostPolicy(budget_bps=Decimal("0.0001"))
    estimate, shut = judge(mint, quote, Need(), policy, now=NOW)
    assert shut is None
    assert (estimate.speed, estimate.why, estimate.cost.total) == (None, "b; c", Decimal("0.01"))


@given(st.integers(1, 10**9), st.integers(1, 1000), amounts)
def test_judge__any_cost__passes_one_day(fee: int, bps: int, amount: Decimal) -> None:
    """Nothing waits for ever: every cost passes at some time, and at every later time."""
    quote = Quote(circle_bps=QUOTE.circle_bps, gas={"base": fee * 10**12}, eth_price=Decimal(2500))
    policy = CostPolicy("standard", Decimal(bps), HOUR)
    operation = PlannedOperation(TO_BASE, "USDC", amount)

    def passes(wait: timedelta) -> bool:
        return judge(operation, quote, Need(refused_for=wait), policy, now=NOW)[1] is None

    answers = [passes(HOUR * hours) for hours in range(0, 120, 4)]
    assert answers == sorted(answers)
    assert answers[-1]


# The speed


def speed_of(quote: Quote = QUOTE, need: Need | None = None, **policy: Any) -> Speed | None:
    return judged(quote, need, speed="auto", **policy)[0].speed


@pytest.mark.parametrize("speed", ["fast", "standard"])
def test_speed__set__is_that(speed: str) -> None:
    estimate, _ = judged(speed=speed)
    assert estimate.speed == speed
    assert estimate.why == f"{speed}, as it is set"


def test_speed__set_to_fast_and_exhausted__stays_fast_and_says_so() -> None:
    estimate, _ = judged(amount="10000.000001", speed="fast")
    assert estimate.speed is Speed.FAST
    assert estimate.why == ("fast, as it is set; Circle lets only 10000 USDC through fast at the moment")


def test_speed__auto_and_not_offered__is_standard() -> None:
    far = Need(beyond=Decimal(1))
    for quote, why in (
        (Quote(QUOTE.circle_bps, Decimal(999)), "Circle lets only 999 USDC through fast at the moment"),
        (Quote(), "the price of fast is not known"),
    ):
        estimate, _ = judged(quote, far, speed="auto")
        assert estimate.speed is Speed.STANDARD
        assert estimate.why == f"standard: {why}"


def test_speed__auto_at_the_edge_of_the_band__is_standard() -> None:
    estimate, _ = judged(speed="auto")
    assert estimate.speed is Speed.STANDARD
    assert estimate.why == (
        "standard, as fast costs 0.1 dollars more and haste is worth 0 "
        "(0 of the total beyond the band, 0 min outside it)"
    )


def test_speed__auto_far_out_or_long_out__is_fast() -> None:
    """Without a budget haste is worth 5 basis points a patience, so that 1 is reached after a fifth of it."""
    assert Decimal(5) == SPEED_BPS
    assert speed_of(need=Need(beyond=Decimal("0.02"))) is Speed.FAST
    assert speed_of(need=Need(beyond=Decimal("0.0199"))) is Speed.STANDARD
    assert speed_of(need=Need(out_for=12 * MINUTE)) is Speed.FAST
    assert speed_of(need=Need(out_for=12 * MINUTE - TICK)) is Speed.STANDARD
    assert speed_of(need=Need(Decimal("0.01"), 6 * MINUTE)) is Speed.FAST


def test_speed__auto_with_a_budget__is_worth_a_part_of_it() -> None:
    out = Need(out_for=30 * MINUTE)
    assert speed_of(need=out, budget_bps=Decimal(2)) is Speed.FAST
    assert speed_of(need=out, budget_bps=Decimal("1.9")) is Speed.STANDARD


def test_speed__auto_and_only_standard_is_affordable__is_standard_and_passes() -> None:
    estimate, shut = judged(need=Need(beyond=Decimal(1)), speed="auto", budget_bps=Decimal("0.9"))
    assert estimate.speed is Speed.STANDARD
    assert shut is None


urgencies = st.integers(0, 10**6).map(lambda thousandths: Decimal(thousandths) / 1000)


@given(urgencies, urgencies, amounts, amounts, amounts)
def test_choose_speed__more_urgent__is_never_slower(
    one: Decimal, other: Decimal, fast: Decimal, standard: Decimal, worth: Decimal
) -> None:
    less, more = sorted((one, other))
    if choose_speed(fast, standard, less, worth=worth) is Speed.FAST:
        assert choose_speed(fast, standard, more, worth=worth) is Speed.FAST


@given(amounts, amounts, amounts)
def test_choose_speed__urgent_enough__is_fast(fast: Decimal, standard: Decimal, worth: Decimal) -> None:
    assert choose_speed(fast, standard, fast / worth + 1, worth=worth) is Speed.FAST


# The need


@pytest.mark.parametrize(
    ("onchain", "offchain", "stop", "outside"),
    [
        ("10", "90", "0", "0.1"),
        ("95", "5", "0", "0.15"),
        ("10", "90", "0.2", "0.1"),
        ("0", "7", "0.3", "0.2"),
    ],
)
def test_beyond__is_the_distance_from_the_band(onchain: str, offchain: str, stop: str, outside: str) -> None:
    band = Threshold(Decimal("0.5"), Decimal("0.3"), Decimal(stop))
    held = inventory(onchain, offchain)
    imbalance = detect(held, band)
    assert isinstance(imbalance, TooMuchOffchain | TooMuchOnchain)
    assert held.total is not None
    assert beyond(imbalance, held.total, band) == Decimal(outside)


def test_urgency__a_tenth_of_the_total_and_a_patience__are_one_each() -> None:
    assert Need(Decimal("0.25"), 90 * MINUTE).urgency(HOUR) == 4


# The waiting

OVER_BUDGET, PLANNED, BALANCED = Reason.OVER_COST_BUDGET, Reason.PLANNED, Reason.BALANCED


def history(*newest_first: Reason | None, gap: timedelta = MINUTE) -> tuple[timedelta, timedelta]:
    """Count back from now, one check a minute; None is no check."""
    rows = [(NOW - MINUTE * (back + 1), one) for back, one in enumerate(newest_first) if one is not None]
    return waited(rows, NOW, longest_gap=gap)


def test_waited__no_check_yet__is_nothing() -> None:
    assert history() == (timedelta(0), timedelta(0))


def test_waited__refused_in_a_row__counts_from_the_first() -> None:
    assert history(OVER_BUDGET, OVER_BUDGET, BALANCED, OVER_BUDGET) == (2 * MINUTE, 2 * MINUTE)


@pytest.mark.parametrize("reason", sorted(OVER))
def test_waited__moved_or_balanced__begins_anew(reason: Reason) -> None:
    assert history(OVER_BUDGET, reason, OVER_BUDGET) == (MINUTE, MINUTE)


def test_waited__outside_for_another_reason__counts_for_haste_alone() -> None:
    below = Reason.BELOW_MINIMUM
    assert history(below, OVER_BUDGET, below, gap=HOUR) == (3 * MINUTE, 2 * MINUTE)
    assert history(below, below) == (2 * MINUTE, timedelta(0))


def test_waited__what_could_not_be_judged__neither_counts_nor_ends_it() -> None:
    unread = Reason.UNREAD
    assert history(unread, OVER_BUDGET, Reason.STALE, OVER_BUDGET, unread, gap=2 * MINUTE) == (
        4 * MINUTE,
        4 * MINUTE,
    )


def test_waited__nothing_heard_for_too_long__ends_it() -> None:
    assert history(OVER_BUDGET, None, OVER_BUDGET) == (MINUTE, MINUTE)
    assert history(None, OVER_BUDGET) == (timedelta(0), timedelta(0))


def test_waited__held_back_by_people_for_long__did_not_wait_for_a_budget() -> None:
    held = Reason.HELD
    assert history(held, held, held, OVER_BUDGET, gap=2 * MINUTE) == (4 * MINUTE, timedelta(0))


@given(st.lists(st.sampled_from(Reason), max_size=30), st.integers(1, 5))
def test_waited__any_history__refused_is_never_longer_than_outside(rows: list[Reason], gap: int) -> None:
    out, refused = history(*rows, gap=gap * MINUTE)
    assert timedelta(0) <= refused <= out <= MINUTE * len(rows)
