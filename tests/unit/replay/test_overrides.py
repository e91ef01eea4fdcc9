"""What a replay may set otherwise, and what is said of what it may not."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from include.domain.limits import DailyLimits
from include.replay import terms
from include.replay.overrides import Overrides, OverridesRefused
from tests.support.books import settings

ALL: dict[str, Any] = {
    "replay_name": "all of it",
    "replay_tolerance": "5m",
    "target": 0.4,
    "deviation": "0.25",
    "stop_deviation": 0.1,
    "equity_minimum": 1,
    "equity_maximum": 20,
    "equity_cap": 30,
    "equity_daily_maximum": 90,
    "usdc_minimum": 100,
    "usdc_maximum": 2000,
    "usdc_cap": 3000,
    "usdc_daily_maximum": 9000,
    "max_open_operations": 2,
    "settle_cooldown": "10m",
    "refusal_cooldown": 90,
    "per_asset": {"aapl": {"target": "0.6", "deviation": 0.3, "daily_maximum": 50}},
}


def test_over__everything__is_what_the_plan_is_made_by() -> None:
    policy = Overrides.read(ALL).over(settings()).policy(may_start=True)

    aapl, usdc = policy.assets["AAPL"], policy.assets["USDC"]
    assert (aapl.threshold.target, aapl.threshold.deviation, aapl.threshold.stop) == (
        Decimal("0.6"),
        Decimal("0.3"),
        Decimal("0.1"),
    )
    assert (usdc.threshold.target, usdc.threshold.deviation) == (Decimal("0.4"), Decimal("0.25"))
    assert (aapl.minimum, aapl.maximum, aapl.cap) == tuple(map(Decimal, (1, 20, 30)))
    assert (usdc.minimum, usdc.maximum, usdc.cap) == tuple(map(Decimal, (100, 2000, 3000)))
    assert policy.daily == DailyLimits({"AAPL": Decimal(50)}, Decimal(90), Decimal(9000))
    assert policy.max_open_operations == 2
    assert policy.settle_cooldown == timedelta(minutes=10)
    assert policy.refusal_cooldown == timedelta(seconds=90)


def test_every_field__is_tested_here() -> None:
    assert set(ALL) == set(Overrides.model_fields)


def test_read__null_and_empty__are_left_out_and_zero_is_not() -> None:
    given = Overrides.read({"target": None, "deviation": "", "stop_deviation": 0, "per_asset": None})
    assert given.to_dict() == {"stop_deviation": "0"}
    own = settings(stop_deviation="0.1")
    assert given.over(own).stop_deviation == 0
    assert Overrides.read({}).over(own) == own


def test_over__set_for_all__replaces_what_an_asset_has_of_its_own() -> None:
    own = settings(assets='{"AAPL": {"target_ratio": "0.7", "deviation": "0.05", "minimum": "3"}}')
    found = Overrides.read({"target": "0.4"}).over(own).asset("AAPL")
    assert (found.target_ratio, found.deviation) == (Decimal("0.4"), Decimal("0.05"))
    assert found.minimum == 3


def test_to_dict__is_read_back_as_the_same() -> None:
    given = Overrides.read(ALL)
    found = given.to_dict()
    assert found["settle_cooldown"] == "600s"
    assert found["per_asset"] == {"AAPL": {"target": "0.6", "deviation": "0.3", "daily_maximum": "50"}}
    assert Overrides.read({**found, "replay_name": "all of it"}) == given


def test_tolerance__unset__is_two_intervals() -> None:
    own = settings(rebalancing_check_interval="5m")
    assert Overrides().tolerance(own) == timedelta(minutes=10)
    assert Overrides.read({"replay_tolerance": 7}).tolerance(own) == timedelta(seconds=7)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"deviaton": 0.2}, "deviaton: is not a setting of a replay; is deviation meant"),
        ({"whatever": 1}, "whatever: is not a setting of a replay"),
        ({"target": 1.5}, "target: "),
        ({"deviation": "wide"}, "deviation: is not a number"),
        ({"deviation": True}, "deviation: is not a number"),
        ({"equity_maximum": 0}, "equity_maximum: "),
        ({"settle_cooldown": "soon"}, "settle_cooldown: is not a duration"),
        ({"replay_tolerance": "0s"}, "replay_tolerance: "),
        ({"replay_name": "x" * 101}, "replay_name: "),
        (
            {"per_asset": {"AAPL": {"targt": 0.5}}},
            "per_asset.AAPL.targt: is not a setting of a replay",
        ),
        ({"per_asset": {"not a symbol": {}}}, "per_asset"),
        ({"per_asset": 7}, "per_asset: "),
    ],
)
def test_read__wrong__names_the_field(given: dict[str, Any], words: str) -> None:
    with pytest.raises(OverridesRefused, match=words.replace(".", r"\.")):
        Overrides.read(given)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"per_asset": {"TSLA": {"target": 0.5}}}, "per_asset.TSLA: is not among the assets"),
        ({"stop_deviation": "0.3"}, "stop_deviation: must be less than deviation"),
        ({"usdc_minimum": 1}, "usdc_minimum: must not be less than 51"),
        ({"equity_cap": "0.001"}, "equity_cap: must not be less than equity_minimum"),
        ({"per_asset": {"AAPL": {"minimum": 9, "maximum": 8}}}, "per_asset.AAPL.maximum: "),
        ({"refusal_cooldown": "2h"}, "refusal_cooldown: "),
    ],
)
def test_over__does_not_fit_the_settings__names_the_field_of_the_replay(
    given: dict[str, Any], words: str
) -> None:
    with pytest.raises(OverridesRefused, match=words):
        Overrides.read(given).over(settings())


@pytest.mark.parametrize("given", [{}, ALL])
def test_terms__as_json__are_read_back_as_what_decides(given: dict[str, Any]) -> None:
    policy = Overrides.read(given).over(settings(rebalancing_enabled="false")).policy(may_start=False)
    found = terms.from_dict(terms.to_dict(policy))
    assert found.assets == policy.assets
    assert found.daily == policy.daily
    assert (found.enabled, found.may_start, found.dry_run) == (True, True, False)
    assert terms.to_dict(found) == terms.to_dict(policy)
