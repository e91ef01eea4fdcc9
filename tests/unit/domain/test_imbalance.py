from __future__ import annotations

import json
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import assume, given

from include.domain.amounts import floor_to, from_base_units
from include.domain.imbalance import (
    Imbalance,
    Threshold,
    TooMuchOffchain,
    TooMuchOnchain,
    detect,
    imbalance_from_dict,
)
from include.domain.inventory import Balance, Inventory, Unread
from tests.unit.domain.build import DOWN, balance, inventory, threshold
from tests.unit.domain.strategies import (
    inventories,
    settled_inventories,
    stopping_thresholds,
    thresholds,
)


def off(excess: str) -> Imbalance:
    return TooMuchOffchain(Decimal(excess))


def on(excess: str) -> Imbalance:
    return TooMuchOnchain(Decimal(excess))


@pytest.mark.parametrize(
    ("onchain", "offchain", "expected"),
    [
        ("20", "80", None),
        ("19", "81", off("31")),
        ("81", "19", on("31")),
        ("80", "20", None),
        ("0", "100", off("50")),
        ("100", "0", on("50")),
        ("0", "0", None),
        ("50", "50", None),
    ],
)
def test_detect__examples_at_half_and_three_tenths__are_as_designed(
    onchain: str, offchain: str, expected: Imbalance | None
) -> None:
    assert detect(inventory(onchain, offchain), threshold("0.5", "0.3")) == expected


@pytest.mark.parametrize(("onchain", "offchain"), [("20", "80"), ("80", "20")])
def test_detect__on_a_bound__is_balanced(onchain: str, offchain: str) -> None:
    assert detect(inventory(onchain, offchain), threshold("0.5", "0.3")) is None


def test_detect__one_wei_past_a_bound__is_not_balanced() -> None:
    wei = "0.000000000000000001"
    low = inventory("19.999999999999999999", "80." + wei[2:])
    high = inventory("80." + wei[2:], "19.999999999999999999")
    assert detect(low, threshold()) == off("30.000000000000000001")
    assert detect(high, threshold()) == on("30.000000000000000001")


def test_detect__a_bound_no_division_can_hit__is_exact() -> None:
    # A third of the total is onchain; a rounded quotient would fall on either side of 0.333...3.
    thirds = inventory("1", "2")
    assert detect(thirds, Threshold(Decimal("0.333333333333333333333333333333"), Decimal(0))) == on("1E-30")
    assert detect(thirds, Threshold(Decimal("0.333333333333333333333333333334"), Decimal(0))) == off("2E-30")


def test_detect__more_digits_than_the_default_context_has__is_exact() -> None:
    onchain, offchain = from_base_units(2**255 - 2, 18), from_base_units(2**255, 18)
    found = detect(Inventory("AAPL", Balance(onchain), Balance(offchain)), threshold("0.5", "0"))
    assert found == off("1E-18")


def test_detect__zero_total__is_nothing_even_without_a_band() -> None:
    assert detect(inventory("0", "0"), threshold("0.5", "0")) is None


@pytest.mark.parametrize(
    ("onchain", "offchain"),
    [(balance("0", in_flight="1"), balance("100")), (balance("0"), balance("100", in_flight="0.000001"))],
)
def test_detect__in_flight_at_either_venue__is_nothing(onchain: Balance, offchain: Balance) -> None:
    assert detect(inventory(onchain, offchain), threshold()) is None


@pytest.mark.parametrize(("onchain", "offchain"), [(DOWN, "100"), ("100", DOWN), (DOWN, DOWN)])
def test_detect__unread__is_not_zero(onchain: str | Unread, offchain: str | Unread) -> None:
    assert detect(inventory(onchain, offchain), threshold()) is None


def test_detect__held_by_open_orders__counts_in_the_ratio() -> None:
    assert detect(inventory(balance("10", held="10"), "80"), threshold()) is None
    assert detect(inventory(balance("10", held="9"), "81"), threshold()) == off("31")


@pytest.mark.parametrize(("onchain", "offchain"), [("0", "100"), ("100", "0")])
def test_detect__band_as_wide_as_everything__is_nothing(onchain: str, offchain: str) -> None:
    assert detect(inventory(onchain, offchain), threshold("0.5", "0.5")) is None


@given(settled_inventories(), thresholds())
def test_detect__any_settled_inventory__agrees_with_fractions(held: Inventory, wanted: Threshold) -> None:
    assert isinstance(held.onchain, Balance)
    onchain, total = Fraction(held.onchain.total), Fraction(held.total or 0)
    target, deviation = Fraction(wanted.target), Fraction(wanted.deviation)
    found = detect(held, wanted)
    if total and onchain / total < target - deviation:
        assert isinstance(found, TooMuchOffchain)
        assert Fraction(found.excess) == total * target - onchain
    elif total and onchain / total > target + deviation:
        assert isinstance(found, TooMuchOnchain)
        assert Fraction(found.excess) == onchain - total * target
    else:
        assert found is None


@given(inventories(), thresholds())
def test_detect__any_imbalance__is_positive_and_not_above_its_source(
    held: Inventory, wanted: Threshold
) -> None:
    found = detect(held, wanted)
    assume(found is not None)
    source = held.onchain if isinstance(found, TooMuchOnchain) else held.offchain
    assert found is not None
    assert isinstance(source, Balance)
    assert 0 < found.excess <= source.total


