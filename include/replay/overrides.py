"""What a replay sets otherwise: read from the conf of its backfill, and laid over the settings."""

from __future__ import annotations

import difflib
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from include.domain.amounts import plain
from include.settings import Settings
from include.settings.types import Duration, NonNegative, Positive, Ratio, Symbol, Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_CONFIG: Final = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class OverridesRefused(ValueError):
    """What a replay is to be decided by makes no sense. The message names each field."""


class AssetOverrides(BaseModel):
    """What is set otherwise for one asset. Amounts are in shares or USDC."""

    model_config = _CONFIG

    target: Ratio | None = Field(None, description="Wanted part that is onchain, 0 to 1.")
    deviation: NonNegative | None = Field(None, description="How far from it the part may be.")
    stop_deviation: NonNegative | None = Field(None, description="How far from the target a move stops.")
    minimum: NonNegative | None = Field(None, description="Smallest amount moved at once.")
    maximum: Positive | None = Field(None, description="Largest amount moved at once.")
    daily_maximum: Positive | None = Field(None, description="Most that is moved in a day (UTC).")


class Overrides(BaseModel):
    """What a replay sets otherwise. What is left out stays as it is set."""

    model_config = _CONFIG

    replay_name: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        None, description="What it is called. Replays of other names are kept apart, whatever they set."
    )
    replay_tolerance: Annotated[Duration, Field(gt=timedelta(0))] | None = Field(
        None,
        description="How old the recorded balances may be at a run's time; unset, two check intervals.",
    )
    target: Ratio | None = Field(None, description="Wanted part that is onchain, 0 to 1, of all assets.")
    deviation: NonNegative | None = Field(None, description="How far from it the part may be, of all assets.")
    stop_deviation: NonNegative | None = Field(
        None, description="How far from the target a move stops, of all assets."
    )
    equity_minimum: NonNegative | None = Field(None, description="Smallest number of shares moved at once.")
    equity_maximum: Positive | None = Field(None, description="Largest number of shares moved at once.")
    equity_cap: Positive | None = Field(None, description="Shares at once that nothing exceeds.")
    equity_daily_maximum: Positive | None = Field(
        None, description="Most shares moved in a day, all together."
    )
    usdc_minimum: NonNegative | None = Field(None, description="Smallest amount of USDC moved at once.")
    usdc_maximum: Positive | None = Field(None, description="Largest amount of USDC moved at once.")
    usdc_cap: Positive | None = Field(None, description="USDC at once that nothing exceeds.")
    usdc_daily_maximum: Positive | None = Field(None, description="Most USDC moved in a day.")
    max_open_operations: Annotated[int, Field(ge=1)] | None = Field(
        None, description="How many operations may be open at once."
    )
    settle_cooldown: Annotated[Duration, Field(ge=timedelta(0))] | None = Field(
        None, description="How long an asset rests after a move."
    )
    refusal_cooldown: Annotated[Duration, Field(ge=timedelta(0))] | None = Field(
        None, description="How long an asset rests after a cancelled operation."
    )
    per_asset: Annotated[dict[Symbol, AssetOverrides], Table] = Field(
        default_factory=dict, description="What is set otherwise for single assets, by symbol."
    )

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> Overrides:
        """Read what was given. What is null or empty counts as left out.

        :raises OverridesRefused: naming every field that is unknown or wrong.
        """
        kept = {name: value for name, value in given.items() if value is not None and value != ""}
        try:
            return cls.model_validate(kept)
        except ValidationError as error:
            problems = list(_readable(error))
        # Raised outside the handler, so that the log has the one message and not the library's as well.
        raise OverridesRefused("; ".join(problems))

    def tolerance(self, settings: Settings) -> timedelta:
        """Return how old recorded balances may be."""
        return self.replay_tolerance or 2 * settings.rebalancing_check_interval

    def over(self, settings: Settings) -> Settings:
        """Lay them over the settings. What is set for all assets replaces what single ones have of their own.

        :raises OverridesRefused: naming every field that does not fit the settings.
        """
        of_all = {
            there: getattr(self, here) for here, there in _OF_ALL.items() if getattr(self, here) is not None
        }
        changes: dict[str, Any] = of_all | {
            name: getattr(self, name) for name in _AS_THEY_ARE if getattr(self, name) is not None
        }
        own_cleared = {
            _OWN[here]: None for here in _OF_ALL if here in _OWN and getattr(self, here) is not None
        }
        assets: dict[str, dict[str, Any]] = {
            symbol: dict(asset) | own_cleared for symbol, asset in settings.assets.items()
        }
        for symbol, one in self.per_asset.items():
            if symbol not in settings.symbols:
                raise OverridesRefused(f"per_asset.{symbol}: is not among the assets of the settings")
            given = {_OWN.get(name, name): value for name, value in one if value is not None}
            assets[symbol] = assets.get(symbol, {}) | given
        try:
            given = dict(settings) | changes | {"assets": assets}
            return Settings.model_validate(given, context={"book": settings.book})
        except ValidationError as error:
            problems = list(_readable(error))
        raise OverridesRefused("; ".join(problems))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form of what is given, without the name: `read` gives back the same."""
        given = self.model_dump(exclude_none=True, exclude_defaults=True, exclude={"replay_name"})
        found: dict[str, Any] = _plain(given)
        return found


# By the name here, the name of the setting of all assets.
_OF_ALL: Final = {
    "target": "rebalancing_target_ratio",
    "deviation": "rebalancing_deviation",
    "stop_deviation": "stop_deviation",
}
# By the name here, that of the setting of a single asset, where that is another.
_OWN: Final = {"target": "target_ratio", "deviation": "deviation", "stop_deviation": "stop_deviation"}
_AS_THEY_ARE: Final = tuple(
    name for name in Overrides.model_fields if name in Settings.model_fields and name not in _OF_ALL
)
_NAMES: Final = {there: here for here, there in (*_OF_ALL.items(), *_OWN.items())} | {"assets": "per_asset"}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    return plain(value) if isinstance(value, Decimal) else value


def _readable(error: ValidationError) -> Iterator[str]:
    """Write one line a problem: the field's name in a replay, and what is wrong."""
    for detail in error.errors(include_input=False, include_url=False):
        path = [_NAMES.get(str(part), str(part)) for part in detail["loc"] if part != "[key]"]
        words = detail["msg"].removeprefix("Value error, ")
        for there, here in _OF_ALL.items():
            words = words.replace(here, there)
        if detail["type"] == "extra_forbidden":
            known: Iterable[str] = (AssetOverrides if path[0] == "per_asset" else Overrides).model_fields
            near = difflib.get_close_matches(path[-1], known, n=1)
            words = "is not a setting of a replay" + (f"; is {near[0]} meant?" if near else "")
        yield f"{'.'.join(path)}: {words}"
