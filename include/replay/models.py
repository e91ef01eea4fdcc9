"""The page's answers about replays. Amounts are decimal text; times are UTC; what is not known is null."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads it
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class Replay(_Model):
    """A replay: the past decided again under other settings."""

    id: str
    name: str | None
    created_at: datetime
    first: datetime = Field(description="The logical date of its first run.")
    last: datetime
    overrides: dict[str, Any] = Field(description="What was set otherwise, as it was given.")
    done: int = Field(description="How many runs decided on recorded balances.")
    skipped: dict[str, int] = Field(description="How many decided nothing, by the code of the reason.")


class Replays(_Model):
    """All replays, the newest first."""

    replays: list[Replay]


class Fees(_Model):
    """What operations cost."""

    dollars: str | None = Field(description="None where there were operations and nothing is known.")
    partial: bool = Field(description="Of some it is not known, or not all.")


class Column(_Model):
    """What was, or what would have been."""

    operations: dict[str, int] = Field(description="By kind, without the cancelled ones.")
    cancelled: int
    moved: str | None = Field(description="Shares or USDC; null where units differ.")
    fees: Fees
    known_seconds: int = Field(description="How long it is known where everything lay.")
    outside_own_seconds: int = Field(description="Out of the band that this column was decided by.")
    outside_base_seconds: int = Field(description="Out of the band of the settings.")
    largest_excess: str | None = Field(description="While out of its own band; null where units differ.")
    furthest: str | None = Field(description="The farthest that a ratio was from the settings' target.")


class Compared(_Model):
    """Both columns, of an asset or of several together."""

    of: str
    was: Column
    would: Column
    short_seconds: int = Field(
        description="How long trading would have needed more on one side than there would have been."
    )


class Assumed(_Model):
    """What the operations of a kind, that were never made, are taken to have been like."""

    takes_seconds: int
    takes_from: int = Field(description="How many real ones say so; 0 for a default.")
    fixed_dollars: str | None = Field(description="What each costs, whatever its amount.")
    part: str | None = Field(description="What it costs of its amount, on top.")
    costs_from: int = Field(description="How many real ones say so.")


class Report(_Model):
    """A replay, compared with what was done."""

    replay: Replay
    looks: int = Field(description="How many recorded looks it was decided on.")
    since: datetime | None = Field(description="When the first of them was taken.")
    until: datetime | None
    together: list[Compared] = Field(description="All equities, USDC, and everything.")
    assets: list[Compared]
    assumed: dict[str, Assumed] = Field(description="By kind.")


class Moved(_Model):
    """An operation on the chart."""

    kind: str
    amount: str
    opened_at: datetime
    closed_at: datetime | None
    status: str


class History(_Model):
    """The ratio of one asset, as it was and as it would have been."""

    asset: str
    target: str
    lower: str
    upper: str
    base_target: str
    base_lower: str
    base_upper: str
    points: list[tuple[int, str | None, str | None]] = Field(
        description="Seconds since 1970, the ratio as it was, and as it would have been."
    )
    real: list[Moved]
    virtual: list[Moved]
