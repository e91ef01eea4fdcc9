"""A policy as JSON: what a replay was decided by is kept with it, whatever is set later."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from include.domain.amounts import parse, plain
from include.domain.imbalance import Threshold
from include.domain.limits import DailyLimits
from include.domain.policy import AssetPolicy, Policy

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal


def to_dict(policy: Policy) -> dict[str, Any]:
    """Return the JSON form of what is wanted and what bounds it; amounts are text, times are seconds.

    What belongs to a single run is left out: the switch, the selection, whether it is a dry run.
    """
    return {
        "assets": {
            asset: {
                "target": plain(one.threshold.target),
                "deviation": plain(one.threshold.deviation),
                "stop_deviation": plain(one.threshold.stop),
                "minimum": plain(one.minimum),
                "maximum": _text(one.maximum),
                "cap": _text(one.cap),
                "enabled": one.enabled,
            }
            for asset, one in sorted(policy.assets.items())
        },
        "daily": {asset: plain(most) for asset, most in sorted(policy.daily.assets.items())},
        "equity_daily_maximum": _text(policy.daily.equity),
        "usdc_daily_maximum": _text(policy.daily.usdc),
        "max_open_operations": policy.max_open_operations,
        "settle_cooldown": policy.settle_cooldown.total_seconds(),
        "refusal_cooldown": policy.refusal_cooldown.total_seconds(),
        "max_snapshot_age": policy.max_snapshot_age.total_seconds(),
    }


def from_dict(data: Mapping[str, Any]) -> Policy:
    """Read back what `to_dict` wrote, as the policy of a run that may move whatever it plans."""
    return Policy(
        assets={
            asset: AssetPolicy(
                threshold=Threshold(
                    parse(one["target"]), parse(one["deviation"]), parse(one["stop_deviation"])
                ),
                minimum=parse(one["minimum"]),
                maximum=_amount(one["maximum"]),
                cap=_amount(one["cap"]),
                enabled=one["enabled"],
            )
            for asset, one in data["assets"].items()
        },
        enabled=True,
        may_start=True,
        max_snapshot_age=timedelta(seconds=data["max_snapshot_age"]),
        max_open_operations=data["max_open_operations"],
        daily=DailyLimits(
            {asset: parse(most) for asset, most in data["daily"].items()},
            equity=_amount(data["equity_daily_maximum"]),
            usdc=_amount(data["usdc_daily_maximum"]),
        ),
        settle_cooldown=timedelta(seconds=data["settle_cooldown"]),
        refusal_cooldown=timedelta(seconds=data["refusal_cooldown"]),
    )


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)


def _amount(text: str | None) -> Decimal | None:
    return None if text is None else parse(text)
