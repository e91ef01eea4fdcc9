from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from include.domain.moments import utc


def test_utc__another_zone__is_the_same_moment_in_utc() -> None:
    at = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    assert utc(at) == at
    assert utc(at).tzinfo is UTC


def test_utc__no_zone__is_refused() -> None:
    with pytest.raises(ValueError, match="taken_at must have a time zone"):
        utc(datetime(2026, 1, 1), "taken_at")  # noqa: DTZ001 - the point of the test


@pytest.mark.parametrize("value", ["2026-01-01T00:00:00Z", 0, None])
def test_utc__not_a_datetime__is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="must be a datetime"):
        utc(value)
