from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.decision import Reason
from include.domain.limits import (
    LONGEST_REST,
    DailyLimits,
    Hold,
    Left,
    Shut,
    midnight,
    moved,
    refusals,
    rest_after,
)
from include.domain.operation import OperationStatus
from tests.unit.domain.build import settled
from tests.unit.domain.strategies import ASSETS, amounts

OPEN, SETTLED, CANCELLED, RECONCILED = OperationStatus
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ONE, TEN = Decimal(1), Decimal(10)


# A day


@pytest.mark.parametrize(
    ("moment", "began"),
    [
        (datetime(2026, 3, 2, 0, 0, tzinfo=UTC), 2),
        (datetime(2026, 3, 2, 23, 59, 59, 999999, tzinfo=UTC), 2),
        (datetime(2026, 3, 2, 23, 0, tzinfo=timezone(timedelta(hours=-5))), 3),  # the day of UTC, not theirs
    ],
)
def test_midnight__any_moment__is_the_beginning_of_its_day_in_utc(moment: datetime, began: int) -> None:
    assert midnight(moment) == datetime(2026, 3, began, tzinfo=UTC)


def test_midnight__without_a_zone__is_refused() -> None:
    with pytest.raises(ValueError, match="moment must have a time zone"):
        midnight(datetime(2026, 3, 2))  # noqa: DTZ001 - the point of the test


def test_moved__cancelled__does_not_count_and_everything_else_does() -> None:
    operations = [
        ("AAPL", TEN, OPEN),
        ("AAPL", ONE, SETTLED),
        ("AAPL", Decimal(100), CANCELLED),
        ("TSLA", ONE, RECONCILED),
        ("USDC", TEN, CANCELLED),
    ]
    assert moved(operations) == {"AAPL": Decimal(11), "TSLA": ONE}


LIMITS = DailyLimits({"AAPL": TEN}, equity=Decimal(15), usdc=Decimal(100))


@pytest.mark.parametrize(
    ("asset", "already", "left"),
    [
        ("AAPL", {}, "10"),
        ("AAPL", {"AAPL": "4"}, "6"),
        ("AAPL", {"AAPL": "4", "TSLA": "7"}, "4"),  # the limit of all equities leaves less
        ("AAPL", {"USDC": "99"}, "10"),
        ("AAPL", {"AAPL": "10"}, "0"),
        ("AAPL", {"AAPL": "12"}, "0"),  # the limit was lowered since
        ("TSLA", {"AAPL": "4", "TSLA": "7"}, "4"),
        ("USDC", {"AAPL": "15", "USDC": "99.5"}, "0.5"),
    ],
)
def test_left__under_limits__is_what_the_tightest_leaves(
    asset: str, already: dict[str, str], left: str
) -> None:
    found = LIMITS.left(asset, {one: Decimal(amount) for one, amount in already.items()})
    assert found is not None
    assert found.amount == Decimal(left)


def test_left__without_a_limit__is_none() -> None:
    assert DailyLimits({"AAPL": TEN}).left("TSLA", {"TSLA": TEN}) is None
    assert DailyLimits(equity=TEN).left("USDC", {"USDC": TEN}) is None
    assert DailyLimits(usdc=TEN).left("AAPL", {"AAPL": TEN}) is None


@pytest.mark.parametrize(
    ("asset", "already", "words"),
    [
        ("AAPL", {"AAPL": TEN}, "the daily maximum of AAPL is 10, 10 is moved today, 0 is left"),
        ("TSLA", {"AAPL": TEN}, "the daily maximum of all equities is 15, 10 is moved today, 5 is left"),
        ("USDC", {"USDC": TEN}, "the daily maximum of USDC is 100, 10 is moved today, 90 is left"),
    ],
)
def test_left__any__names_limit_and_figures(asset: str, already: dict[str, Decimal], words: str) -> None:
    found = LIMITS.left(asset, already)
    assert found is not None
    assert found.words == words


@pytest.mark.parametrize(
    ("asset", "together", "complaint"),
    [
        ("AAPL", {"AAPL": "10"}, None),
        ("AAPL", {"AAPL": "10.000000001"}, "the daily maximum of AAPL is 10, and 10.000000001 would have"),
        ("AAPL", {"AAPL": "8", "TSLA": "7"}, None),
        (
            "AAPL",
            {"AAPL": "8", "TSLA": "7.1"},
            "the daily maximum of all equities is 15, and 15.1 would have",
        ),
        ("TSLA", {"AAPL": "11"}, None),  # another asset's limit
        ("USDC", {"USDC": "100", "AAPL": "99"}, None),
        ("USDC", {"USDC": "100.000001"}, "the daily maximum of USDC is 100, and 100.000001 would have"),
    ],
)
def test_exceeded__at_a_limit__is_not_and_just_above_it_is(
    asset: str, together: dict[str, str], complaint: str | None
) -> None:
    found = LIMITS.exceeded(asset, {one: Decimal(amount) for one, amount in together.items()})
    assert (found is None) if complaint is None else (found or "").startswith(complaint)


