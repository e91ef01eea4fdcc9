"""What is looked at to tell whether anybody has to be told: plain values, of one moment each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta
    from decimal import Decimal

    from include.ledger.alerts import Reading


@dataclass(frozen=True, slots=True)
class OpenLeg:
    """A leg of an open operation that is not done.

    :param what: the operation for people, such as `mint of 31 AAPL`.
    :param approve_by: until when a person has to approve the operation, where one has to and none has.
    """

    operation_id: str
    asset: str
    what: str
    leg: str
    since: datetime
    waiting_for: str | None = None
    due_at: datetime | None = None
    attention: str | None = None
    approve_by: datetime | None = None


@dataclass(frozen=True, slots=True)
class LostEffect:
    """An effect of an open operation of which is not known whether it happened."""

    operation_id: str
    asset: str
    what: str
    leg: str
    name: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Unread:
    """Assets that the last checks could all not read.

    :param since: when the first of these checks was made.
    :param why: what the newest said of the first asset.
    """

    assets: tuple[str, ...]
    since: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the newest check decided about an asset."""

    asset: str
    detail: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Books:
    """What the ledger says.

    :param checked_at: when the newest check was made; None where there was none yet.
    :param costly: assets refused for their cost, each since the first check that did so without a break.
    :param stray: by asset, what lies in the wallet though it should be in a vault, in shares or USDC.
    :param seen_at: when the newest snapshot with balances was taken.
    :param known_nonces: by chain, the highest nonce of the wallet that the ledger has given out.
    :param readings: what was read of the chains, by name.
    :param late_runs: by id, the runs that were told as late, and since when they were.
    """

    legs: tuple[OpenLeg, ...] = ()
    lost: tuple[LostEffect, ...] = ()
    checked_at: datetime | None = None
    unread: Unread | None = None
    over_daily_limit: tuple[Verdict, ...] = ()
    costly: tuple[Verdict, ...] = ()
    stray: Mapping[str, Decimal] = field(default_factory=dict)
    seen_at: datetime | None = None
    known_nonces: Mapping[str, int] = field(default_factory=dict)
    readings: Mapping[str, Reading] = field(default_factory=dict)
    late_runs: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Steering:
    """What Airflow says. None where it could not be asked.

    :param held_wholly: why every asset is held; empty where not every one is.
    :param running: by id, whether a run that was told as late is still under way.
    """

    paused: bool | None = None
    held_wholly: str | None = None
    running: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rules:
    """What is set about alerts.

    :param gas: by chain, the wei below which gas is low.
    :param readings_last: how old a reading of a chain may be and still be believed.
    """

    check_interval: timedelta
    missed_checks: int
    cost_after: timedelta
    gas: Mapping[str, int]
    readings_last: timedelta
    reports_stray: bool
