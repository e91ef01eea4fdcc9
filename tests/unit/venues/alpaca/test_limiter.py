from __future__ import annotations

from email.utils import format_datetime

import httpx
import pytest

from include.venues.alpaca.limiter import Limiter, retry_after
from tests.unit.venues.alpaca.support import Clock


def headers(**values: str) -> httpx.Headers:
    return httpx.Headers({name.replace("_", "-"): value for name, value in values.items()})


def in_seconds(clock: Clock, seconds: int) -> str:
    return str(int(clock().timestamp()) + seconds)


def test_limiter__fresh__does_not_wait() -> None:
    assert Limiter(Clock()).wait() == 0


def test_limiter__plain_success__does_not_wait() -> None:
    clock = Clock()
    limiter = Limiter(clock)

    limiter.note(200, headers(X_RateLimit_Remaining="1", X_RateLimit_Reset=in_seconds(clock, 30)))

    assert limiter.wait() == 0


@pytest.mark.parametrize(
    ("after", "reset", "seconds"),
    [
        ("5", None, 5),
        ("1.5", None, 1.5),
        (None, 20, 20),
        ("5", 20, 20),
        ("25", 20, 25),
        ("3600", None, 60),
        (None, 3600, 60),
        ("0", None, 1),
        ("soon", None, 1),
        ("-4", None, 1),
        ("", -30, 1),
        (None, None, 1),
    ],
)
def test_limiter__429__waits_for_the_later_of_both_and_at_most_a_minute(
    after: str | None, reset: int | None, seconds: float
) -> None:
    clock = Clock()
    limiter = Limiter(clock)
    given = {}
    if after is not None:
        given["Retry_After"] = after
    if reset is not None:
        given["X_RateLimit_Reset"] = in_seconds(clock, reset)

    assert limiter.note(429, headers(**given)) == seconds
    assert limiter.wait() == seconds


def test_limiter__repeated_429_without_a_time__waits_longer_and_at_most_a_minute() -> None:
    limiter = Limiter(Clock())

    assert [limiter.note(429, headers()) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]

    limiter.note(200, headers())
    assert limiter.note(429, headers()) == 1


def test_limiter__shorter_pause_later__does_not_end_the_longer_one() -> None:
    clock = Clock()
    limiter = Limiter(clock)
    limiter.note(429, headers(Retry_After="30"))

    limiter.note(429, headers(Retry_After="2"))
    limiter.note(200, headers(X_RateLimit_Remaining="50"))

    assert limiter.wait() == 30


def test_limiter__own_clock_wrong__the_venues_date_counts() -> None:
    clock = Clock()
    limiter = Limiter(clock)
    theirs = Clock()
    theirs.advance(-3600)

    limiter.note(
        429, headers(X_RateLimit_Reset=in_seconds(theirs, 15), Date=format_datetime(theirs(), usegmt=True))
    )

    assert limiter.wait() == 15


def test_limiter__clock_put_back__does_not_wait_for_hours() -> None:
    clock = Clock()
    limiter = Limiter(clock)
    limiter.note(429, headers(Retry_After="30"))

    clock.advance(-7200)

    assert limiter.wait() == 0


@pytest.mark.parametrize("reset", ["soon", "", "-1", "9" * 400, "٣"])
def test_limiter__nonsense_reset__never_waits_longer_than_a_minute(reset: str) -> None:
    limiter = Limiter(Clock())

    limiter.note(
        200, httpx.Headers([(b"X-RateLimit-Remaining", b"0"), (b"X-RateLimit-Reset", reset.encode())])
    )

    assert 0 <= limiter.wait() <= 60


def test_retry_after__as_a_date__is_seconds() -> None:
    clock = Clock()
    later = Clock()
    later.advance(12)

    assert retry_after(headers(Retry_After=format_datetime(later(), usegmt=True)), clock()) == 12
    assert retry_after(headers(), clock()) is None
