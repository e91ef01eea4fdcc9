"""The ratio of one asset over time, in so few points that they can be drawn."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

POINTS: Final = 500
LONGEST: Final = timedelta(days=30)
SILENCE: Final = 3
"""After so many intervals without a check, the line has a gap."""

Point: TypeAlias = tuple[int, str | None]
T = TypeVar("T")


def bucket_seconds(span: timedelta) -> int:
    """Return the width of the buckets that a span is cut into, so that no more than `POINTS` touch it."""
    return max(1, ceil(span.total_seconds() / (POINTS - 1)))


def thinned(checks: Iterable[tuple[T, datetime]], width: int) -> list[tuple[T, datetime]]:
    """Return the last check of each bucket.

    Buckets begin at multiples of their width, so that the choice stays the same while time passes.

    :param checks: oldest first.
    """
    return list({int(at.timestamp()) // width: (check, at) for check, at in checks}.values())


def with_gaps(points: Sequence[Point], longest: float) -> list[Point]:
    """Return points with a None between two that are further apart than `longest` seconds.

    It stands in the middle, where no point is, so there is never more than one for each empty stretch.
    """
    found: list[Point] = []
    for at, ratio in points:
        if found and at - found[-1][0] > longest:
            found.append(((found[-1][0] + at) // 2, None))
        found.append((at, ratio))
    return found


def points(
    checks: Sequence[tuple[str, datetime]],
    span: timedelta,
    interval: timedelta,
    ratios: Callable[[Sequence[str]], Mapping[str, str | None]],
) -> list[Point]:
    """Return the points of a history.

    :param checks: id and time of every check of the span, oldest first.
    :param interval: the usual time between two checks.
    :param ratios: returns the ratio that each of some checks saw.
    """
    width = bucket_seconds(span)
    chosen = thinned(checks, width)
    seen = ratios([check_id for check_id, _ in chosen])
    drawn = [(int(at.timestamp()), seen.get(check_id)) for check_id, at in chosen]
    # Two checks of neighbouring buckets are less than two widths apart.
    return with_gaps(drawn, max(2 * width, SILENCE * interval.total_seconds()))
