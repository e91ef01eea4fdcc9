"""What is wanted of the assets, and what is allowed now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from include.domain.amounts import not_negative, plain
from include.domain.limits import DailyLimits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from include.domain.imbalance import Threshold

UNLIMITED: Final = DailyLimits()


@dataclass(frozen=True, slots=True)
class AssetPolicy:
    """What is wanted of one asset.

    :param minimum: an amount below it is not moved; an amount equal to it is.
    :param maximum: an amount above it is cut to it; None for no limit.
    :param enabled: False to observe this asset only.
    :param cap: the same as the maximum, but for all assets of its class: the smaller of the two counts.
    :param free_offchain: what counts as free offchain, in words, where that is not all that lies there.
    :raises ValueError: if the minimum is negative, or the maximum or cap is zero or below the minimum.
    """

    threshold: Threshold
    minimum: Decimal = Decimal(0)
    maximum: Decimal | None = None
    enabled: bool = True
    cap: Decimal | None = None
    free_offchain: str = ""

    def __post_init__(self) -> None:
        not_negative(self.minimum, "minimum")
        for name, most in (("maximum", self.maximum), ("cap", self.cap)):
            if most is None:
                continue
            if not_negative(most, name) == 0:
                raise ValueError(f"{name} must be above zero; disable the asset to move none of it")
            if most < self.minimum:
                raise ValueError(f"{name} {plain(most)} is below minimum {plain(self.minimum)}")


@dataclass(frozen=True, slots=True)
class Policy:
    """What is wanted of all assets, and what is allowed now.

    :param assets: by asset; an asset that is not here is not looked at. It is copied; do not change it.
    :param enabled: False to observe only.
    :param may_start: whether the switch is at run.
    :param max_snapshot_age: the age up to which a snapshot may be acted on.
    :param selected: the only assets this run may move; None for all.
    :param dry_run: True to decide everything and move nothing.
    :param max_open_operations: how many may be open, those already open included; None for no limit.
    :param daily: the most that is moved in a day.
    :param settle_cooldown: how long an asset rests after an operation that moved money.
    :param refusal_cooldown: how long it rests after a cancelled one; more after several in a row.
    :raises ValueError: if an age or limit makes no sense, or an unknown asset is selected.
    """

    assets: Mapping[str, AssetPolicy]
    enabled: bool
    may_start: bool
    max_snapshot_age: timedelta
    selected: frozenset[str] | None = None
    dry_run: bool = False
    max_open_operations: int | None = None
    daily: DailyLimits = UNLIMITED
    settle_cooldown: timedelta = timedelta(0)
    refusal_cooldown: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "assets", dict(self.assets))
        if self.max_snapshot_age <= timedelta(0):
            raise ValueError("max_snapshot_age must be above zero")
        if min(self.settle_cooldown, self.refusal_cooldown) < timedelta(0):
            raise ValueError("a cooldown must not be negative")
        if self.max_open_operations is not None and self.max_open_operations < 0:
            raise ValueError("max_open_operations must not be negative")
        if unknown := (self.selected or frozenset()) - self.assets.keys():
            raise ValueError(f"selected but not configured: {', '.join(sorted(unknown))}")