@given(
    st.dictionaries(st.sampled_from(ASSETS), amounts()),
    st.dictionaries(st.sampled_from(ASSETS), amounts().filter(bool)),
    st.none() | amounts().filter(bool),
    st.none() | amounts().filter(bool),
    st.sampled_from(ASSETS),
)
def test_left__moved_as_well__exceeds_nothing_and_any_more_does(
    already: dict[str, Decimal],
    limits: dict[str, Decimal],
    equity: Decimal | None,
    usdc: Decimal | None,
    asset: str,
) -> None:
    daily = DailyLimits(limits, equity, usdc)
    left = daily.left(asset, already)
    if left is None:
        assert daily.exceeded(asset, already) is None
        return
    with_all = moved([*((one, amount, OPEN) for one, amount in already.items()), (asset, left.amount, OPEN)])
    with_more = moved([*((one, amount, OPEN) for one, amount in with_all.items()), (asset, ONE, OPEN)])
    assert left.amount == 0 or daily.exceeded(asset, with_all) is None
    assert daily.exceeded(asset, with_more) is not None


@pytest.mark.parametrize(
    "limits", [{"assets": {"AAPL": Decimal(0)}}, {"equity": Decimal(0)}, {"usdc": Decimal(-1)}]
)
def test_daily_limits__not_above_zero__are_refused(limits: dict[str, Decimal]) -> None:
    with pytest.raises(ValueError, match="a daily maximum must"):
        DailyLimits(**limits)  # type: ignore[arg-type]  # one of each kind


def test_daily_limits__the_mapping_they_were_made_from__is_copied() -> None:
    mapping = {"AAPL": TEN}
    daily = DailyLimits(mapping)
    mapping.clear()
    assert daily.left("AAPL", {}) == Left(
        TEN, "the daily maximum of AAPL is 10, 0 is moved today, 10 is left"
    )


# The hold list


@pytest.mark.parametrize(
    ("value", "held"),
    [
        (None, set()),
        ("", set()),
        ("  \n", set()),
        ("[]", set()),
        (" [ ] ", set()),
        ("AAPL", {"AAPL"}),
        ("aapl, Tsla", {"AAPL", "TSLA"}),
        ("AAPL TSLA\nBRK.B", {"AAPL", "TSLA", "BRK.B"}),
        (",AAPL,,TSLA,", {"AAPL", "TSLA"}),
        ('["aapl", " usdc "]', {"AAPL", "USDC"}),
    ],
)
def test_hold__a_list_of_symbols__holds_these_and_no_others(value: str | None, held: set[str]) -> None:
    hold = Hold.read(value)
    assert hold == Hold(frozenset(held))
    assert hold.why("NVDA") is None
    for asset in held:
        assert hold.why(asset) == "the hold list names it"


@pytest.mark.parametrize(
    "value",
    ["AAPL; TSLA", "*", "A-B", '"AAPL"', '["AAPL"', '["AAPL", 7]', '["AAPL", null]', '{"AAPL": 1}', '[""]'],
)
def test_hold__anything_else__holds_everything_and_says_so(value: str) -> None:
    hold = Hold.read(value)
    for asset in ("AAPL", "NVDA", "USDC"):
        assert hold.why(asset) == "the hold list is not a list of symbols, so it holds everything"


@given(st.text(max_size=30))
def test_hold__any_text_at_all__is_read_or_holds_everything(value: str) -> None:
    hold = Hold.read(value)
    assert hold.everything is None or not hold.assets
    assert hold.everything is not None or Hold.read(", ".join(hold.assets)) == hold


@given(st.frozensets(st.sampled_from(ASSETS)), st.sampled_from([", ", " ", ",", "\n"]))
def test_hold__in_either_form__is_the_same(assets: frozenset[str], between: str) -> None:
    assert Hold.read(between.join(assets)) == Hold.read(json.dumps(sorted(assets)).lower()) == Hold(assets)


# What is asked from outside

SHUTS = (Reason.FROZEN, Reason.GATE_SILENT, Reason.UNPRICED, Reason.OVER_COST_BUDGET)


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in SHUTS])
def test_shut__for_a_reason_that_the_plan_finds_itself__is_refused(reason: Reason) -> None:
    with pytest.raises(ValueError, match="nothing is shut for being"):
        Shut(reason, "")


# Rests


def test_refusals__newest_first__count_up_to_the_last_that_moved_money() -> None:
    history = [
        ("AAPL", CANCELLED),
        ("TSLA", SETTLED),
        ("AAPL", CANCELLED),
        ("USDC", RECONCILED),
        ("AAPL", SETTLED),
        ("AAPL", CANCELLED),
        ("TSLA", CANCELLED),
        ("NVDA", CANCELLED),
    ]
    assert refusals(history) == {"AAPL": 2, "NVDA": 1}


@pytest.mark.parametrize(
    ("count", "minutes"),
    [(0, 2), (1, 5), (2, 10), (3, 20), (4, 40), (5, 60), (6, 60), (1000, 60)],
)
def test_rest_after__refusals_in_a_row__doubles_up_to_an_hour(count: int, minutes: int) -> None:
    rest = rest_after(settled(refusals=count), settle_cooldown=2 * MINUTE, refusal_cooldown=5 * MINUTE)
    assert rest == minutes * MINUTE


def test_rest_after__settle_cooldown__has_no_longest() -> None:
    assert rest_after(settled(), settle_cooldown=3 * HOUR, refusal_cooldown=MINUTE) == 3 * HOUR


@given(st.integers(1, 10**6), st.timedeltas(timedelta(0), LONGEST_REST))
def test_rest_after__any_refusals__never_shrinks_and_never_exceeds_an_hour(
    count: int, cooldown: timedelta
) -> None:
    fewer, more = (
        rest_after(settled(refusals=one), settle_cooldown=HOUR, refusal_cooldown=cooldown)
        for one in (count, count + 1)
    )
    assert cooldown <= fewer <= more <= LONGEST_REST
    assert more == min(2 * fewer, LONGEST_REST) or fewer == LONGEST_REST or cooldown == timedelta(0)