@pytest.mark.parametrize("decimals", [6, 9, 18])
@given(held=settled_inventories(), wanted=thresholds())
def test_detect__after_the_floored_excess_has_moved__ratio_is_target_within_a_base_unit(
    decimals: int, held: Inventory, wanted: Threshold
) -> None:
    found = detect(held, wanted)
    assume(found is not None)
    assert found is not None
    assert isinstance(held.onchain, Balance)
    assert held.total is not None
    moved = Fraction(floor_to(found.excess, decimals))
    after = Fraction(held.onchain.total) + (moved if isinstance(found, TooMuchOffchain) else -moved)
    assert abs(after - Fraction(held.total) * Fraction(wanted.target)) < Fraction(1, 10**decimals)


@given(inventories(), thresholds())
def test_detect__whatever_the_ambient_decimal_context__is_the_same(
    held: Inventory, wanted: Threshold
) -> None:
    expected = detect(held, wanted)
    with localcontext(prec=2):
        assert detect(held, wanted) == expected


@pytest.mark.parametrize(("target", "deviation"), [("-0.1", "0.1"), ("1.1", "0.1"), ("0.5", "-0.1")])
def test_threshold__out_of_range__is_refused(target: str, deviation: str) -> None:
    with pytest.raises(ValueError, match=r"must be 0 to 1|must not be negative"):
        threshold(target, deviation)


def test_threshold__more_digits_than_exact_arithmetic_has_room_for__is_refused() -> None:
    threshold("0.5", "1E-30")
    with pytest.raises(ValueError, match="more than 30 digits"):
        threshold("0.5", "1E-31")


def test_detect__as_many_digits_as_are_let_in__is_exact() -> None:
    huge = Balance(Decimal("9" * 96 + "." + "9" * 96))
    found = detect(Inventory("AAPL", huge, Balance(Decimal("1E-96"))), threshold("0.5", "1E-30"))
    assert isinstance(found, TooMuchOnchain)
    assert imbalance_from_dict(found.to_dict()) == found


def test_threshold__bounds__may_lie_outside_zero_and_one() -> None:
    assert threshold("0.1", "0.3").lower == Decimal("-0.2")
    assert threshold("0.9", "0.3").upper == Decimal("1.2")


@pytest.mark.parametrize(
    ("onchain", "stop", "expected"),
    [
        ("19", "0", off("31")),
        ("19", "0.1", off("21")),
        ("19", "0.3", off("1")),
        ("81", "0", on("31")),
        ("81", "0.1", on("21")),
        ("81", "0.3", on("1")),
        ("20", "0.1", None),
        ("80", "0.1", None),
        ("39", "0.1", None),  # outside the inner band alone is no imbalance
    ],
)
def test_detect__with_an_inner_band__measures_the_excess_to_its_nearer_edge(
    onchain: str, stop: str, expected: Imbalance | None
) -> None:
    held = inventory(onchain, str(100 - int(onchain)))
    assert detect(held, threshold("0.5", "0.3", stop)) == expected


@given(settled_inventories(), stopping_thresholds())
def test_detect__after_exactly_the_excess_has_moved__ratio_is_on_the_nearer_edge_of_the_inner_band(
    held: Inventory, wanted: Threshold
) -> None:
    found = detect(held, wanted)
    assume(found is not None)
    assert found is not None
    assert isinstance(held.onchain, Balance)
    assert held.total is not None
    low, excess = isinstance(found, TooMuchOffchain), Fraction(found.excess)
    after = (Fraction(held.onchain.total) + (excess if low else -excess)) / Fraction(held.total)
    assert after == Fraction(wanted.target) + (-1 if low else 1) * Fraction(wanted.stop)
    assert wanted.lower <= wanted.inner_lower <= wanted.target <= wanted.inner_upper <= wanted.upper
    assert Fraction(wanted.lower) <= after <= Fraction(wanted.upper)


@given(settled_inventories(), stopping_thresholds())
def test_detect__an_inner_band__changes_no_verdict_and_moves_no_more(
    held: Inventory, wanted: Threshold
) -> None:
    found, all_the_way = detect(held, wanted), detect(held, Threshold(wanted.target, wanted.deviation))
    assert type(found) is type(all_the_way)
    if found is not None and all_the_way is not None:
        assert found.excess <= all_the_way.excess


@pytest.mark.parametrize(("deviation", "stop"), [("0.3", "0.301"), ("0", "0.001"), ("0.3", "-0.1")])
def test_threshold__stop_outside_the_band__is_refused(deviation: str, stop: str) -> None:
    with pytest.raises(ValueError, match=r"stop .* is outside the deviation|stop must not be negative"):
        threshold("0.5", deviation, stop)


@pytest.mark.parametrize(("deviation", "stop"), [("0.3", "0.3"), ("0", "0")])
def test_threshold__stop_at_the_edge_of_the_band__is_allowed(deviation: str, stop: str) -> None:
    assert threshold("0.5", deviation, stop).inner_upper == threshold("0.5", deviation).upper


@pytest.mark.parametrize("kind", [TooMuchOnchain, TooMuchOffchain])
@pytest.mark.parametrize("excess", ["0", "-1"])
def test_imbalance__excess_not_above_zero__is_refused(
    kind: type[TooMuchOnchain | TooMuchOffchain], excess: str
) -> None:
    with pytest.raises(ValueError, match="excess must not be"):
        kind(Decimal(excess))


@pytest.mark.parametrize("found", [on("31"), off("0.000000000000000001")])
def test_imbalance__through_json__comes_back_equal(found: Imbalance) -> None:
    again = imbalance_from_dict(json.loads(json.dumps(found.to_dict())))
    assert again == found
    assert type(again) is type(found)


def test_imbalance__unknown_name_in_json__is_refused() -> None:
    with pytest.raises(ValueError, match="'too_much' is no imbalance"):
        imbalance_from_dict({"imbalance": "too_much", "excess": "1"})
