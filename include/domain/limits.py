"""What bounds a move that is due: a day's limits, the hold list, the gate, and rests after operations."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from include.domain.amounts import USDC, exact, not_negative, plain
from include.domain.decision import Reason
from include.domain.inventory import SYMBOL
from include.domain.moments import utc
from include.domain.operation import OperationStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from include.domain.operation import Settled

LONGEST_REST: Final = timedelta(hours=1)
REFUSALS_COUNT_FOR: Final = timedelta(days=1)
"""How long a cancelled operation counts as one of several in a row."""

_SHUTS: Final = (Reason.FROZEN, Reason.GATE_SILENT, Reason.UNPRICED, Reason.OVER_COST_BUDGET)
_BETWEEN: Final = re.compile(r"[,\s]+")


def midnight(moment: datetime) -> datetime:
    """Return when the day of a moment began, in UTC.

    :raises ValueError: if the moment has no zone.
    """
    return utc(moment, "moment").replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class Left:
    """What one limit leaves of a day.

    :param amount: 0 or more.
    :param words: the limit and its figures, for a person.
    """

    amount: Decimal
    words: str


@dataclass(frozen=True, slots=True)
class DailyLimits:
    """The most that is moved in a day (UTC), both directions together. What is not limited is left out.

    :param assets: by asset, in shares or USDC. It is copied; do not change it.
    :param equity: shares of all equities together.
    :param usdc: USDC.
    :raises ValueError: if a limit is not above zero.
    """

    assets: Mapping[str, Decimal] = field(default_factory=dict)
    equity: Decimal | None = None
    usdc: Decimal | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "assets", dict(self.assets))
        for limit in (*self.assets.values(), self.equity, self.usdc):
            if limit is not None and not_negative(limit, "a daily maximum") == 0:
                raise ValueError("a daily maximum must be above zero")

    def left(self, asset: str, moved: Mapping[str, Decimal]) -> Left | None:
        """Return the least that is left of the limits an asset is under, or None if it is under none.

        :param moved: by asset, what the operations opened today move; cancelled ones do not count.
        """
        return min(self._all_left(asset, moved), key=lambda left: left.amount, default=None)

    def exceeded(self, asset: str, moved: Mapping[str, Decimal]) -> str | None:
        """Tell which limit of an asset is exceeded, with its figures, if one is."""
        for name, limit, sum_ in self._all(asset, moved):
            if sum_ > limit:
                return f"the {name} is {plain(limit)}, and {plain(sum_)} would have been moved today"
        return None

    def _all_left(self, asset: str, moved: Mapping[str, Decimal]) -> Iterator[Left]:
        for name, limit, sum_ in self._all(asset, moved):
            with exact():
                left = max(Decimal(0), limit - sum_)
            words = f"the {name} is {plain(limit)}, {plain(sum_)} is moved today, {plain(left)} is left"
            yield Left(left, words)

    def _all(self, asset: str, moved: Mapping[str, Decimal]) -> Iterator[tuple[str, Decimal, Decimal]]:
        """Yield name, limit and what counts against it, of each limit that an asset is under."""
        if asset in self.assets:
            yield f"daily maximum of {asset}", self.assets[asset], moved.get(asset, Decimal(0))
        name, most = ("USDC", self.usdc) if asset == USDC else ("all equities", self.equity)
        if most is not None:
            with exact():
                together = sum(
                    (amount for one, amount in moved.items() if (one == USDC) == (asset == USDC)), Decimal(0)
                )
            yield f"daily maximum of {name}", most, together


@dataclass(frozen=True, slots=True)
class Hold:
    """The assets that people hold back from new operations.

    :param assets: these are held.
    :param everything: why every asset is held; None where only `assets` are.
    """

    assets: frozenset[str] = frozenset()
    everything: str | None = None

    @classmethod
    def read(cls, value: str | None) -> Hold:
        """Read symbols separated by commas or spaces, or a JSON list of them, in any case.

        What cannot be read holds everything: it may name any asset.
        """
        text = (value or "").strip(", \t\r\n")
        names: list[object] = [name for name in _BETWEEN.split(text) if name]
        if text.startswith("["):
            try:
                names = json.loads(text)
            except (ValueError, RecursionError):
                names = [None]
        symbols = [name.strip().upper() if isinstance(name, str) else "" for name in names]
        if not all(SYMBOL.fullmatch(symbol) for symbol in symbols):
            return cls(everything="the hold list is not a list of symbols, so it holds everything")
        return cls(frozenset(symbols))

    def why(self, asset: str) -> str | None:
        """Tell why an asset is held, or None if it is not."""
        if self.everything is not None:
            return self.everything
        return "the hold list names it" if asset in self.assets else None


@dataclass(frozen=True, slots=True)
class Shut:
    """Something asked about a move does not let it pass: the gate, or what the move would cost.

    :param reason: that it is frozen, that the gate is silent, or that it costs too much or nobody knows what.
    :param why: what the gate says, or what it did instead of an answer; or the cost and its budget.
    :raises ValueError: if the reason is another.
    """

    reason: Reason
    why: str

    def __post_init__(self) -> None:
        if self.reason not in _SHUTS:
            raise ValueError(f"nothing is shut for being {self.reason.value}")


def refusals(newest_first: Iterable[tuple[str, OperationStatus]]) -> dict[str, int]:
    """Count, by asset, how many of its last operations were cancelled in a row.

    :param newest_first: asset and status of closed operations.
    """
    found: dict[str, int] = {}
    over: set[str] = set()
    for asset, status in newest_first:
        if status is not OperationStatus.CANCELLED:
            over.add(asset)
        elif asset not in over:
            found[asset] = found.get(asset, 0) + 1
    return found


def moved(operations: Iterable[tuple[str, Decimal, OperationStatus]]) -> dict[str, Decimal]:
    """Add up, by asset, what operations move. A cancelled one moved nothing; an open one may yet move all."""
    found: dict[str, Decimal] = {}
    with exact():
        for asset, amount, status in operations:
            if status is not OperationStatus.CANCELLED:
                found[asset] = found.get(asset, Decimal(0)) + amount
    return found


def rest_after(settled: Settled, *, settle_cooldown: timedelta, refusal_cooldown: timedelta) -> timedelta:
    """Return how long an asset rests after the end of its last operation.

    After one that moved money, the settle cooldown. After a cancelled one the refusal cooldown, doubled for
    each further one in a row up to an hour: what refused once may go on refusing.
    """
    if not settled.refusals:
        return settle_cooldown
    rest = refusal_cooldown
    for _ in range(settled.refusals - 1):
        if rest >= LONGEST_REST:
            break
        rest *= 2
    return min(rest, LONGEST_REST)
